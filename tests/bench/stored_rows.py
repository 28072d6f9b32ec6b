"""What a store says of each declaration, without what is different in each run."""

import json
import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from lxml import etree

from gateway.formats.submission import NAMESPACE

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

StoredRows = dict[str, list[dict[str, Any]]]


@contextmanager
def opened(store: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(store)) as connection:
        connection.row_factory = sqlite3.Row
        yield connection


def rows_of(store: sqlite3.Connection, table: str, where: str = "", *values: str) -> list[dict[str, Any]]:
    return [dict(row) for row in store.execute(f"SELECT * FROM {table} {where}", values)]  # noqa: S608


@dataclass
class _Marks:
    """Words for what is different in each run."""

    marks: dict[str, str] = field(default_factory=dict)

    def on(self, text: str) -> str:
        for value, mark in self.marks.items():
            text = text.replace(value, mark)
        return A_TIME.sub("<time>", TIME_OF_A_NAME.sub("_<time>.xml", text))

    def on_document(self, body: bytes) -> str:
        root = etree.fromstring(body)
        if root.nsmap.get(None) == NAMESPACE:
            assert [element.tag for element in root.iter(SIGNATURE)] == [SIGNATURE]
        etree.strip_elements(root, SIGNATURE, with_tail=False)
        for element in root.iter(f"{{{NAMESPACE}}}ChainLink", f"{{{NAMESPACE}}}RequestId"):
            element.attrib.clear()
            element.text = None
        return self.on(etree.tostring(root, method="c14n").decode())


def stored_rows(store: sqlite3.Connection, apart: Sequence[str] = ()) -> dict[str, StoredRows]:
    """By reference and table, all rows that concern a declaration, in their order. `apart` are further
    columns of the declaration with values of its own."""
    rows_by_reference: dict[str, StoredRows] = {}
    for declaration in rows_of(store, "messages", "WHERE kind = 'inbound'"):
        id_, reference = declaration["id"], declaration["reference"]
        tables: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        tables["messages"] = [declaration, *rows_of(store, "messages", "WHERE linked = ? ORDER BY seq", id_)]
        for message in tables["messages"]:
            tables["events"] += rows_of(store, "events", "WHERE message = ? ORDER BY sequence", message["id"])
        for table in OF_A_MESSAGE:
            tables[table] = rows_of(store, table, "WHERE message = ? ORDER BY rowid", id_)
        tables["agreement_acts"] = rows_of(store, "agreement_acts", "WHERE message = ?", id_)
        marks = _marks(tables, apart)
        rows_by_reference[reference] = {
            table: [{name: _plain(marks, table, name, row[name]) for name in row} for row in rows]
            for table, rows in tables.items()
        }
    return rows_by_reference


def _marks(tables: StoredRows, apart: Sequence[str]) -> _Marks:
    declaration, *answers = tables["messages"]
    marks = {
        declaration["id"]: "<message>",
        declaration["seq_no"]: "<seq_no>",
        declaration["entry_id"]: "<entry_id>",
        **{declaration[name]: f"<{name}>" for name in apart},
    }
    for number, answer in enumerate(answers, 1):
        marks[answer["id"]] = f"<answer {number}>"
        marks[answer["sha256"]] = f"<digest of answer {number}>"
    for receipt in tables["receipts"]:
        marks.setdefault(sha256(receipt["body"]).hexdigest(), f"<digest of a {receipt['kind']} receipt>")
    return _Marks(marks)


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
