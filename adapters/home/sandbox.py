"""Whether the sandbox is installed: the simulated customs and association for trials."""

from importlib.util import find_spec

from gateway.config.bad_settings import BadSettings
from gateway.config.connections import AssociationSettings, BackendSettings, ReferenceSettings


def check_sandbox(name: str, settings: BackendSettings) -> None:
    """Raises `BadSettings` for a back-end of the sandbox if the sandbox is not installed."""
    of_sandbox = isinstance(settings, AssociationSettings | ReferenceSettings)
    if of_sandbox and find_spec("adapters.sandbox") is None:
        key = f"backend.{name}.kind"
        raise BadSettings(
            f"gateway.toml: {key}: {settings.kind} is of the sandbox, which is not installed",
            f"gateway.toml：{key}：{settings.kind} 属于沙箱，本机未安装",
        )
