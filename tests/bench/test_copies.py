"""Copies of a declaration fill a store as the declaration itself did."""

import shutil
from pathlib import Path

from bench.copies import TEMPLATE, multiply
from bench.harness import Harness, home
from bench.job.inputs import inputs
from bench.job.loop import Job
from bench.traffic import Broker
from tests.bench.stored_rows import StoredRows, opened, stored_rows

OWN = ("reference", "sha256", "content", "body_digest")


def test_each_copy_has_all_rows_of_the_declaration_under_ids_and_references_of_its_own(
    tmp_path: Path,
) -> None:
    store = tmp_path / "store.db"
    with home() as base:
        shutil.copyfile(base.database, store)
        Job(base).run(store, inputs(Harness(base), [Broker(base).bare("7 KB", TEMPLATE)]))

    multiply(store, 3)

    with opened(store) as connection:
        rows_by_reference = {
            reference: _without_documents(rows) for reference, rows in stored_rows(connection, OWN).items()
        }
        assert len(rows_by_reference) == 4
        for rows in rows_by_reference.values():
            assert rows == rows_by_reference[TEMPLATE]
        (sound,) = connection.execute("PRAGMA integrity_check").fetchone()
        assert sound == "ok"


def _without_documents(rows: StoredRows) -> StoredRows:
    """They are the same bytes in each copy, with the declaration's ids in them."""
    return {
        table: [{name: row[name] for name in row if name not in ("body", "envelope")} for row in those]
        for table, those in rows.items()
    }
