"""The same shipment proposed to the association once more."""

from datetime import timedelta
from typing import Any

import pytest

from adapters.sandbox.association.answers import import_agr_response
from gateway.model.agreements import PROPOSED, Act, NoticeAct
from gateway.model.answer import Answer
from gateway.model.china import china_date
from gateway.model.states import Event
from tests.support.agreement_requests import request
from tests.support.association import ACCOUNT, agreement, signed_notice
from tests.support.customs import answer
from tests.support.declarations import enterprise
from tests.support.harness import NOW, Harness

NUMBER = "20260000000000001"


def imported(harness: Harness, message: str) -> None:
    """The association answers the request with a number."""
    code = enterprise("broker-aa").code
    body = import_agr_response(code=0, message="导入成功", cop_code=code, consign_no=NUMBER)
    answer(harness, "association", Answer(id="1", name="a.xml", body=body, key=message))


def notify(harness: Harness, act: NoticeAct, **terms: Any) -> None:
    body = signed_notice(harness.home, agreement(NUMBER, **terms), act)
    assert harness.judged(ACCOUNT, f"{act}.xml", body).event is not Event.REFUSED


@pytest.mark.parametrize(
    ("acts", "again"),
    [
        ((), False),
        ((PROPOSED,), False),
        ((Act.CONFIRMED,), False),
        ((Act.CONFIRMED, Act.USED), False),
        ((PROPOSED, Act.REFUSED), True),
        ((PROPOSED, Act.WITHDRAWN), True),
        ((Act.CONFIRMED, Act.TERMINATED), True),
    ],
    ids=lambda acts: "-".join(acts) if isinstance(acts, tuple) else "",
)
def test_a_shipment_is_proposed_again_once_its_agreement_came_to_nothing(
    harness: Harness, acts: tuple[NoticeAct, ...], again: bool
) -> None:
    body = request("broker-aa")
    first = harness.judged("broker-aa", "1.xml", body)
    imported(harness, first.message)
    for act in acts:
        notify(harness, act)

    second = harness.judged("broker-aa", "2.xml", body)
    third = harness.judged("broker-aa", "3.xml", body)

    assert second.event is (Event.PASSED if again else Event.REPEATED)
    assert third.event is Event.REPEATED
    if again:  # with a submission of its own, so that it gets another number
        (submission,) = second.submissions
        assert submission.key == second.message
        assert third.linked == second.message


@pytest.mark.parametrize(("days", "again"), [(0, False), (1, True)])
def test_a_shipment_is_proposed_again_once_its_agreement_is_out_of_date(
    harness: Harness, days: int, again: bool
) -> None:
    body = request("broker-aa")
    first = harness.judged("broker-aa", "1.xml", body)
    imported(harness, first.message)
    notify(harness, Act.CONFIRMED, valid_until=china_date(NOW) - timedelta(days=days))
    second = harness.judged("broker-aa", "2.xml", body)
    assert second.event is (Event.PASSED if again else Event.REPEATED)
