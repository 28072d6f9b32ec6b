"""Hold, release and reject by the command line, beside a node that works on the same messages."""

import json
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from sqlalchemy import select

from adapters.store.tables.messages import events, messages
from gateway.formats.submission import NAMESPACE
from gateway.formats.xml import trusted
from gateway.model.states import Event, State
from tests.support.association import ACCOUNT, agreement, agreement_document, signed_notice
from tests.support.declarations import Declaration, owing_nothing
from tests.support.invariants import violations
from tests.support.rendering import render
from tests.support.served import Gateway

BROKER = "broker-aa"
NUMBER = "195200016172325"


def row_of(gateway: Gateway, reference: str) -> Any:
    with gateway.reading() as store:
        own = (messages.c.name == f"{reference}.xml", messages.c.kind == "inbound")
        return store.execute(select(messages).where(*own)).one_or_none()


def waits(gateway: Gateway, reference: str) -> str:
    """The id of a declaration that waits for its agreement."""
    body = render(Declaration(reference=reference, documents=(agreement_document(NUMBER),)))
    gateway.send(BROKER, f"{reference}.xml", body)
    gateway.until(lambda: (row := row_of(gateway, reference)) and row.state == State.WAITING)
    return str(row_of(gateway, reference).id)


def act(gateway: Gateway, verb: str, message: str, reason: str = "tests") -> str:
    done = gateway.cli("messages", verb, message, "--reason", reason, "--json")
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["state"])


def receipts(gateway: Gateway, reference: str) -> list[etree._Element]:
    names = sorted(name for name in gateway.inbox(BROKER) if name.startswith(f"Gateway_{reference}_"))
    return [trusted(gateway.read(BROKER, f"/InBox/{name}")) for name in names]


def verdicts(gateway: Gateway, reference: str) -> list[tuple[str | None, str | None]]:
    receipt_rows = receipts(gateway, reference)
    return [
        (row.findtext(f"{{{NAMESPACE}}}Verdict"), row.findtext(f"{{{NAMESPACE}}}Final"))
        for row in receipt_rows
    ]


def test_a_held_and_rejected_message_has_exactly_one_final_receipt_that_verifies(tmp_path: Path) -> None:
    with Gateway(tmp_path) as gateway:
        message = waits(gateway, "R1")
        assert act(gateway, "hold", message) == State.HELD
        refused = gateway.cli("messages", "hold", message, "--reason", "again")
        assert refused.returncode == 1
        assert "a message that is held cannot be held; possible: release, reject, replay" in refused.stderr
        assert act(gateway, "reject", message, "撤回 <withdrawn>") == State.REJECTED

        assert verdicts(gateway, "R1") == [("waiting", "false"), ("rejected", "true")]
        (fault,) = receipts(gateway, "R1")[-1].iter(f"{{{NAMESPACE}}}Fault")
        assert fault.get("code") == "dismissed"
        assert "撤回 <withdrawn>" in "".join(fault.itertext())
        inbox = gateway.inbox(BROKER)
        assert len([name for name in inbox if name.startswith("Failed_R1_")]) == 1
        (name,) = [name for name in inbox if name.startswith("Gateway_R1_")][-1:]
        (tmp_path / "receipt.xml").write_bytes(gateway.read(BROKER, f"/InBox/{name}"))
        assert gateway.cli("receipts", "verify", str(tmp_path / "receipt.xml")).returncode == 0
        again = gateway.cli("messages", "reject", message, "--reason", "again")
        assert (again.returncode, "possible: replay" in again.stderr) == (1, True)
        assert gateway.stop() == 0
        assert violations(gateway.home) == []


def test_a_released_message_goes_on_when_what_it_waits_for_has_come(tmp_path: Path) -> None:
    with Gateway(tmp_path) as gateway:
        message = waits(gateway, "R1")
        act(gateway, "hold", message)
        gateway.send(ACCOUNT, "told.xml", signed_notice(gateway.home, agreement(NUMBER)))
        gateway.until(lambda: (row := row_of(gateway, "told")) and row.state == State.CLOSED)
        assert row_of(gateway, "R1").state == State.HELD
        act(gateway, "release", message)
        gateway.until(lambda: row_of(gateway, "R1").customs_status != "none")
        assert gateway.stop() == 0
        assert violations(gateway.home) == []


@pytest.mark.parametrize("verb", ["hold", "reject"])
def test_of_a_judgement_and_an_operator_at_the_same_time_one_counts(tmp_path: Path, verb: str) -> None:
    with Gateway(tmp_path) as gateway:
        message = waits(gateway, "R1")
        gateway.send(ACCOUNT, "told.xml", signed_notice(gateway.home, agreement(NUMBER)))  # it is woken now
        done = gateway.cli("messages", verb, message, "--reason", "now")
        assert done.returncode in (0, 1), done.stderr
        gateway.until(lambda: row_of(gateway, "told").state == State.CLOSED)
        ends = (State.CLOSED, State.DELIVERED, State.REJECTED, State.HELD)
        gateway.until(lambda: row_of(gateway, "R1").state in ends)
        final = [verdict for verdict, final in verdicts(gateway, "R1") if final == "true"]
        assert len(final) == (0 if done.returncode == 0 and verb == "hold" else 1)
        assert gateway.stop() == 0
        assert violations(gateway.home) == []


def test_the_trail_names_who_did_it_and_why(tmp_path: Path) -> None:
    with Gateway(tmp_path) as gateway:
        message = waits(gateway, "R1")
        act(gateway, "hold", message, "look at it")
        with gateway.reading() as store:
            last = select(events).where(events.c.message == message).order_by(events.c.sequence.desc())
            row = store.execute(last.limit(1)).one()
        assert row.event == Event.HELD
        assert row.actor not in ("", "gateway")
        assert json.loads(row.detail) == {"reason": "look at it"}


def test_a_message_that_customs_has_can_neither_be_held_nor_rejected(tmp_path: Path) -> None:
    with Gateway(tmp_path) as gateway:
        gateway.send(BROKER, "R1.xml", render(owing_nothing("R1")))
        gateway.until(lambda: (row := row_of(gateway, "R1")) and row.state == State.CLOSED)
        for verb in ("hold", "release", "reject"):
            done = gateway.cli("messages", verb, row_of(gateway, "R1").id, "--reason", "tests")
            assert done.returncode == 1
            assert "a message that is closed cannot be" in done.stderr


def test_an_act_without_a_reason_is_a_wrong_use(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    for reason in ([], ["--reason", " "]):
        assert gateway.cli("messages", "hold", "ANY", *reason).returncode == 2
