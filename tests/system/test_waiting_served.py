"""A declaration that waits for its agreement outlives the node, and goes on by itself or ends in time."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from sqlalchemy import select

from adapters.store.tables.messages import events, messages, receipts
from gateway.formats.submission import NAMESPACE
from gateway.formats.xml import trusted
from gateway.model.states import CustomsStatus, Event, State
from tests.support.association import ACCOUNT, agreement, agreement_document, signed_notice
from tests.support.declarations import Declaration
from tests.support.invariants import unfinished, violations
from tests.support.rendering import render
from tests.support.served import Gateway
from tests.system.conftest import Mortal

BROKER = "broker-aa"
NUMBER = "195200016172325"
REFERENCE = "WAITS0000000000001"


def sent(gateway: Gateway) -> Any:
    """The declaration that shows the agreement, as the store has it."""
    with gateway.reading() as store:
        own = (messages.c.reference == REFERENCE, messages.c.kind == "inbound")
        return store.execute(select(messages).where(*own)).one_or_none()


def declared(gateway: Gateway) -> Any:
    """Sends it, and returns when it waits."""
    body = render(Declaration(reference=REFERENCE, documents=(agreement_document(NUMBER),)))
    gateway.send(BROKER, f"{REFERENCE}.xml", body)
    gateway.until(lambda: (row := sent(gateway)) and row.state == State.WAITING)
    return sent(gateway)


def gateway_receipts(gateway: Gateway) -> list[etree._Element]:
    """The gateway's receipts of it in the broker's InBox; their names tell the time, so they are in order."""
    names = sorted(name for name in gateway.inbox(BROKER) if name.startswith(f"Gateway_{REFERENCE}_"))
    return [trusted(gateway.read(BROKER, f"/InBox/{name}")) for name in names]


def verdicts(gateway: Gateway) -> list[str | None]:
    return [receipt.findtext(f"{{{NAMESPACE}}}Verdict") for receipt in gateway_receipts(gateway)]


def faults(receipt: etree._Element) -> list[str | None]:
    return [fault.get("code") for fault in receipt.iter(f"{{{NAMESPACE}}}Fault")]


def happened(gateway: Gateway, message: str) -> list[str]:
    with gateway.reading() as store:
        query = select(events.c.event).where(events.c.message == message).order_by(events.c.sequence)
        return list(store.execute(query).scalars())


def finals(gateway: Gateway, message: str) -> list[str]:
    with gateway.reading() as store:
        query = select(receipts.c.verdict).where(receipts.c.message == message, receipts.c.final)
        return list(store.execute(query).scalars())


@pytest.mark.parametrize("end", ["stopped", "killed"])
def test_the_notice_that_comes_after_a_restart_lets_it_go_on_to_its_end(tmp_path: Path, end: str) -> None:
    with Gateway(tmp_path) as gateway:
        row = declared(gateway)
        assert row.waiting_for == f"agreement {NUMBER}"
        assert row.until == row.received_at + timedelta(hours=48)
        assert verdicts(gateway) == ["waiting"]
        assert faults(gateway_receipts(gateway)[0]) == ["awaited"]
        assert finals(gateway, row.id) == []
        if end == "stopped":
            assert gateway.stop() == 0
        else:
            gateway.kill()
        gateway.start()

        gateway.send(ACCOUNT, "notice.xml", signed_notice(gateway.home, agreement(NUMBER)))
        gateway.until(lambda: sent(gateway).state == State.CLOSED)
        gateway.until(lambda: not unfinished(gateway.home))
        closed = sent(gateway)
        assert (closed.agreement, closed.waiting_for, closed.until) == (NUMBER, None, None)
        assert closed.customs_status == CustomsStatus.CLOSED
        assert verdicts(gateway) == ["waiting", "accepted"]
        assert finals(gateway, row.id) == ["accepted"]
        way = happened(gateway, row.id)
        assert way[:4] == [Event.RECEIVED, Event.WAITING, Event.ARRIVED, Event.PASSED]
        assert violations(gateway.home) == []


def test_a_message_whose_wait_ended_while_no_node_ran_is_refused_by_the_next(tmp_path: Path) -> None:
    with Mortal(tmp_path) as gateway:
        row = declared(gateway)
        gateway.kill()
        gateway.hurry(seconds=48 * 3600 + 60)
        gateway.start()
        gateway.until(lambda: sent(gateway).state == State.REJECTED)
        assert verdicts(gateway) == ["waiting", "rejected"]
        assert faults(gateway_receipts(gateway)[1]) == ["wait-expired", "awaited"]
        assert finals(gateway, row.id) == ["rejected"]
        assert happened(gateway, row.id) == [Event.RECEIVED, Event.WAITING, Event.EXPIRED, Event.REFUSED]
        # Too late: it is known for the next declaration.
        gateway.send(ACCOUNT, "notice.xml", signed_notice(gateway.home, agreement(NUMBER)))
        gateway.until(lambda: not unfinished(gateway.home))
        assert sent(gateway).state == State.REJECTED
        assert violations(gateway.home) == []


def test_a_running_node_refuses_what_waited_as_long_as_the_policy_says(tmp_path: Path) -> None:
    with Mortal(tmp_path) as gateway:
        declared(gateway)
        gateway.hurry(seconds=48 * 3600 - 600)
        assert sent(gateway).state == State.WAITING
        gateway.hurry(seconds=48 * 3600 + 60)
        gateway.until(lambda: sent(gateway).state == State.REJECTED)
