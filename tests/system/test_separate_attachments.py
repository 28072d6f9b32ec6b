"""A bare declaration and its PDFs, loose in one OutBox: over SFTP, in both orders, across a restart."""

import pytest
from sqlalchemy import select

from adapters.store.tables.messages import messages, receipts
from gateway.formats import xml
from tests.support.declarations import CONTRACT, INVOICE, Declaration, Document
from tests.support.habits import AU3
from tests.support.invariants import violations
from tests.support.pdfs import pdf
from tests.support.rendering import files, render
from tests.support.served import Gateway

ACCOUNT = "broker-aa"
LISTED = Declaration(
    documents=(
        Document(code=INVOICE, body=pdf(text="INVOICE")),
        Document(code=CONTRACT, body=pdf(pages=2, text="CONTRACT")),
    )
)
XML = {"loose.xml": render(LISTED, AU3)}
PDFS = files(LISTED, AU3)
ALL = XML | PDFS


def states(gateway: Gateway) -> dict[str, str]:
    with gateway.reading() as store:
        rows = store.execute(
            select(messages.c.name, messages.c.state).where(messages.c.kind == "inbound")
        ).all()
    return {row.name: row.state for row in rows}


def all_are(gateway: Gateway, names: dict[str, bytes], state: str) -> None:
    gateway.until(lambda: states(gateway) == dict.fromkeys(names, state))


def verdicts(gateway: Gateway, name: str) -> list[str]:
    """What the receipts in the InBox about this file say, oldest first."""
    base = name.removesuffix(".xml")
    receipt_rows = [name for name in gateway.inbox(ACCOUNT) if name.startswith(f"Gateway_{base}_")]
    bodies = [xml.parse(gateway.read(ACCOUNT, f"/InBox/{row}")) for row in sorted(receipt_rows)]
    return [body.findtext("{*}Verdict") or "" for body in bodies]


@pytest.mark.parametrize(("first", "then"), [(XML, PDFS), (PDFS, XML)], ids=["xml first", "pdfs first"])
def test_a_declaration_and_its_loose_pdfs_find_one_another_across_a_restart(
    first: dict[str, bytes], then: dict[str, bytes], gateway: Gateway
) -> None:
    gateway.start()
    for name, body in first.items():
        gateway.send(ACCOUNT, name, body)
    all_are(gateway, first, "waiting")
    with gateway.login(ACCOUNT).session() as client:
        assert sorted(client.listdir("/OutBox")) == sorted(first)
    assert gateway.stop() == 0
    gateway.start()
    for name, body in then.items():
        gateway.send(ACCOUNT, name, body)
    all_are(gateway, ALL, "closed")
    with gateway.login(ACCOUNT).session() as client:
        assert sorted(client.listdir("/SentBox")) == sorted(ALL)
        assert client.listdir("/OutBox") == client.listdir("/FailBox") == []
    for name, body in ALL.items():
        assert gateway.read(ACCOUNT, f"/SentBox/{name}") == body
        assert verdicts(gateway, name)[-1] == "accepted"
    for name in first:
        assert verdicts(gateway, name) == ["waiting", "accepted"]
    assert violations(gateway.home) == []


def test_a_message_that_waits_too_long_is_refused(gateway: Gateway) -> None:
    policy = gateway.home.path / "policy.toml"
    policy.write_text(
        policy.read_text("utf-8").replace("wait_hours = 24.0 ", "wait_hours = 0.0003 "), "utf-8"
    )
    alone = dict(list(PDFS.items())[:1])
    gateway.start()
    gateway.send(ACCOUNT, "loose.xml", XML["loose.xml"])
    all_are(gateway, XML, "rejected")
    for name, body in alone.items():
        gateway.send(ACCOUNT, name, body)
    all_are(gateway, XML | alone, "rejected")
    with gateway.reading() as store:
        rows = store.execute(select(receipts.c.verdict, receipts.c.final)).all()
    assert sorted(tuple(row) for row in rows if row.verdict) == [
        ("rejected", True),
        ("rejected", True),
        ("waiting", False),
        ("waiting", False),
    ]
    assert violations(gateway.home) == []
