"""The log-in at a broker: a password, and the keys and certificates of TLS, from the files that settings
name."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path

from gateway.config.connections import BrokerSettings


@dataclass(frozen=True, slots=True)
class Login:
    """Password and TLS context of a connection, and the bytes of the files that they were read from."""

    password: str = field(repr=False)
    tls: ssl.SSLContext | None
    files: tuple[bytes, ...] = field(repr=False)


def read_login(settings: BrokerSettings, home: Path) -> Login:
    """Raises `OSError` for files that cannot be used."""
    named = (settings.password_file, settings.ca, settings.certificate, settings.key)
    files = tuple((home / name).read_bytes() for name in named if name is not None)
    password = files[0].decode("utf-8").rstrip("\r\n")
    return Login(password, tls_of(settings, home), files)


def tls_of(settings: BrokerSettings, home: Path) -> ssl.SSLContext | None:
    """The TLS context for encryption and authentication of both ends; None on this machine."""
    if settings.ca is None:
        return None
    context = ssl.create_default_context(cafile=home / settings.ca)
    if settings.certificate is not None and settings.key is not None:
        context.load_cert_chain(home / settings.certificate, home / settings.key)
    return context
