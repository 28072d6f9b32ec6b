"""The small ledgers of the customs sandbox, by file and command line, and what they change."""

import io
import json
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

import cli
from adapters.cli.exit_codes import USAGE
from adapters.sandbox.customs.customs import BOOK
from adapters.sandbox.customs.record_files import BadRecords, read_records
from adapters.sandbox.customs.records import Kind
from adapters.store.tables.messages import messages
from gateway.formats.xml import trusted
from tests.support.declarations import Declaration, Line
from tests.support.rendering import render
from tests.support.served import Gateway

ACCOUNT = "broker-aa"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("ledgers")) as running:
        yield running


@pytest.fixture(scope="module")
def unserved(tmp_path_factory: pytest.TempPathFactory) -> Gateway:
    return Gateway(tmp_path_factory.mktemp("unserved"))


def customs(gateway: Gateway, *arguments: str) -> tuple[int, str, str]:
    """`gateway customs` in this process, since each new one takes a second to import what it needs."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        cli.app(["customs", *arguments, "--home", str(gateway.home.path)], prog_name="gateway")
    return int(ended.value.code or 0), out.getvalue(), err.getvalue()


def ledger(gateway: Gateway, *arguments: str) -> Any:
    code, out, err = customs(gateway, "ledger", *arguments, "--json")
    assert code == 0, err
    return json.loads(out)


def refused(gateway: Gateway, *arguments: str) -> str:
    code, out, err = customs(gateway, "ledger", *arguments)
    assert (code, out) == (USAGE, "")
    return err


def file(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "records.csv"
    path.write_text(text, encoding=encoding)
    return path


def message(gateway: Gateway, reference: str) -> dict[str, Any]:
    """The declaration's row in the store; empty where it is not judged yet."""
    ours = (messages.c.reference == reference) & (messages.c.account == ACCOUNT)
    with gateway.reading() as store:
        rows = store.execute(select(messages).where(ours)).mappings().one_or_none()
    return {} if rows is None else dict(rows)


def receipts(gateway: Gateway, reference: str) -> list[tuple[str, str]]:
    """Channel and office of customs' own receipts."""
    names = [name for name in gateway.inbox(ACCOUNT) if name.startswith(f"Receipt_{reference}_")]
    roots = [trusted(gateway.read(ACCOUNT, f"/InBox/{name}")) for name in names]
    return [(root.findtext("CHANNEL") or "", root.findtext("CUSTOM_MASTER") or "") for root in roots]


def test_a_file_is_read_as_spreadsheets_write_it(tmp_path: Path) -> None:
    text = "until,licence,trader,tariff\r\n2026-12-31, 26-示例 ,1207940101,\r\n,,,\r\n"
    for encoding in ("utf-8", "utf-8-sig", "gbk"):
        (read,) = read_records(Kind.LICENCES, file(tmp_path, text, encoding))
        assert read.number == "26-示例"
        assert read.model_dump(mode="json")["until"] == "2026-12-31"


@pytest.mark.parametrize(
    ("kind", "text", "complaints"),
    [
        (
            Kind.LICENCES,
            "licence,trader,until\n1,2200910001,20-12-31\n,2200910001,2026-12-31\n",
            ["line 2, until: '20-12-31' is no day", "line 3, licence: Field required"],
        ),
        (Kind.DUTIES, "tariff,rate,amount\n84,1,2\n85,,\n", ["line 2: either a", "line 3: either a"]),
        (Kind.DUTIES, "tariff,rate\n84,-1\n8x,1\n", ["line 2, rate: ", "line 3, tariff: "]),
        (Kind.PAYMENTS, "payment,entry,amount\nP,E,NaN\n", ["line 2, amount: "]),
        (Kind.PAYMENTS, "payment,entry,amount\nP,E,1\nP,E,2\n", ["line 3: P stands there more than once"]),
        (Kind.PAYMENTS, "payment,entry,amount\nP,E,1,1\n", ["line 2: 4 cells for 3 columns"]),
        (Kind.PAYMENTS, "payment,entry,amuont\n", ["line 1: the columns of payments are payment, entry,"]),
        (Kind.PAYMENTS, "payment,entry,amount\n", ["no record in it"]),
        (Kind.PAYMENTS, "", ["no record in it"]),
        (Kind.PAYMENTS, 'payment,entry,amount\n"P,E,1\n', ["line 2: "]),
    ],
)
def test_every_error_of_a_file_is_reported_with_its_line(
    tmp_path: Path, kind: Kind, text: str, complaints: list[str]
) -> None:
    with pytest.raises(BadRecords) as error:
        read_records(kind, file(tmp_path, text))
    lines = str(error.value).splitlines()
    assert len(lines) == len(complaints)
    for line, complaint in zip(lines, complaints, strict=True):
        assert line.startswith("records.csv")
        assert complaint in line


def test_a_file_with_an_error_enters_nothing(unserved: Gateway, tmp_path: Path) -> None:
    wrong = file(tmp_path, "bill,packages,gross_weight\nBL1,1,1\nBL2,x,1\n")
    assert "records.csv, line 3, packages: " in refused(unserved, "import", "manifests", str(wrong))
    assert ledger(unserved, "list", "manifests") == []


