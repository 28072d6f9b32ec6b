"""Transit through a served gateway: both offices get it, and its sender hears of each step (R10)."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from adapters.store.tables.messages import deliveries, messages, receipts
from gateway.formats import xml
from gateway.model.message import ReceiptKind
from gateway.model.states import CustomsStatus, DeliveryState, State
from tests.support.declarations import Declaration, export
from tests.support.invariants import violations
from tests.support.rendering import packed
from tests.support.served import Gateway

ACCOUNT = "broker-aa"
INLAND, BORDER = "0202", "2248"
COURSES = {
    "import in advance": ("I", {"DeclTrnRel": "1", "EdiId": "1"}, "L J TrD TrA P R TrW"),
    "import direct": ("I", {"DeclTrnRel": "0", "EdiId": "6"}, "L TrD TrA J P R TrW"),
    "export in advance": ("E", {"DeclTrnRel": "1", "EdiId": "1"}, "L J TrD TrA P R TrW"),
    "export direct": ("E", {"DeclTrnRel": "0", "EdiId": "6"}, "L J TrD TrA P R TrW"),
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder: Path = tmp_path_factory.mktemp("transit")
    with Gateway(folder) as gateway:
        yield gateway


def transit(course: str, reference: str) -> Declaration:
    direction, head, _answers = COURSES[course]
    plain = Declaration() if direction == "I" else export()
    return Declaration(
        reference=reference,
        operation="D",
        direction=plain.direction,
        office=INLAND,
        lines=plain.lines,
        head={"IEPort": BORDER, **head},
        blocks={
            "TrnHead": ({"TrnPreId": None, "NativeTrafMode": "4", "TransFlag": "11", "TrnType": "1"},),
            "TrnList": ({"TrafMode": "2", "ShipId": "UN9000001", "VoyageNo": "026E", "BillNo": "DEMO1"},),
        },
    )


@pytest.mark.parametrize("course", COURSES)
def test_both_offices_get_the_transit_declaration_and_every_step_gives_a_receipt(
    course: str, gateway: Gateway
) -> None:
    name = f"{course.replace(' ', '-')}.zip"
    gateway.send(ACCOUNT, name, packed(transit(course, f"T{list(COURSES).index(course):017}")))

    def scene() -> list[str]:
        with gateway.reading() as store:
            query = (
                select(receipts.c.body)
                .join(messages, messages.c.id == receipts.c.message)
                .where(
                    messages.c.name == name,
                    receipts.c.kind == ReceiptKind.BUSINESS,
                    receipts.c.account == ACCOUNT,
                )
                .order_by(receipts.c.id)
            )
            bodies = store.execute(query).scalars().all()
        return [xml.parse(body).findtext(".//CHANNEL") or "" for body in bodies]

    answers = COURSES[course][2].split()
    gateway.until(lambda: len(scene()) == len(answers), seconds=25)
    assert scene() == answers
    with gateway.reading() as store:
        row = store.execute(select(messages).where(messages.c.name == name)).one()
        sent = store.execute(select(deliveries).where(deliveries.c.message == row.id)).all()
        finals = store.execute(
            select(receipts.c.verdict).where(receipts.c.message == row.id, receipts.c.final)
        ).all()
    assert (row.state, row.customs_status) == (State.CLOSED, CustomsStatus.CLOSED)
    assert {delivery.key for delivery in sent} == {row.id, f"{row.id}-{BORDER}"}
    assert {delivery.state for delivery in sent} == {DeliveryState.DELIVERED}
    assert [receipt.verdict for receipt in finals] == ["accepted"]
    message = json.loads(gateway.cli("messages", "show", row.id, "--json").stdout)
    assert [step["step"] for step in message["steps"]] == ["departed", "arrived", "written_off"]
    assert violations(gateway.home) == []
