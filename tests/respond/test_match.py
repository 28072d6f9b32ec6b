"""Which declaration an answer belongs to, without a store."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

import pytest

from gateway.model.answer import AnswerKind, CustomsAnswer
from gateway.model.message import Operation
from gateway.respond.match import Unclear, match

KEY = "01JD0000000000000000000000"
OTHER_KEY = "01JD0000000000000000000001"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    id: str = KEY
    declaration: str = KEY
    reference: str = "C-1"
    operation: str = Operation.DECLARE
    party: str = "A"
    seq_no: str | None = None
    entry_id: str | None = None


@dataclass(frozen=True)
class CandidateList:
    """match.Candidates over a list, the newest first."""

    sent: Sequence[Candidate] = field(default_factory=list)

    def of_message(self, message: str) -> Candidate | None:
        return next((candidate for candidate in self.sent if candidate.id == message), None)

    def of_seq_no(self, seq_no: str) -> Candidate | None:
        return next((candidate for candidate in self.sent if candidate.seq_no == seq_no), None)

    def of_entry(self, entry_id: str) -> Candidate | None:
        return next((candidate for candidate in self.sent if candidate.entry_id == entry_id), None)

    def of_reference(self, reference: str, seq_no: str) -> Candidate | None:
        return next(iter(self._under(reference, seq_no)), None)

    def open_under(self, reference: str, seq_no: str) -> Collection[tuple[str, str | None]]:
        return [(candidate.party, candidate.seq_no) for candidate in self._under(reference, seq_no)]

    def others_with(self, *, seq_no: str = "", entry_id: str = "", declaration: str) -> Sequence[str]:
        return [
            candidate.id
            for candidate in self.sent
            if candidate.declaration != declaration
            and ((seq_no and candidate.seq_no == seq_no) or (entry_id and candidate.entry_id == entry_id))
        ]

    def _under(self, reference: str, seq_no: str) -> list[Candidate]:
        return [
            candidate
            for candidate in self.sent
            if candidate.reference == reference and candidate.seq_no in (None, seq_no)
        ]


ANSWER = CustomsAnswer(
    kind=AnswerKind.BUSINESS,
    family="cn-dec",
    client_reference="",
    seq_no="",
    entry_id="",
    status=None,
    code="J",
    note="",
    at=None,
)


def named(*, client_reference: str = "", seq_no: str = "", entry_id: str = "") -> CustomsAnswer:
    return replace(ANSWER, client_reference=client_reference, seq_no=seq_no, entry_id=entry_id)


FIRST = Candidate(seq_no="S1", entry_id="E1")
SECOND = Candidate(
    id=OTHER_KEY, declaration=OTHER_KEY, reference="C-2", party="B", seq_no="S2", entry_id="E2"
)


@pytest.mark.parametrize(
    ("key", "names", "expected"),
    [
        (OTHER_KEY, {}, SECOND),
        (f"{OTHER_KEY}-5301", {}, SECOND),
        (None, {"seq_no": "S1"}, FIRST),
        (None, {"entry_id": "E2"}, SECOND),
        (None, {"seq_no": "unknown", "entry_id": "E2"}, SECOND),
        (None, {"seq_no": "S9"}, None),
        (None, {}, None),
    ],
)
def test_an_answer_is_matched_by_its_key_then_by_its_numbers(
    key: str | None, names: dict[str, str], expected: Candidate | None
) -> None:
    assert match(named(**names), key, CandidateList([SECOND, FIRST])) == expected


@pytest.mark.parametrize(
    ("key", "names", "why"),
    [
        (KEY, {"seq_no": "S2"}, "it names S2"),
        (KEY, {"entry_id": "E2"}, "it names E2"),
        (None, {"seq_no": "S1", "entry_id": "E2"}, "it names E2"),
        (KEY, {"client_reference": "C-9"}, "it names the reference C-9"),
        ("01JD0000000000000000000009", {"seq_no": "S1"}, "it bears the key of"),
    ],
)
def test_an_answer_that_names_two_declarations_is_matched_with_neither(
    key: str | None, names: dict[str, str], why: str
) -> None:
    with pytest.raises(Unclear, match=why):
        match(named(**names), key, CandidateList([SECOND, FIRST]))


def test_a_reference_that_two_parties_use_names_nobody() -> None:
    both = CandidateList([Candidate(party="A"), Candidate(id=OTHER_KEY, declaration=OTHER_KEY, party="B")])
    with pytest.raises(Unclear, match="more than one party"):
        match(replace(ANSWER, client_reference="C-1"), None, both)


def test_two_parties_declarations_of_one_reference_are_distinguished_by_the_number_of_one() -> None:
    open_ = Candidate(id=OTHER_KEY, declaration=OTHER_KEY, party="B")
    both = CandidateList([open_, FIRST])
    assert match(replace(ANSWER, client_reference="C-1", seq_no="S1"), None, both) == FIRST


def test_the_first_answer_to_a_declaration_is_matched_by_reference_if_a_saved_one_has_the_number() -> None:
    saved = Candidate(id=OTHER_KEY, declaration=KEY, reference="C-1", operation=Operation.SAVE, seq_no="S1")
    declared = Candidate(reference="C-2", seq_no=None)
    technical = replace(ANSWER, kind=AnswerKind.TECHNICAL, client_reference="C-2", seq_no="S1")
    assert match(technical, None, CandidateList([declared, saved])) == declared


def test_messages_about_a_declaration_have_references_of_their_own() -> None:
    informs = Candidate(operation=Operation.INFORM, seq_no="S1")
    assert (
        match(replace(ANSWER, client_reference="C-9", seq_no="S1"), KEY, CandidateList([informs])) == informs
    )
