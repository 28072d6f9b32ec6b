"""A home: the folder that holds everything of one node, and what stands where in it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.policy import Policy
from gateway.settings import BadSettings, Settings, read_policy, read_routes, read_settings
from gateway.stages.route import Routes


class NotAHome(Exception):
    """The folder was not made by `gateway init`."""


class HomeLocked(Exception):
    """Another node serves this home."""


@dataclass(frozen=True, slots=True)
class Home:
    path: Path

    @property
    def database(self) -> Path:
        return self.path / "gateway.db"

    @property
    def blobs(self) -> Path:
        return self.path / "blobs"

    @property
    def host_key(self) -> Path:
        return self.path / "keys" / "ssh_host_ed25519"

    @property
    def signing_key(self) -> Path:
        return self.path / "keys" / "gateway.key"

    @property
    def certificate(self) -> Path:
        return self.path / "keys" / "gateway.crt"

    @property
    def parties(self) -> Path:
        return self.path / "parties.toml"

    def settings(self) -> Settings:
        return read_settings("gateway.toml", self._text("gateway.toml"))

    def policy(self) -> Policy:
        return read_policy("policy.toml", self._text("policy.toml"))

    def routes(self) -> Routes:
        """Raises `BadSettings`, also for a route to a back-end that `gateway.toml` does not name."""
        routes = read_routes("routes.toml", self._text("routes.toml"))
        known = self.settings().backend
        named = {
            "backend": {route.backend for route in routes.route},
            "failover": {name for route in routes.route for name in route.failover},
        }
        for key, names in named.items():
            if unknown := ", ".join(sorted(names - known.keys())):
                raise BadSettings(
                    f"routes.toml: route.{key}: gateway.toml has no [backend.…] named {unknown}"
                )
        return routes

    def _text(self, name: str) -> str:
        return (self.path / name).read_text(encoding="utf-8")

    def checked(self) -> "Home":
        if not (self.path / "gateway.toml").is_file() or not self.database.is_file():
            raise NotAHome(f"{self.path} is not a home; make one with: gateway init {self.path}")
        return self

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Held while a node serves; it goes with the process, however that ends. Nothing else needs it."""
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise HomeLocked(f"another gateway serves {self.path}") from None
            yield
        finally:
            os.close(descriptor)
