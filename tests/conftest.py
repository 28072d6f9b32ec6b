"""What tests of several folders share because it is expensive."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from adapters.store.migrate import migrate
from tests.support.rabbitmq import Rabbit, Tls
from tests.support.stores import STORES, Store
from tests.support.tls import issued

# Commands speak the language of the terminal; what tests read of them is English unless they ask.
os.environ["LC_ALL"] = "C.UTF-8"
# How long an example takes says how busy the machine is.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


@pytest.fixture(scope="session")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rabbit]:
    """A broker for all tests of a run that leave it alive and well; each takes a `vhost` of its own. Over TLS
    it asks for a certificate that `tests.support.tls` issued."""
    own = issued(tmp_path_factory.mktemp("rabbit"), "broker")
    with Rabbit(Tls(own.ca, own.certificate, own.key)) as broker:
        yield broker


@pytest.fixture(scope="session")
def mortal_rabbit() -> Iterator[Rabbit]:
    """A broker for tests that kill it and start it again, or take its memory; each leaves it running well."""
    with Rabbit() as broker:
        yield broker


@pytest.fixture(autouse=True)
def _temporary_files_of_its_own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A command that serves has its process keep temporary files in its home, and the process of the tests is
    not its own."""
    monkeypatch.setattr(tempfile, "tempdir", kept := tempfile.tempdir)
    monkeypatch.setenv("SQLITE_TMPDIR", "")
    yield
    if tempfile.tempdir != kept:
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.execute("PRAGMA temp_store_directory = ''")


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "gateway.db"
    migrate(path)
    return path


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, migrated: Path, tmp_path: Path) -> Iterator[Store]:
    path = tmp_path / "gateway.db"
    shutil.copy(migrated, path)
    made = STORES[request.param](path)
    yield made
    made.database.close()
