"""The addresses that a node listens on, from `gateway.toml`."""

import os
import socket
from collections.abc import Iterator
from errno import EACCES, EADDRINUSE, EADDRNOTAVAIL
from typing import Final

from gateway.config.bad_settings import BadSettings
from gateway.config.settings import Settings
from gateway.model.waits import Words, joined

_SYSTEM_ZH: Final = {
    EADDRINUSE: "已被其他程序占用",
    EACCES: "网关用户无权监听",
    EADDRNOTAVAIL: "不是本机地址",
}


def check_listeners(settings: Settings) -> None:
    """Raises `BadSettings` that names each setting whose address cannot be listened on."""
    if wrong := joined([*addresses_in_use(settings)]):
        raise BadSettings(f"gateway.toml: {wrong.en}", f"gateway.toml：{wrong.zh}")


def addresses_in_use(settings: Settings) -> Iterator[Words]:
    """A sentence for each address that cannot be listened on now."""
    for name, host, port in _addresses(settings):
        try:
            socket.create_server((host, port)).close()
        except OSError as error:
            # Python adds its own words to the system's message when listening fails; an unknown host has its
            # own message.
            message = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
            zh = _SYSTEM_ZH.get(error.errno or 0, f"不能监听（{message or error}）")
            yield Words(f"{name}.port：{host}:{port} {zh}", f"{name}.port: {host}:{port}: {message or error}")


def _addresses(settings: Settings) -> Iterator[tuple[str, str, int]]:
    yield "sftp", settings.sftp.host, settings.sftp.port
    for name, section in (("metrics", settings.metrics), ("push", settings.push)):
        if section is not None:
            yield name, section.host, section.port
