"""Routes: the first that covers a message takes it; what none covers is refused."""

import pytest
from pydantic import ValidationError

from gateway.judge.route import first
from gateway.model.faults import MessageRejected
from gateway.model.routes import Route, Routes

TIANJIN = Route(name="tianjin", backend="north", office=("02*",))
SEA_IMPORT = Route(name="sea", backend="sea", direction=("I",), transport=("2", "5"))
ANY = Route(name="any", backend="rest")


def first_route(*routes: Route, **values: str) -> str:
    return first("DecMessage", values, Routes(route=routes)).name


def test_the_first_route_that_covers_a_message_takes_it() -> None:
    assert first_route(TIANJIN, ANY, office="0202") == "tianjin"
    assert first_route(ANY, TIANJIN, office="0202") == "any"
    assert first_route(TIANJIN, ANY, office="2248") == "any"


def test_every_condition_must_hold_and_each_may_list_several() -> None:
    assert first_route(SEA_IMPORT, ANY, direction="I", transport="5") == "sea"
    assert first_route(SEA_IMPORT, ANY, direction="E", transport="5") == "any"
    assert first_route(SEA_IMPORT, ANY, direction="I", transport="4") == "any"
    assert first_route(SEA_IMPORT, ANY, direction="I") == "any"


def test_the_type_is_a_condition_too() -> None:
    other = Route(name="other", backend="x", type=("CEB311Message",))
    assert first_route(other, ANY, office="0202") == "any"


@pytest.mark.parametrize("routes", [(), (TIANJIN,), (TIANJIN, SEA_IMPORT)])
def test_a_message_that_no_route_covers_is_refused_and_never_sent(routes: tuple[Route, ...]) -> None:
    with pytest.raises(MessageRejected) as refusal:
        first_route(*routes, office="2248", direction="E")
    (finding,) = refusal.value.findings
    assert finding.code == "no-route"
    assert "office 2248, direction E, transport -" in finding.en
    assert "申报地海关 2248，进出口标志 E，运输方式 -" in finding.zh


def test_an_unknown_condition_is_an_error() -> None:
    with pytest.raises(ValidationError):
        Routes.read({"route": [{"name": "a", "backend": "b", "ofice": ["02*"]}]})
