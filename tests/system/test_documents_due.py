"""Documents with the declaration, after release, or on request: a running node and the customs sandbox."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from lxml import etree
from sqlalchemy import select, update

from adapters.home.clock import utc_now
from adapters.store.database import Database, sqlite_engine
from adapters.store.read.documents_due import show_owed
from adapters.store.read.message_detail import find_messages, show_message
from adapters.store.tables.messages import obligations, receipts
from gateway.formats import xml
from gateway.model.message import ReceiptKind
from tests.support.declarations import CONTRACT, INVOICE, Declaration, enterprise
from tests.support.keys import xmlsec1_trusts
from tests.support.later_documents import document_package
from tests.support.receipts import NS
from tests.support.rendering import render
from tests.support.served import Gateway


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A running node; each test has references of its own."""
    with Gateway(tmp_path_factory.mktemp("documents")) as running:
        yield running


def declare(gateway: Gateway, reference: str, trader: str, account: str = "broker-aa") -> None:
    declaration = Declaration(reference=reference, agent=enterprise(account), trader=enterprise(trader))
    gateway.send(account, f"{reference}.xml", render(declaration))


def shown_json(gateway: Gateway, group: str, id_: str) -> dict[str, Any]:
    """As the command tells it, without the second that it takes to start; empty where there is none."""
    with gateway.reading() as reader:
        if group == "documents":
            return show_owed(reader, id_, datetime.now(UTC)) or {}
        row = find_messages(reader, id_)
        return show_message(reader, row[0], utc_now()) if row else {}


def reaches(gateway: Gateway, id_: str, state: str) -> dict[str, Any]:
    def found_message() -> dict[str, Any] | None:
        message = shown_json(gateway, "messages", id_)
        return message if message.get("state") == state else None

    message: dict[str, Any] = gateway.until(found_message)
    return message


def requests_in(gateway: Gateway, account: str, message: str) -> list[bytes]:
    with gateway.reading() as reader:
        rows = reader.execute(
            select(receipts.c.name)
            .where(
                receipts.c.message == message,
                receipts.c.account == account,
                receipts.c.kind == ReceiptKind.REQUEST,
            )
            .order_by(receipts.c.id)
        ).all()
    return [gateway.read(account, f"/InBox/{row.name}") for row in rows]


def asked_for(gateway: Gateway, account: str, message: str, count: int = 1) -> list[etree._Element]:
    """So many requests that the account got, each signed by the gateway."""
    bodies: list[bytes] = gateway.until(
        lambda: len(requests := requests_in(gateway, account, message)) >= count and requests
    )
    certificate = gateway.home.certificate.read_text()
    assert all(xmlsec1_trusts(body, certificate) for body in bodies)
    return [xml.parse(body) for body in bodies]


def overdue(gateway: Gateway) -> list[str]:
    listed = json.loads(gateway.cli("documents", "list", "--overdue", "--json").stdout)
    return [row["reference"] for row in listed]


def still_owed(gateway: Gateway) -> list[str]:
    listed = json.loads(gateway.cli("documents", "list", "--open", "--json").stdout)
    return [row["reference"] for row in listed]


def test_documents_that_follow_a_release_are_asked_for_and_fulfil_it(gateway: Gateway) -> None:
    declare(gateway, "FOLLOW-1", "trader-a")
    declaration = reaches(gateway, "FOLLOW-1", "closed")
    for account in ("broker-aa", "trader-a"):
        (request,) = asked_for(gateway, account, declaration["id"])
        assert request.findtext("g:Why", namespaces=NS) == "due"
        assert request.findtext("g:EntryId", namespaces=NS) == declaration["entry_id"]
        assert [element.get("code") for element in request.iterfind("g:Document", NS)] == [INVOICE, CONTRACT]
    owed = shown_json(gateway, "documents", declaration["entry_id"])
    assert (owed["due"], owed["missing"], owed["overdue"]) == ("after-release", [INVOICE, CONTRACT], False)
    released, due = (datetime.fromisoformat(owed[name]) for name in ("released_at", "due_at"))
    assert timedelta(days=9) < due - released < timedelta(days=11)
    assert "FOLLOW-1" in still_owed(gateway)

    gateway.send("broker-aa", "one.zip", document_package("ClientSeqNo", "FOLLOW-1", [CONTRACT], name="one"))
    gateway.until(lambda: shown_json(gateway, "documents", "FOLLOW-1")["missing"] == [INVOICE])
    gateway.send(
        "trader-a", "two.zip", document_package("EntryId", declaration["entry_id"], [INVOICE], name="two")
    )
    gateway.until(lambda: "FOLLOW-1" not in still_owed(gateway))
    packages = shown_json(gateway, "documents", "FOLLOW-1")["packages"]
    assert [(package["account"], package["documents"]) for package in packages] == [
        ("broker-aa", [CONTRACT]),
        ("trader-a", [INVOICE]),
    ]
    for package in packages:
        taken = reaches(gateway, package["id"], "closed")
        assert [delivery["state"] for delivery in taken["deliveries"]] == ["delivered"]
        assert [receipt["verdict"] for receipt in taken["receipts"] if receipt["final"]] == ["accepted"]


