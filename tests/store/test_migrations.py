"""A home of the release before: what its migrations make of what stands in it."""

import json
from importlib.resources import as_file, files
from pathlib import Path

from alembic import command
from alembic.config import Config
from pydantic import TypeAdapter
from sqlalchemy import create_engine

from adapters.sandbox.association.answers import import_agr_response
from adapters.store.migrate import NEWEST, migrate
from adapters.store.migrations import versions
from adapters.store.read.parties import registered
from adapters.store.write.parties import changes_of
from gateway.model.parties import Party, Role

PARTY = Party(code="1207960303", scc="91120116MADEM0B11T", name="天津虚构", roles=(Role.TRADER,))


def at_revision(path: Path, revision: str) -> None:
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection, as_file(files("adapters.store") / "migrations") as scripts:
        config = Config()
        config.set_main_option("script_location", str(scripts))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


def test_the_one_role_of_a_party_becomes_a_list_in_the_register_and_in_its_history(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    at_revision(path, "0005")
    record = TypeAdapter(Party).dump_python(PARTY, mode="json")
    record["role"] = record.pop("roles")[0]
    engine = create_engine(f"sqlite:///{path}")
    text = json.dumps(record)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO parties (code, scc, organisation, delivery, record, changed_at)"
            " VALUES (?, ?, ?, 'inbox', ?, 0)",
            (PARTY.code, PARTY.scc, PARTY.organisation_code, text),
        )
        for before in (None, text):
            connection.exec_driver_sql(
                "INSERT INTO party_changes (party, at, actor, reason, before, after)"
                " VALUES (?, 0, 'tests', '', ?, ?)",
                (PARTY.code, before, text),
            )
    migrate(path)
    with engine.connect() as connection:
        assert registered(connection) == {PARTY.code: PARTY}
        assert [(change.before, change.after) for _, change in changes_of(connection, PARTY.code)] == [
            (None, PARTY),
            (PARTY, PARTY),
        ]
    engine.dispose()


def test_the_migration_numbers_requests_that_were_answered_before(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    at_revision(path, "0012")
    answer = import_agr_response(
        code=0, message="成功", cop_code="1207980011", consign_no="20260000000000001"
    )
    failed = import_agr_response(code=9, message="失败", cop_code="1207980011", consign_no="")
    rows = (
        *(("R1", "inbound", "ImportAgrRequest", None, None), ("A1", "answer", "technical", answer, "R1")),
        *(("R2", "inbound", "ImportAgrRequest", None, None), ("A2", "answer", "technical", failed, "R2")),
        *(("D1", "inbound", "DecMessage", None, None), ("A3", "answer", "technical", answer, "D1")),
        *(("R3", "inbound", "ImportAgrRequest", None, None), ("A4", "answer", "technical", b"<x", "R3")),
    )
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        for id_, kind, type_, body, linked in rows:
            connection.exec_driver_sql(
                "INSERT INTO messages (id, kind, account, channel, name, sha256, size, received_at, moved_at,"
                " facts, state, customs_status, findings, reason, revision, attempts, link_sequence,"
                " link_digest, type, body, linked) VALUES (?, ?, 'a', 'sftp', ?, '', 0, 0, 0,"
                " '{}', 'closed', 'none', '[]', '', 0, 0, 0, '', ?, ?, ?)",
                (id_, kind, id_, type_, body, linked),
            )
    migrate(path)
    with engine.connect() as connection:
        numbers = connection.exec_driver_sql("SELECT id, seq_no FROM messages WHERE seq_no IS NOT NULL")
        assert numbers.all() == [("R1", "20260000000000001")]
    engine.dispose()


def test_the_migration_makes_waits_for_a_file_searchable_by_any_spelling_of_its_name(
    tmp_path: Path,
) -> None:
    path = tmp_path / "gateway.db"
    at_revision(path, "0013")
    waiting = {
        "document 1207980011 Invoice 1.PDF": "document 1207980011 invoice 1.pdf",
        "declaration 1207980011 E\u0301.pdf": "declaration 1207980011 \xe9.pdf",
        "agreement 195200016172325": None,
    }
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        for number, awaited in enumerate(waiting):
            connection.exec_driver_sql(
                "INSERT INTO messages (id, kind, account, channel, name, sha256, size, received_at, moved_at,"
                " facts, state, customs_status, findings, reason, revision, attempts, link_sequence,"
                " link_digest, waiting_for) VALUES (?, 'inbound', 'a', 'sftp', 'n', '', 0, 0, 0,"
                " '{}', 'waiting', 'none', '[]', '', 0, 0, 0, '', ?)",
                (str(number), awaited),
            )
    migrate(path)
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT waiting_for, spelt FROM messages").all()
        assert [tuple(row) for row in rows] == list(waiting.items())
    engine.dispose()


def test_a_home_is_brought_to_the_last_migration_that_there_is() -> None:
    numbers = sorted(path.name[:4] for path in Path(versions.__path__[0]).glob("0*.py"))
    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]
    assert numbers[-1] == NEWEST
