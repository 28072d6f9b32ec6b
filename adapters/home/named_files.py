"""The files that `gateway.toml` names: keys, certificates, passwords; each is checked by using it."""

import hashlib
import ssl
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from errno import EACCES, EISDIR, ENOENT
from pathlib import Path
from typing import Any, Final

import paramiko
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from adapters.home.clock import utc_now
from adapters.home.home import Home
from adapters.home.host_keys import read_host_keys
from gateway.config.bad_settings import BadSettings
from gateway.config.settings import Settings
from gateway.formats.certificates import Unusable
from gateway.formats.signing import XadesSigner
from gateway.model.waits import Words, joined

# Keys of gateway.toml that name a file, and those whose file nobody else may read.
_SECRET: Final = ("key", "password_file", "secret_file")
_NAMED: Final = ("ca", "certificate", "client_ca", "pusher", *_SECRET)

_HOST_KEYS: Final = "keys/ssh_host_*"

_LOCKED: Final = (
    "has a pass phrase; keep it without one, to be read by the gateway's user alone (mode 0600)",
    "设有口令；请改存无口令的文件，并只允许网关用户读取（权限 0600）",
)
_NO_KEY: Final = ("holds no private key in PEM form", "不是 PEM 格式的私钥")
# The system's error messages about files, in Chinese.
_SYSTEM_ZH: Final = {ENOENT: "文件不存在", EACCES: "网关用户无权读取", EISDIR: "是文件夹，不是文件"}

# Reads files again and raises if they cannot be used. The function that it returns puts them to use for every
# later connection, and raises nothing.
Renewal = Callable[[], Callable[[], None]]


@dataclass(frozen=True, slots=True)
class NamedFile:
    """`setting` is its key in gateway.toml. Problems are described in words: why it is `unusable`, or how it
    is `exposed` to others. `ends` is the last moment of a certificate of ours."""

    setting: str
    unusable: Words | None = None
    exposed: Words | None = None
    ends: datetime | None = None


def named_files(home: Home) -> Sequence[NamedFile]:
    """Raises `BadSettings`."""
    return [_looked_at(home, each) for each in _named(home.settings().model_dump(exclude_none=True))]


def file_digests(home: Home, settings: Settings) -> tuple[dict[str, str], dict[str, str]]:
    """SHA-256 (hex) of the files of a node that runs by these settings, including the home's own key pair and
    host keys: first of public files, then of secret ones, whose digests must not be shown because a password
    could be guessed from them. Raises `OSError`, and `BadSettings` for a host key that cannot be used."""
    shown = {"keys/gateway.crt": _digest(home.certificate), _HOST_KEYS: _digest_of_host_keys(home)}
    secret = {"keys/gateway.key": _digest(home.signing_key)}
    for each in _named(settings.model_dump(exclude_none=True)):
        where = secret if each.setting.endswith(_SECRET) else shown
        where[each.setting] = _digest(home.path / each.path)
    return shown, secret


