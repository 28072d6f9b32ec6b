"""`gateway audit verify`: whatever is changed, missing or added is named; nothing that a gateway does is."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from typer.testing import CliRunner

import cli
from adapters.home.audit import Audit, Wrong
from adapters.home.certificates import make_p256_pair
from adapters.home.home import Home
from gateway.model.blobs import SMALL
from tests.support.customs import customs_answers
from tests.support.declarations import Declaration, lines
from tests.support.harness import NOW, Harness
from tests.support.rendering import render


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Something of each: accepted, answered, refused, repeated, corrected. Every test leaves it as it was."""
    with Harness.at(tmp_path_factory.mktemp("audit") / "home") as harness:
        sound = render(Declaration(reference="R1"))
        accepted = harness.judged("broker-aa", "R1.xml", sound)
        customs_answers(harness, accepted.message, "000000001230540010", "020220261234567890", "L")
        harness.judged("broker-aa", "R1 again.xml", sound)
        wrong = render(Declaration(reference="R2", lines=lines(51)))
        harness.judged("broker-aa", "R2.xml", wrong)
        harness.judged("broker-aa", "R2.xml", render(Declaration(reference="R2")))
        harness.judged("broker-aa", "R3.xml", render(Declaration(reference="R3")) + b" " * SMALL)
        harness.database.close()
        yield harness.home


def audited(home: Home, *older: str) -> list[Wrong]:
    return list(Audit(home, older).run())


def test_a_store_that_only_the_gateway_wrote_is_sound(home: Home) -> None:
    audit = Audit(home)
    assert list(audit.run()) == []
    with closing(sqlite3.connect(home.database)) as store:
        for table in ("events", "messages", "receipts"):
            assert audit.looked_at[table] == store.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
    assert audit.looked_at["packages"] >= 3
    assert audit.unsigned == 0


def other(value: Any) -> Any:
    match value:
        case None:
            return "x"
        case int():
            return value + 1
        case bytes():
            return value[:-2] + bytes([value[-2] ^ 1]) + value[-1:]
        case "{}":
            return '{"x": 1}'
        case _:
            return f"{value[:-1]}{'0' if value[-1:] != '0' else '1'}"


# What the audit holds to the log; what else stands in a message may be looked up in its events.
HELD = {
    "events": ["message", "at", "event", "actor", "state", "detail", "digest"],
    "messages": ["id", "sha256", "state", "link_sequence", "link_digest"],
}
CHANGES = [(table, column) for table, columns in HELD.items() for column in columns]