def test_records_are_entered_before_the_sandbox_is_first_served_and_replaced_by_their_number(
    unserved: Gateway, tmp_path: Path
) -> None:
    both = file(tmp_path, "manual,trader,until\nB1,1207940101,2026-12-31\nB2,1207940101,2026-12-31\n")
    assert ledger(unserved, "import", "manuals", str(both)) == {
        "kind": "manuals",
        "entered": ["B1", "B2"],
        "went_on": [],
    }
    ledger(unserved, "import", "manuals", str(both))
    ledger(unserved, "add", "manuals", "manual=B1", "trader=1207940101", "until=2027-06-30")

    listed = ledger(unserved, "list", "manuals")
    assert [(row["manual"], row["until"]) for row in listed] == [
        ("B2", "2026-12-31"),
        ("B1", "2027-06-30"),
    ]
    assert set(listed[0]) == {"manual", "trader", "until", "at", "actor"}
    assert len(ledger(unserved, "list", "manuals", "--limit", "1")) == 1


def test_a_customs_that_is_served_without_a_home_has_its_ledgers_behind_its_folder(tmp_path: Path) -> None:
    def output(*arguments: str) -> str:
        out = io.StringIO()
        with redirect_stdout(out), pytest.raises(SystemExit) as ended:
            cli.app(["customs", *arguments, "--folder", str(tmp_path)], prog_name="gateway")
        assert not ended.value.code
        return out.getvalue()

    assert output("ledger", "add", "duties", "tariff=84", "rate=1") == "duties: 1 entered\n"
    assert json.loads(output("ledger", "list", "duties", "--json"))[0]["tariff"] == "84"
    assert json.loads(output("queue", "--json")) == []
    assert (tmp_path / "customs" / BOOK).is_file()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("add", "payments", "payment=P"), "entry: Field required"),
        (("add", "payments", "P", "E", "1"), "the columns of payments are payment, entry, amount"),
        (("add", "payments", "payment=P", "payment=Q"), "each column once"),
        (("add", "duties", "tariff=84", "rate=1", "colour=red"), "colour: "),
        (("add", "nonsense", "a=b"), "nonsense"),
        (("list", "duties", "--backend", "nowhere"), "nowhere is no customs sandbox of this home"),
    ],
)
def test_a_record_that_cannot_be_entered_ends_with_2(
    unserved: Gateway, arguments: tuple[str, ...], complaint: str
) -> None:
    assert complaint in refused(unserved, *arguments)


def test_a_payment_releases_what_waits_for_its_duty_beside_the_running_node(gateway: Gateway) -> None:
    ledger(gateway, "add", "duties", "tariff=6911", "rate=10")
    declared = Declaration(reference="OWED-1", lines=(Line(tariff="6911101900"),))
    gateway.send(ACCOUNT, "OWED-1.xml", render(declared))
    gateway.send(ACCOUNT, "FREE-1.xml", render(Declaration(reference="FREE-1")))
    gateway.until(lambda: message(gateway, "OWED-1").get("customs_status") == "duty_due")
    gateway.until(lambda: message(gateway, "FREE-1").get("state") == "closed")

    queue = {row["reference"]: row for row in json.loads(customs(gateway, "queue", "--json")[1])}
    queued = queue["OWED-1"]
    assert queued["status"] == "duty"
    assert queued["reason"] == "duty of 125.00 is unpaid"
    entry = f"entry={queued['entry_id']}"
    assert ledger(gateway, "add", "payments", "payment=P-1", entry, "amount=100")["went_on"] == []
    assert ledger(gateway, "add", "payments", "payment=P-2", entry, "amount=25")["went_on"] == [queued["key"]]

    gateway.until(lambda: message(gateway, "OWED-1").get("state") == "closed")
    assert sorted(channel for channel, _ in receipts(gateway, "OWED-1")) == ["J", "L", "P", "R", "T"]


def test_goods_in_transit_pass_both_offices(gateway: Gateway) -> None:
    head = {"DeclTrnRel": "1", "EdiId": "3", "IEPort": "0203"}
    gateway.send(ACCOUNT, "TRN-1.xml", render(Declaration(reference="TRN-1", head=head)))
    gateway.until(lambda: len(receipts(gateway, "TRN-1")) == 7)

    receipt_rows = receipts(gateway, "TRN-1")
    assert sorted(receipt_rows) == [
        ("J", "0202"),
        ("L", "0202"),
        ("P", "0202"),
        ("R", "0202"),
        ("TrA", "0202"),
        ("TrD", "0203"),
        ("TrW", "0202"),
    ]
    gateway.until(lambda: message(gateway, "TRN-1").get("state") == "closed")
    assert message(gateway, "TRN-1").get("customs_status") == "closed"


def test_papers_that_are_asked_for_show_in_the_status(gateway: Gateway) -> None:
    gateway.send(ACCOUNT, "PAPER-1.xml", render(Declaration(reference="PAPER-1")))
    gateway.until(lambda: message(gateway, "PAPER-1").get("customs_status") == "paper_asked")
