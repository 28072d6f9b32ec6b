"""`gateway check` and `gateway routes try`: which route a message would take, and why no other."""

from pathlib import Path

from tests.support.declarations import Declaration
from tests.support.harness import Harness
from tests.support.operating import gateway
from tests.support.rendering import render


def declared(folder: Path, office: str) -> str:
    path = folder / f"{office}.xml"
    path.write_bytes(render(Declaration(office=office)))
    return str(path)


def test_every_route_is_shown_in_order_with_why_it_takes_the_message_or_not(
    harness: Harness, tmp_path: Path
) -> None:
    result = gateway(harness, "routes", "try", declared(tmp_path, "2202"), "--json")
    assert result.code == 0
    assert [(route["order"], route["route"], route["takes_it"], route["why"]) for route in result.json] == [
        (1, "tianjin", False, "office 2202 is not among its own"),
        (2, "shanghai", True, "every condition holds for office 2202"),
        (3, "other-districts", False, "not looked at: one before takes it"),
        (4, "agreements", False, "not looked at: one before takes it"),
    ]


def test_a_message_that_no_route_takes_ends_with_1(harness: Harness, tmp_path: Path) -> None:
    result = gateway(harness, "routes", "try", declared(tmp_path, "0002"), "--json")
    assert result.code == 1
    assert [route["takes_it"] for route in result.json] == [False] * 4


def test_check_names_the_route_that_would_be_taken(harness: Harness, tmp_path: Path) -> None:
    file = declared(tmp_path, "0202")
    assert "\n  route: tianjin\n" in gateway(harness, "check", file, "--lang", "en").out
    assert "\n  递交线路：tianjin\n" in gateway(harness, "check", file, "--lang", "zh").out
