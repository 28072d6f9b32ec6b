"""The bare loop that the product is measured against does the product's job: for the same declarations, the
rows and receipts of both are the same but for times, ids, places in the log and values of signatures."""

import asyncio
import json
import re
import shutil
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pytest
from lxml import etree

from adapters.home.audit import Audit
from adapters.home.home import Home
from bench.amqp import sent_and_receipted, set_up, until_consumed
from bench.customs import serving_customs
from bench.harness import Harness, home
from bench.job.inputs import inputs
from bench.job.loop import Job
from bench.serving import Progress, serving, when
from bench.traffic import ACCOUNT, Broker, Sent
from gateway.formats.submission import NAMESPACE
from tests.support.rabbitmq import Rabbit

# What numbers rows, links the log and tells times; whether a time is there is compared.
NUMBERS: Final = {
    "messages": ("seq", "link_sequence", "link_digest"),
    "events": ("sequence", "digest"),
    "deliveries": ("id",),
    "receipts": ("id",),
    "requests": ("id",),
    "agreement_acts": ("id",),
}
TIMES: Final = re.compile(r".*_at|at|latest|since|answer_due|until")
JSON: Final = ("facts", "findings", "hint", "detail", "documents", "sources", "missing", "enclosures")
OF_A_MESSAGE: Final = ("deliveries", "receipts", "holders", "obligations", "requests", "replies")
A_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*(Z|[+-]\d\d:\d\d)?")
TIME_OF_A_NAME: Final = re.compile(r"_\d{21}\.xml")
SIGNATURE: Final = "{http://www.w3.org/2000/09/xmldsig#}Signature"
QUEUES: Final = ("to_judge", "to_send")


@pytest.mark.slow
def test_the_bare_loop_writes_the_rows_and_receipts_of_a_real_run(tmp_path: Path) -> None:
    with home() as base, Rabbit() as rabbit:
        vhost = set_up(base, rabbit)
        sent = _declarations(Broker(base))
        looped = tmp_path / "loop.db"
        with closing(sqlite3.connect(base.database)) as source, closing(sqlite3.connect(looped)) as copy:
            source.backup(copy)
        Job(base).run(looped, inputs(Harness(base), sent))

        _really_run(base, rabbit, vhost, sent)

        with _opened(base.database) as real, _opened(looped) as loop:
            expected, found = _told(real), _told(loop)
            assert len(expected) == len(sent)
            for reference, rows in expected.items():
                for table, those in rows.items():
                    assert found[reference][table] == those, (reference, table)
            assert found == expected
            assert _rows(loop, "sent_days") == _rows(real, "sent_days")
            assert not any(_rows(loop, queue) for queue in QUEUES)
        audited = _with_store(base, looped, tmp_path / "home")
        assert list(Audit(audited).run()) == []  # chain, packages and signatures


def _declarations(broker: Broker) -> list[Sent]:
    bare = [broker.bare("7 KB", f"BARE-{number}") for number in range(3)]
    return [*bare, broker.bare("55 KB", "LARGE-1"), broker.with_pdf("7 KB", "PDF-1")]


def _really_run(base: Home, rabbit: Rabbit, vhost: str, sent: Sequence[Sent]) -> None:
    with serving(base), closing(sqlite3.connect(base.database)) as store:

        def count(query: str) -> int:
            (found,) = store.execute(f"SELECT count(*) FROM {query}").fetchone()  # noqa: S608
            return int(found)

        progress = Progress(base)
        until_consumed(rabbit, vhost)
        asyncio.run(sent_and_receipted(rabbit.url(vhost, ACCOUNT), sent))
        # All are delivered before the first answer, as in the loop.
        when(lambda: count("deliveries WHERE state = 'delivered'"), len(sent))
        with serving_customs(base):
            when(progress.closed_by_customs, len(sent))
            when(lambda: count("requests WHERE told_at IS NOT NULL"), len(sent))
            when(lambda: -count("receipts WHERE post_at IS NOT NULL"), 0)


@contextmanager
def _opened(store: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(store)) as connection:
        connection.row_factory = sqlite3.Row
        yield connection


def _rows(store: sqlite3.Connection, table: str, where: str = "", *values: str) -> list[dict[str, Any]]:
    return [dict(row) for row in store.execute(f"SELECT * FROM {table} {where}", values)]  # noqa: S608


@dataclass
class _Marks:
    """Words for what is different in each run."""

    known: dict[str, str] = field(default_factory=dict)

    def on(self, text: str) -> str:
        for value, mark in self.known.items():
            text = text.replace(value, mark)
        return A_TIME.sub("<time>", TIME_OF_A_NAME.sub("_<time>.xml", text))

    def on_document(self, body: bytes) -> str:
        root = etree.fromstring(body)
        if root.nsmap.get(None) == NAMESPACE:
            assert [each.tag for each in root.iter(SIGNATURE)] == [SIGNATURE]
        etree.strip_elements(root, SIGNATURE, with_tail=False)
        for element in root.iter(f"{{{NAMESPACE}}}ChainLink", f"{{{NAMESPACE}}}RequestId"):
            element.attrib.clear()
            element.text = None
        return self.on(etree.tostring(root, method="c14n").decode())


def _told(store: sqlite3.Connection) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """By reference and table, all rows that concern a declaration, in their order."""
    told: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for declaration in _rows(store, "messages", "WHERE kind = 'inbound'"):
        id_, reference = declaration["id"], declaration["reference"]
        tables: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        tables["messages"] = [declaration, *_rows(store, "messages", "WHERE linked = ? ORDER BY seq", id_)]
        for message in tables["messages"]:
            tables["events"] += _rows(store, "events", "WHERE message = ? ORDER BY sequence", message["id"])
        for table in OF_A_MESSAGE:
            tables[table] = _rows(store, table, "WHERE message = ? ORDER BY rowid", id_)
        tables["agreement_acts"] = _rows(store, "agreement_acts", "WHERE message = ?", id_)
        marks = _marks(tables)
        told[reference] = {
            table: [{name: _plain(marks, table, name, row[name]) for name in row} for row in rows]
            for table, rows in tables.items()
        }
    return told


def _marks(tables: dict[str, list[dict[str, Any]]]) -> _Marks:
    declaration, *answers = tables["messages"]
    known = {
        declaration["id"]: "<message>",
        declaration["seq_no"]: "<seq_no>",
        declaration["entry_id"]: "<entry_id>",
    }
    for number, answer in enumerate(answers, 1):
        known[answer["id"]] = f"<answer {number}>"
        known[answer["sha256"]] = f"<digest of answer {number}>"
    for receipt in tables["receipts"]:
        known.setdefault(sha256(receipt["body"]).hexdigest(), f"<digest of a {receipt['kind']} receipt>")
    return _Marks(known)


def _plain(marks: _Marks, table: str, name: str, value: Any) -> Any:
    if value is None or name in NUMBERS.get(table, ()):
        return None if value is None else "<number>"
    if TIMES.fullmatch(name):
        return "<time>"
    if name in ("body", "envelope"):
        return marks.on_document(value)
    if name == "size" and table == "receipts":
        return "<size>"  # of signatures, serials and times
    if name in JSON:
        return json.loads(marks.on(value))
    return marks.on(value) if isinstance(value, str) else value


def _with_store(base: Home, store: Path, folder: Path) -> Home:
    shutil.copytree(base.path, folder, ignore=shutil.ignore_patterns("gateway.db*", "lock"))
    shutil.copyfile(store, folder / "gateway.db")
    return Home(folder)
