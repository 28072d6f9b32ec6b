"""`gateway agreements`: what operators see of mandates and agreements."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from adapters.cli.exit_codes import NO, USAGE
from cli import app
from gateway.model.agreements import Act
from tests.support.association import agreement, agreement_document, signed_notice
from tests.support.declarations import Declaration, enterprise
from tests.support.harness import Harness
from tests.support.rendering import render

NUMBER = "195200016172325"
TRADER, BROKER = enterprise("trader-a"), enterprise("broker-aa")


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    """One agreement was told of and used by a declaration; no test changes the home."""
    with Harness.at(tmp_path_factory.mktemp("agreements") / "home") as harness:
        harness.judged(
            "association", "notice.xml", signed_notice(harness.home, agreement(NUMBER, goods=("8482",)))
        )
        harness.judged(
            "broker-aa",
            "R1.xml",
            render(Declaration(reference="R1", documents=(agreement_document(NUMBER),))),
        )
        yield harness


def run(harness: Harness, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["agreements", *arguments, "--home", str(harness.home.path)])
    return result.exit_code, result.stdout


def listed(harness: Harness, *arguments: str) -> Any:
    code, text = run(harness, *arguments, "--json")
    assert code == 0
    return json.loads(text)


def test_agreements_are_listed_in_order_of_their_notices(harness: Harness) -> None:
    everything = listed(harness, "list")
    assert [row["number"] for row in everything][-1] == NUMBER
    assert {row["kind"] for row in everything[:-1]} == {"long-term"}
    assert listed(harness, "list", "--limit", "1") == everything[-1:]
    assert listed(harness) == everything


@pytest.mark.parametrize(
    ("narrowed", "count"),
    [
        (("--state", "used"), 1),
        (("--state", "terminated"), 0),
        (("--kind", "per-shipment"), 1),
        (("--kind", "long-term", "--state", "in_force"), 6),
        (("--trader", TRADER.code), 3),
        (("--trader", TRADER.scc), 3),
        (("--trader", "trader-a", "--broker", "broker-aa"), 2),
        (("--broker", "broker-aa"), 4),
        (("--broker", "nobody"), 0),
    ],
)
def test_a_list_is_narrowed_by_what_is_asked(harness: Harness, narrowed: tuple[str, ...], count: int) -> None:
    assert len(listed(harness, "list", *narrowed)) == count


def test_an_agreement_is_shown_with_its_terms_its_notice_and_messages_accepted_under_it(
    harness: Harness,
) -> None:
    one = listed(harness, "show", NUMBER)
    (message,) = one["messages"]
    assert (one["state"], one["goods"], one["used_by"], one["revision"]) == (
        "used",
        ["8482"],
        message["id"],
        2,
    )
    assert (message["reference"], message["state"]) == ("R1", "accepted")
    notice = one["notice"]
    assert notice["name"] == "notice.xml"
    with harness.blobs.open(notice["sha256"]) as file:
        assert hashlib.sha256(file.read()).hexdigest() == notice["sha256"]
    code, text = run(harness, "show", NUMBER)
    assert code == 0
    assert "goods  8482" in text
    assert message["id"] in text


def test_every_act_is_traced_with_its_actor_and_its_message(harness: Harness) -> None:
    acts = listed(harness, "trace", NUMBER)
    one = listed(harness, "show", NUMBER)
    assert [(act["act"], act["actor"], act["state"], act["message"]) for act in acts] == [
        (Act.CONFIRMED, "association", "in_force", one["notice"]["message"]),
        (Act.USED, "gateway", "used", one["used_by"]),
    ]
    assert acts[0]["at"] < acts[1]["at"]


def test_an_agreement_that_init_registered_has_a_stored_notice_and_no_message(harness: Harness) -> None:
    first = listed(harness, "list")[0]["number"]
    notice = listed(harness, "show", first)["notice"]
    assert notice["message"] is None
    with harness.blobs.open(notice["sha256"]) as file:
        assert first.encode() in file.read()
    (act,) = listed(harness, "trace", first)
    assert (act["actor"], act["message"]) == ("init", None)


@pytest.mark.parametrize("command", ["show", "trace"])
def test_an_unknown_agreement_number_ends_with_1(harness: Harness, command: str) -> None:
    assert run(harness, command, "99999999999")[0] == NO


def test_a_state_that_does_not_exist_ends_with_2(harness: Harness) -> None:
    assert run(harness, "list", "--state", "nonsense")[0] == USAGE
