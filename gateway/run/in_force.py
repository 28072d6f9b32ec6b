"""The configuration that a node uses at a moment: policy, routes and settings, each with its digest."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.config.settings import Settings
from gateway.model.policy import Policy, digest_of
from gateway.model.routes import Routes


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """Replaced as a whole: no message is judged by the policy of one version and the routes of another."""

    policy: Policy
    routes: Routes
    settings: Settings

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 (hex) by file name. It covers the values in a file: a comment does not change it."""
        return {
            "policy.toml": self.policy.digest,
            "routes.toml": digest_of(self.routes),
            "gateway.toml": digest_of(self.settings),
        }


def changed_keys(one: Settings, other: Settings) -> list[str]:
    """The keys whose values differ, written as in gateway.toml."""
    return sorted(_changed(one.model_dump(mode="json"), other.model_dump(mode="json")))


def _changed(one: Mapping[str, Any], other: Mapping[str, Any], above: str = "") -> Iterator[str]:
    for key in one.keys() | other.keys():
        left, right = one.get(key), other.get(key)
        if isinstance(left, dict) and isinstance(right, dict):
            yield from _changed(left, right, f"{above}{key}.")
        elif left != right:
            yield f"{above}{key}"