def named_paths(home: Home) -> Sequence[Path]:
    """The paths of the files. Raises `BadSettings`."""
    return [home.path / each.path for each in _named(home.settings().model_dump(exclude_none=True))]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _digest_of_host_keys(home: Home) -> str:
    """The digest of their public halves, of all keys together."""
    lines = [f"{each.file} {each.fingerprint}\n" for each in read_host_keys(home.keys)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def check_named_files(home: Home, section: str = "") -> None:
    """Raises `BadSettings` that names each setting of a section whose file cannot be used: a node that
    started without it would always be refused by the other side."""
    named = [each for each in named_files(home) if each.setting.startswith(section)]
    if wrong := joined([each.unusable for each in named if each.unusable]):
        raise BadSettings(f"gateway.toml: {wrong.en}", f"gateway.toml：{wrong.zh}")


@dataclass(frozen=True, slots=True)
class _Named:
    """A setting with its path and its section."""

    setting: str
    path: str
    section: Mapping[str, Any]

    @property
    def key(self) -> str:
        return self.setting.rpartition(".")[2]


def _named(section: dict[str, Any], above: str = "") -> Iterator[_Named]:
    if section.get("kind") == "association":
        client = f"clients/{section['account']}"
        section = {"key": f"{client}/sign.key", "certificate": f"{client}/sign.crt"} | section
    for key, value in section.items():
        if isinstance(value, dict):
            yield from _named(value, f"{above}{key}.")
        elif key in _NAMED and isinstance(value, str):
            yield _Named(f"{above}{key}", value, section)


def _looked_at(home: Home, named: _Named) -> NamedFile:
    setting, path = named.setting, home.path / named.path
    where, where_zh = f"{setting}: {named.path}", f"{setting}：{named.path}"
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        ends = _used(home, named, path)
    except OSError as error:
        reason = error.strerror or "cannot be used"
        said_zh = _SYSTEM_ZH.get(error.errno or 0, f"不能读取（{reason}）")
        return NamedFile(setting, unusable=Words(f"{where_zh} {said_zh}", f"{where}: {reason}"))
    except Unusable as error:
        return NamedFile(setting, unusable=Words(f"{where_zh} {error.zh}", f"{where}: {error}"))
    if mode & 0o077 and setting.endswith(_SECRET):
        return NamedFile(
            setting,
            exposed=Words(
                f"{where_zh} 其他用户可以读取（权限 {mode:o}）",
                f"{where} can be read by others (mode {mode:o})",
            ),
        )
    return NamedFile(setting, ends=ends)


def _used(home: Home, named: _Named, path: Path) -> datetime | None:
    """Reads a file as the node will, and returns the end of validity if it is a certificate of ours. Raises
    `OSError` or `Unusable`."""
    match named.key:
        case "ca" | "client_ca":
            _read_issuers(path)
        case "pusher":
            _certificate(path)
        case "certificate":
            return _certificate(path).not_valid_after_utc
        case "key" if "certificate" in named.section:
            certificate = home.path / named.section["certificate"]
            if named.section.get("kind") == "association":
                XadesSigner(path.read_bytes(), certificate.read_text(), utc_now)
            else:
                _read_pair(path, certificate)
        case "key":
            _read_log_in(path)
        case _:
            try:
                secret = path.read_text(encoding="utf-8").strip()
            except UnicodeDecodeError:
                raise Unusable("is not UTF-8", "不是 UTF-8 编码") from None
            if not secret:
                raise Unusable("is empty", "是空文件")
    return None


def _certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except ValueError:
        raise Unusable("holds no certificate in PEM form", "不是 PEM 格式的证书") from None


def _read_issuers(path: Path) -> None:
    path.read_bytes()
    try:
        ssl.create_default_context(cafile=path)
    except ssl.SSLError:
        raise Unusable("holds no certificates in PEM form", "不是 PEM 格式的证书") from None


def _read_pair(key: Path, certificate: Path) -> None:
    """Reads the pair as TLS does. A pass phrase is refused: it would be asked for at the terminal."""
    try:
        private = load_pem_private_key(key.read_bytes(), None)
    except TypeError:
        raise Unusable(*_LOCKED) from None
    except (ValueError, UnsupportedAlgorithm):
        raise Unusable(*_NO_KEY) from None
    if certificate.is_file() and private.public_key() != _certificate(certificate).public_key():
        raise Unusable("does not belong to the certificate", "与证书不是一对")


def _read_log_in(path: Path) -> None:
    path.read_bytes()
    try:
        paramiko.PKey.from_path(path)
    except (paramiko.PasswordRequiredException, TypeError):
        raise Unusable(*_LOCKED) from None
    except (ValueError, UnsupportedAlgorithm, paramiko.SSHException):
        raise Unusable("holds no private key that SSH can use", "不是 SSH 可用的私钥") from None