@pytest.mark.parametrize(("table", "column"), CHANGES)
def test_whichever_row_of_log_or_messages_is_changed_is_named(home: Home, table: str, column: str) -> None:
    own = {"events": "sequence", "messages": "seq"}[table]
    what = {"events": "event", "messages": "message"}[table]
    with closing(sqlite3.connect(home.database)) as store:
        rows = store.execute(f"SELECT {own}, {column} FROM {table} ORDER BY 1").fetchall()  # noqa: S608
        change = f"UPDATE {table} SET {column} = ? WHERE {own} = ?"  # noqa: S608
        for key, value in (rows[0], rows[len(rows) // 2], rows[-1]):
            store.execute(change, (other(value), key))
            store.commit()
            assert what in {violation.what for violation in audited(home)}, (key, value)
            store.execute(change, (value, key))
            store.commit()
    assert audited(home) == []


def test_work_that_is_in_no_queue_and_a_place_without_work_are_named(home: Home) -> None:
    def queued() -> set[tuple[str, str, str]]:
        return {
            (violation.what, violation.which, violation.how)
            for violation in audited(home)
            if violation.what.startswith("to_")
        }

    with closing(sqlite3.connect(home.database)) as store:
        ((item,),) = store.execute("SELECT min(item) FROM to_send")
        ((seq, state),) = store.execute("SELECT seq, state FROM messages ORDER BY seq LIMIT 1")
        store.execute("UPDATE to_send SET item = 99 WHERE item = ?", (item,))
        store.execute("UPDATE messages SET state = 'received' WHERE seq = ?", (seq,))
        store.execute(
            "INSERT INTO to_judge (account, item, due_at, fence, attempts) VALUES ('a', 99, 0, 0, 0)"
        )
        store.commit()
        assert queued() == {
            *(("to_send", str(item), "missing"), ("to_send", "99", "added")),
            *(("to_judge", str(seq), "missing"), ("to_judge", "99", "added")),
        }
        store.execute("UPDATE to_send SET item = ? WHERE item = 99", (item,))
        store.execute("UPDATE messages SET state = ? WHERE seq = ?", (state, seq))
        store.execute("DELETE FROM to_judge")
        store.commit()
    assert audited(home) == []


@pytest.mark.parametrize("table", ["events", "messages", "receipts"])
def test_whichever_row_is_taken_away_is_named(home: Home, table: str) -> None:
    with closing(sqlite3.connect(home.database)) as store:
        names = [column[1] for column in store.execute(f"PRAGMA table_info({table})")]
        own = "kind = 'gateway' AND" if table == "receipts" else ""
        query = f"SELECT * FROM {table} WHERE {own} 1 ORDER BY 1"  # noqa: S608
        rows = store.execute(query).fetchall()
        for row in {rows[0], rows[len(rows) // 2], rows[-1]}:
            if table == "receipts" and "again" in row[names.index("name")]:
                continue  # given again, and the first one is there
            store.execute(f"DELETE FROM {table} WHERE {names[0]} = ?", row[:1])  # noqa: S608
            store.commit()
            assert "missing" in {violation.how for violation in audited(home)}, row
            put = f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})"  # noqa: S608
            store.execute(put, row)
            store.commit()
    assert audited(home) == []


def test_an_event_that_is_slipped_in_is_named(home: Home) -> None:
    with closing(sqlite3.connect(home.database)) as store:
        columns = "message, at, event, actor, state, detail, digest"
        store.execute(f"INSERT INTO events ({columns}) SELECT {columns} FROM events LIMIT 1")  # noqa: S608
        store.commit()
        violations = {(violation.what, violation.how) for violation in audited(home)}
        last = store.execute("SELECT max(sequence) FROM events").fetchone()[0]
        store.execute("DELETE FROM events WHERE sequence = ?", (last,))
        store.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'events'", (last - 1,))
        store.commit()
    assert ("event", "changed") in violations
    assert audited(home) == []


@pytest.mark.parametrize("column", ["message", "verdict", "body"])
def test_a_receipt_that_is_not_as_it_was_given_is_named(home: Home, column: str) -> None:
    with closing(sqlite3.connect(home.database)) as store:
        query = f"SELECT id, name, {column} FROM receipts WHERE kind = 'gateway' ORDER BY id"  # noqa: S608
        for key, name, value in store.execute(query).fetchall():
            if "again" in name and column != "body":
                continue  # the words of a repeat's receipt are about the first
            change = f"UPDATE receipts SET {column} = ? WHERE id = ?"  # noqa: S608
            store.execute(change, (other(value), key))
            store.commit()
            assert ("receipt", name) in {(violation.what, violation.which) for violation in audited(home)}
            store.execute(change, (value, key))
            store.commit()
    assert audited(home) == []


UNSIGNED = "SELECT id, name, body FROM receipts WHERE kind IN ('technical', 'business', 'report') ORDER BY id"


def test_receipts_without_our_signature_are_checked_by_their_digest_in_the_log(home: Home) -> None:
    with closing(sqlite3.connect(home.database)) as store:
        rows = store.execute(UNSIGNED).fetchall()
        assert {name.split("_")[0] for _id, name, _body in rows} == {"Failed", "Report", "Receipt"}
        for key, name, body in rows:
            store.execute("UPDATE receipts SET body = ? WHERE id = ?", (other(body), key))
            store.commit()
            violations = {(violation.what, violation.which, violation.how) for violation in audited(home)}
            assert ("receipt", name, "changed") in violations
            store.execute("UPDATE receipts SET body = ? WHERE id = ?", (body, key))
            store.commit()
        ((key, *_),) = [row for row in rows if row[1].startswith("Report")]
        store.execute("UPDATE receipts SET message = 'x' WHERE id = ?", (key,))
        store.commit()
        assert {"added", "missing"} <= {violation.how for violation in audited(home)}
        query = "SELECT message FROM receipts WHERE name LIKE 'Failed%'"
        store.execute(f"UPDATE receipts SET message = ({query}) WHERE id = ?", (key,))  # noqa: S608
        store.commit()
    assert audited(home) == []


def test_a_small_package_that_is_changed_or_missing_is_named(home: Home) -> None:
    with closing(sqlite3.connect(home.database)) as store:
        stored = store.execute("SELECT sha256, body FROM packages").fetchall()
        assert stored
        for sha256, body in stored:
            for change, how in (
                ("UPDATE packages SET body = x'00' || body WHERE sha256 = ?", "changed"),
                ("DELETE FROM packages WHERE sha256 = ?", "missing"),
            ):
                store.execute(change, (sha256,))
                store.commit()
                assert [(wrong.what, wrong.which, wrong.how) for wrong in audited(home)] == [
                    ("package", sha256, how)
                ]
            store.execute("INSERT INTO packages VALUES (?, ?)", (sha256, body))
            store.commit()
    assert audited(home) == []


def test_other_bytes_in_a_file_that_stands_before_a_small_package_are_named(home: Home) -> None:
    with closing(sqlite3.connect(home.database)) as store:
        sha256, body = store.execute("SELECT sha256, body FROM packages").fetchone()
    file = home.blobs / sha256[:2] / sha256
    file.write_bytes(body)  # as a release that kept all packages in files has it
    assert audited(home) == []
    file.write_bytes(body + b" ")
    assert [(wrong.what, wrong.which, wrong.how) for wrong in audited(home)] == [
        ("package", sha256, "changed")
    ]
    file.unlink()
    assert audited(home) == []


def test_a_package_that_is_changed_missing_or_strange_is_named_and_one_of_a_crash_is_not(home: Home) -> None:
    blobs = [path for path in home.blobs.glob("??/*") if path.is_file()]
    assert blobs
    for path in blobs:
        body = path.read_bytes()
        path.unlink()
        assert [(violation.what, violation.which, violation.how) for violation in audited(home)] == [
            ("package", path.name, "missing")
        ]
        path.write_bytes(body[:-1] + bytes([body[-1] ^ 1]))
        assert [(violation.what, violation.which, violation.how) for violation in audited(home)] == [
            ("package", path.name, "changed")
        ]
        path.write_bytes(body)
    strange, left = home.blobs / "00" / "strange", home.blobs / "00" / ("0" * 64)
    strange.write_bytes(b"")
    left.write_bytes(b"")
    audit = Audit(home)
    assert [(violation.what, violation.which, violation.how) for violation in audit.run()] == [
        ("package", "strange", "added")
    ]
    assert audit.unused == 1
    strange.unlink()
    left.unlink()


def test_receipts_signed_by_the_certificate_before_are_sound_where_it_is_given(home: Home) -> None:
    key, old = home.signing_key.read_bytes(), home.certificate.read_text()
    new_key, new = make_p256_pair("gateway", NOW)
    home.signing_key.write_bytes(new_key)
    home.certificate.write_bytes(new)
    assert {violation.what for violation in audited(home)} == {"receipt"}
    assert audited(home, old) == []
    home.signing_key.write_bytes(key)
    home.certificate.write_text(old)


def test_the_command_ends_with_1_and_names_what_is_wrong(home: Home) -> None:
    result = CliRunner().invoke(cli.app, ["audit", "verify", "--home", str(home.path)])
    assert (result.exit_code, result.stdout.startswith("sound: ")) == (0, True)
    with closing(sqlite3.connect(home.database)) as store:
        change = "UPDATE events SET actor = ? WHERE sequence = 2"
        (actor,) = store.execute("SELECT actor FROM events WHERE sequence = 2").fetchone()
        store.execute(change, ("nobody",))
        store.commit()
        result = CliRunner().invoke(cli.app, ["audit", "verify", "--home", str(home.path)])
        assert result.exit_code == 1
        assert "changed" in result.stdout
        store.execute(change, (actor,))
        store.commit()


@pytest.mark.parametrize(
    ("table", "own", "column"),
    [("events", "sequence", "at"), ("messages", "seq", "body"), ("receipts", "id", "created_at")],
)
def test_a_row_that_cannot_be_read_is_named_and_the_others_are_checked(
    home: Home, table: str, own: str, column: str
) -> None:
    with closing(sqlite3.connect(home.database)) as store:
        key, value = store.execute(f"SELECT {own}, {column} FROM {table} ORDER BY 1 LIMIT 1").fetchone()  # noqa: S608
        change = f"UPDATE {table} SET {column} = ? WHERE {own} = ?"  # noqa: S608
        store.execute(change, ("text", key))
        store.commit()
        audit = Audit(home)
        wrong = list(audit.run())
        assert any(str(key) in violation.which for violation in wrong if violation.what == table[:-1])
        assert audit.looked_at[table] > 2
        store.execute(change, (value, key))
        store.commit()
    assert audited(home) == []