def test_overdue_documents_are_listed_and_their_parties_reminded(gateway: Gateway) -> None:
    declare(gateway, "OVERDUE-1", "trader-a")
    message = reaches(gateway, "OVERDUE-1", "closed")["id"]
    asked_for(gateway, "broker-aa", message)
    assert "OVERDUE-1" not in overdue(gateway)
    # As if its time had passed.
    past = datetime.now(UTC) - timedelta(days=1)
    database = Database(sqlite_engine(gateway.home.database))
    moved = update(obligations).where(obligations.c.message == message).values(due_at=past, remind_at=past)
    database.submit(lambda transaction: transaction.connection.execute(moved)).result()
    database.close()
    assert "OVERDUE-1" in overdue(gateway)
    last = asked_for(gateway, "trader-a", message, 2)[-1]
    assert last.findtext("g:Why", namespaces=NS) == "overdue"
    assert shown_json(gateway, "documents", "OVERDUE-1")["reminded"] == 1


def test_a_declaration_without_documents_due_with_it_is_refused_and_all_are_named(
    gateway: Gateway,
) -> None:
    declare(gateway, "WITH-1", "trader-b")
    message = reaches(gateway, "WITH-1", "rejected")
    assert [finding["code"] for finding in message["findings"]] == ["documents-due"] * 2
    (failed,) = (receipt["name"] for receipt in message["receipts"] if receipt["name"].startswith("Failed_"))
    text = gateway.read("broker-aa", f"/InBox/{failed}").decode()
    assert all(f"{name}（{code}）" in text for code, name in ((INVOICE, "发票"), (CONTRACT, "合同")))


def test_an_enterprise_that_keeps_its_papers_owes_none(gateway: Gateway) -> None:
    declare(gateway, "KEPT-1", "trader-aa")
    message = reaches(gateway, "KEPT-1", "closed")["id"]
    owed = shown_json(gateway, "documents", "KEPT-1")
    assert (owed["due"], owed["due_at"], owed["requests"]) == ("kept", None, [])
    assert "KEPT-1" not in still_owed(gateway)
    assert requests_in(gateway, "broker-aa", message) == []


def test_a_declaration_goes_on_when_the_documents_that_customs_asked_for_arrive(gateway: Gateway) -> None:
    declare(gateway, "SUPPLEMENT-1", "trader-aa")
    message = gateway.until(
        lambda: (
            (row := shown_json(gateway, "messages", "SUPPLEMENT-1")).get("customs_status")
            == "supplement_asked"
            and row
        )
    )
    (request,) = asked_for(gateway, "broker-aa", message["id"])
    assert request.findtext("g:Why", namespaces=NS) == "supplement"
    assert "请补充说明成交价格的构成" in (request.findtext("g:Note", namespaces=NS) or "")
    assert "SUPPLEMENT-1" in still_owed(gateway)
    gateway.send(
        "broker-aa",
        "supplement.zip",
        document_package("SeqNo", message["seq_no"], [INVOICE], note="价格说明"),
    )
    assert reaches(gateway, "SUPPLEMENT-1", "closed")["customs_status"] == "closed"
    assert "SUPPLEMENT-1" not in still_owed(gateway)


def test_documents_for_anothers_declaration_are_refused(gateway: Gateway) -> None:
    declare(gateway, "OTHERS-1", "trader-a")
    entry = reaches(gateway, "OTHERS-1", "closed")["entry_id"]
    gateway.send("broker-b", "others.zip", document_package("EntryId", entry, [INVOICE], name="others"))

    def refused() -> list[str]:
        listed = json.loads(gateway.cli("messages", "list", "--account", "broker-b", "--json").stdout)
        return [code for row in listed if row["state"] == "rejected" for code in row["faults"]]

    assert gateway.until(refused) == ["declaration-unknown"]
    assert INVOICE in shown_json(gateway, "documents", "OTHERS-1")["missing"]


def test_the_commands_speak_to_people_and_say_no(gateway: Gateway) -> None:
    declare(gateway, "TABLE-1", "trader-a")
    message = reaches(gateway, "TABLE-1", "closed")["id"]
    asked_for(gateway, "broker-aa", message)
    done = gateway.cli("documents", "list", "--open", "--account", "broker-aa")
    assert "TABLE-1" in done.stdout
    assert "after-release" in done.stdout
    done = gateway.cli("documents", "show", "TABLE-1")
    assert done.returncode == 0
    assert "requests" in done.stdout
    done = gateway.cli("documents", "show", message, "--json")
    assert json.loads(done.stdout) == shown_json(gateway, "documents", message)
    assert gateway.cli("documents", "list", "--account", "nobody", "--json").stdout.strip() == "[]"
    assert gateway.cli("documents", "show", "NEVER-SEEN").returncode == 1
