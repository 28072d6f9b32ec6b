"""What tests of several folders share."""

import atexit
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from adapters.sandbox.customs.customs import ReferenceCustoms
from adapters.sandbox.customs.ledger import Ledger
from adapters.store.migrate import migrate
from tests.support.harness import Harness
from tests.support.rabbitmq import Rabbit, Tls
from tests.support.stores import STORES, Store
from tests.support.submissions import NOW, reference_customs
from tests.support.tls import issued

# Commands speak the language of the terminal; what tests read of them is English unless they ask.
os.environ["LC_ALL"] = "C.UTF-8"
# A test starts many processes; each would compile the product anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# How long an example takes says how busy the machine is.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


# Most of what tests wait for is a disk that says it has something; memory says so at once.
_MEMORY = Path("/dev", "shm")
_ROOM = 6 * 1024**3


def pytest_configure(config: pytest.Config) -> None:
    """Temporary files lie in memory where there is room, for the time of the run; `TMPDIR` says otherwise."""
    roomy = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ROOM
    if roomy and "TMPDIR" not in os.environ and not hasattr(config, "workerinput"):
        os.environ["TMPDIR"] = folder = tempfile.mkdtemp(prefix="tests-", dir=_MEMORY)
        Path(folder).chmod(0o711)  # one test is another user's
        tempfile.tempdir = None
        atexit.register(_remove_temporary_files)  # after pytest's own clean-up, which was registered later


# Files that take longest as a whole: they begin first, so that no process is left alone with one at the end.
_LONGEST = (
    "tests/test_docs.py",
    "tests/system/test_crash_poison.py",
    "tests/system/test_kills.py",
    "tests/backends/test_backends.py",
    "tests/system/test_amqp_storm.py",
    "tests/transport/test_amqp_connection.py",
    "tests/test_wheel.py",
    "tests/bench/test_job.py",
    "tests/test_integrators.py",
    "tests/system/test_crash_restarts.py",
    "tests/system/test_amqp_trouble.py",
    "tests/backends/test_amqp_backend.py",
    "tests/system/test_reform_cells.py",
    "tests/system/test_crash.py",
    "tests/system/test_separate_customs.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """After those, what starts servers, which mostly waits; what only computes fills the gaps at the end."""

    def place(item: pytest.Item) -> int:
        file = item.nodeid.partition("::")[0]
        if file in _LONGEST:
            return _LONGEST.index(file)
        return len(_LONGEST) + (not file.startswith(("tests/system/", "tests/backends/", "tests/transport/")))

    items.sort(key=place)


def _remove_temporary_files() -> None:
    shutil.rmtree(os.environ.pop("TMPDIR"), ignore_errors=True)


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[Harness]:
    """A home with its store, in which a test judges and acts without a node."""
    with Harness.at(tmp_path / "home") as harness:
        yield harness


@pytest.fixture
def customs(tmp_path: Path) -> Iterator[ReferenceCustoms]:
    with closing(reference_customs(tmp_path)) as customs:
        yield customs


@pytest.fixture
def ledger(customs: ReferenceCustoms, tmp_path: Path) -> Iterator[Ledger]:
    """A second connection, as an operator's command has it beside the running back-end."""
    with closing(Ledger(tmp_path / "customs.db", lambda: NOW)) as ledger:
        yield ledger


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
    monkeypatch.setattr(tempfile, "tempdir", previous := tempfile.tempdir)
    monkeypatch.setenv("SQLITE_TMPDIR", "")
    yield
    if tempfile.tempdir != previous:
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
