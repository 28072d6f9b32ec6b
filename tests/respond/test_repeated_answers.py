"""Which answers of customs are new, without a store."""

from dataclasses import replace
from typing import Final

from gateway.model.answer import Answer, AnsweredDeclaration, AnswerEffect
from gateway.model.message import Operation
from gateway.model.states import CustomsStatus, Event, State
from gateway.respond.ports import Matched, Unmatched
from gateway.respond.repeated_answers import FiledBefore, select_new
from tests.support.stores import PARSED_ANSWER, WAITS

DECLARATION: Final = AnsweredDeclaration(
    message="M1",
    account="broker",
    file_name="a.xml",
    reference="R1",
    state=State.DELIVERED,
    customs_status=CustomsStatus.NONE,
    seq_no="",
    entry_id="",
    operation=Operation.DECLARE,
    facts={},
    uses=None,
    released_to=frozenset(),
    revision=1,
)
MATCHED: Final = Matched(
    backend="customs",
    answer=Answer(id="1", name="a.xml", body=b"L"),
    parsed=PARSED_ANSWER,
    declaration=DECLARATION,
    effect=AnswerEffect(
        event=Event.ANSWERED, customs_status=CustomsStatus.STORED, seq_no="I1", entry_id="", receipts=()
    ),
)
OTHER: Final = replace(MATCHED, declaration=replace(DECLARATION, message="M2"))


def before(
    filed: Matched | Unmatched, id_: str = "A1", *, linked: str | None, waits: bool = False
) -> FiledBefore:
    return FiledBefore(id=id_, sha256=filed.answer.sha256, linked=linked, waits=waits)


def test_an_answer_is_new_once_for_each_declaration() -> None:
    assert select_new([MATCHED, MATCHED, OTHER], []).new == [MATCHED, OTHER]
    assert select_new([MATCHED, OTHER], [before(MATCHED, linked="M1")]).new == [OTHER]


def test_other_bytes_are_another_answer() -> None:
    assert (
        select_new(
            [replace(MATCHED, answer=replace(MATCHED.answer, body=b"P"))], [before(MATCHED, linked="M1")]
        ).new
        != []
    )


def test_an_answer_that_waits_counts_for_any_declaration() -> None:
    assert select_new([MATCHED, WAITS], [before(WAITS, linked=None, waits=True)]).new == []


def test_an_answer_that_waited_counts_as_new_once_its_declaration_is_known() -> None:
    parked = replace(MATCHED, parked="A1")
    assert select_new([parked], [before(parked, linked=None, waits=True)]).new == [parked]


def test_an_answer_whose_wait_another_commit_has_ended_is_left_alone() -> None:
    selection = select_new([replace(MATCHED, parked="A1")], [before(MATCHED, linked="M1")])
    assert (selection.new, selection.repeated) == ([], [])


def test_only_the_wait_ends_of_an_answer_that_came_again_meanwhile() -> None:
    parked = replace(MATCHED, parked="A1")
    filed = [before(parked, linked=None, waits=True), before(parked, "A2", linked="M1")]
    selection = select_new([parked], filed)
    assert (selection.new, selection.repeated) == ([], [parked])
