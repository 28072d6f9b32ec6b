"""What tests of operators' acts share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.harness import Harness
from tests.support.invariants import agreement_violations


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[Harness]:
    with Harness.at(tmp_path / "home") as harness:
        yield harness
        with harness.database.engine.connect() as reader:
            assert list(agreement_violations(reader)) == []
