"""A home: the folder with everything of one node, and the places in it."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, Engine

from adapters.home.clock import utc_now
from adapters.store.database import Database, sqlite_engine
from gateway.config.bad_settings import BadSettings

if TYPE_CHECKING:
    from adapters.store.read.register import SqlRegister
    from gateway.config.settings import Settings
    from gateway.families.families import Families
    from gateway.formats.signing import XadesSigner
    from gateway.judge.pipeline import Rules
    from gateway.model.policy import Policy
    from gateway.model.routes import Routes
    from gateway.run.in_force import InForce

# Modules that read settings, judge or sign are imported by the method that needs them: every command has a
# home, and most commands only read the store.

_TRIES: Final = 10
_PAUSE: Final = 0.02  # seconds


class NotAHome(Exception):
    """The folder was not created by `gateway init`."""


class HomeLocked(Exception):
    """Another node serves this home."""


@dataclass(frozen=True, slots=True)
class Home:
    path: Path

    @property
    def database(self) -> Path:
        return self.path / "gateway.db"

    @contextmanager
    def store(self) -> Iterator[Database]:
        """The store, for writing. On exit, submitted changes are written and the files are closed."""
        database = Database(sqlite_engine(self.database))
        try:
            yield database
        finally:
            database.close()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A read-only connection to the store."""
        engine = self.reader()
        try:
            with engine.connect() as reader:
                yield reader
        finally:
            engine.dispose()

    def reader(self) -> Engine:
        """Read-only connections, for a long-lived reader that disposes of them at its end."""
        return sqlite_engine(self.database, read_only=True)

    @contextmanager
    def register(self) -> Iterator["SqlRegister"]:
        """Parties, agreements and earlier messages, for judgement."""
        from adapters.store.read.register import SqlRegister

        engine = self.reader()
        try:
            yield SqlRegister(engine)
        finally:
            engine.dispose()

    @property
    def blobs(self) -> Path:
        return self.path / "blobs"

    @property
    def unfinished(self) -> Path:
        """Names of unfinished uploads, kept for a restart."""
        return self.path / "unfinished"

    @property
    def temporary(self) -> Path:
        """Files of the running node; what a crash leaves there is deleted at the next start."""
        return self.path / "tmp"

    @property
    def keys(self) -> Path:
        return self.path / "keys"

    @property
    def signing_key(self) -> Path:
        return self.path / "keys" / "gateway.key"

    @property
    def certificate(self) -> Path:
        return self.path / "keys" / "gateway.crt"

    def older_certificates(self) -> list[Path]:
        """Certificates with which the gateway signed before; the runbook has them kept when they are
        replaced."""
        return sorted(self.keys.glob("gateway-until-*.crt"))

    def families(self) -> "Families":
        """The message families of this release: every home has them all."""
        from gateway.families.families import Families

        return Families.load(files("schemas"))

    def rules(self) -> "Rules":
        """The rules of judgement by the present files. Raises `BadSettings`."""
        from gateway.judge.pipeline import Rules

        return Rules(families=self.families(), policy=self.policy(), routes=self.routes())

    def signer(self) -> "XadesSigner":
        """Signs as this gateway. Raises `BadSettings` if its key or certificate cannot be used."""
        from gateway.formats.certificates import Unusable
        from gateway.formats.signing import XadesSigner

        try:
            return XadesSigner(self.signing_key.read_bytes(), self.certificate.read_text("utf-8"), utc_now)
        except (Unusable, UnicodeDecodeError) as error:
            why, why_zh = ("is not UTF-8", "不是 UTF-8 编码")
            if isinstance(error, Unusable):
                why, why_zh = str(error), error.zh
            pair = f"keys/{self.signing_key.name}, keys/{self.certificate.name}"
            raise BadSettings(f"{pair}: {why}", f"{pair}：{why_zh}") from None

    @property
    def parties(self) -> Path:
        return self.path / "parties.toml"

    def settings(self) -> "Settings":
        from gateway.config.settings import read_settings

        return read_settings("gateway.toml", self._text("gateway.toml"))

    def policy(self) -> "Policy":
        from gateway.config.settings import read_policy

        return read_policy("policy.toml", self._text("policy.toml"))

    def routes(self, settings: "Settings | None" = None) -> "Routes":
        """Raises `BadSettings`, also for a route to a back-end that `settings` does not name; by default they
        are read from `gateway.toml`."""
        from gateway.config.settings import read_routes

        routes = read_routes("routes.toml", self._text("routes.toml"))
        backends = (settings or self.settings()).backend
        named = {
            "backend": {route.backend for route in routes.route},
            "failover": {name for route in routes.route for name in route.failover},
        }
        for key, names in named.items():
            if unknown := ", ".join(sorted(names - backends.keys())):
                raise BadSettings(
                    f"routes.toml: route.{key}: gateway.toml has no [backend.…] named {unknown}"
                )
        return routes

    def in_force(self) -> "InForce":
        """The configuration by the present files; a node that started earlier may run by another one
        (`NodeEvent`). Raises `BadSettings`."""
        from gateway.run.in_force import InForce

        return InForce(policy=self.policy(), routes=self.routes(), settings=self.settings())

    def _text(self, name: str) -> str:
        from gateway.config.settings import decoded

        return decoded(name, (self.path / name).read_bytes())

    def checked(self) -> "Home":
        if not (self.path / "gateway.toml").is_file() or not self.database.is_file():
            raise NotAHome(f"{self.path} is not a home; make one with: gateway init {self.path}")
        return self

    @contextmanager
    def locked(self) -> Iterator[None]:
        """The lock held while a node serves; the system releases it when the process ends, in whatever way.
        Nothing else needs it. The file contains the process's number."""
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _take(descriptor, self.path)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            yield
        finally:
            os.close(descriptor)

    def served_by(self) -> int | None:
        """The process that serves this home, None if there is none; 0 if its number is not in the file."""
        try:
            descriptor = os.open(self.path / "lock", os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            text = os.pread(descriptor, 20, 0).strip()
            return int(text) if text.isdigit() else 0
        else:
            return None
        finally:
            os.close(descriptor)


def _take(descriptor: int, path: Path) -> None:
    # Checking whether a node runs takes the lock for a moment, and must not keep a node from starting.
    for _ in range(_TRIES):
        with contextlib.suppress(BlockingIOError):
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(_PAUSE)
    raise HomeLocked(f"another gateway serves {path}")
