"""The store that a test is run against: each of those that are known."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.store.migrate import migrate
from tests.support.stores import STORES, Store


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
