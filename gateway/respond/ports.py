"""The ports of responding: answers in the store, the messages that they may belong to, and who reads them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from gateway.model.answer import Answer, AnsweredDeclaration, AnswerEffect, CustomsAnswer
from gateway.model.states import State
from gateway.model.transition import Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """An answer with its declaration and its effect. The declaration is as the earlier answers of the same
    chain leave it. `parked` is the id of the row where the answer waited, if it did."""

    backend: str
    answer: Answer
    parsed: CustomsAnswer
    declaration: AnsweredDeclaration
    effect: AnswerEffect
    parked: str | None = None

    @property
    def linked(self) -> str | None:
        return self.declaration.message


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmatched:
    """An answer that changes no declaration: it waits for the one that it names, or is held for a reason."""

    backend: str
    answer: Answer
    parsed: CustomsAnswer | None
    state: State
    reason: str = ""
    waiting_for: str | None = None
    parked: str | None = None

    @property
    def linked(self) -> str | None:
        return None


Filed = Matched | Unmatched
Chain = Sequence[Filed]  # answers to one declaration in order of arrival; or one answer without a declaration


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedAnswer:
    """An answer as a back-end gave it; `parked` is the id of the row where it waited for its declaration, if
    it did."""

    backend: str
    answer: Answer
    parked: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecidedAnswers:
    """What answers that arrived together come to, their receipts signed. `no_answers` are messages of known
    types that are no answers."""

    chains: tuple[Chain, ...]
    no_answers: tuple[ReceivedAnswer, ...] = ()


class Declarations(Protocol):
    """The declarations that answers belong to. Synchronous: it is read inside worker processes."""

    def target(self, parsed: CustomsAnswer, key: str | None, backend: str) -> AnsweredDeclaration | None:
        """The declaration that an answer belongs to, by its kind and what it names: by submission key where
        the connection gives it, by SeqNo, by entry number, or by the client's reference, the newest that was
        sent to this back-end. Raises `Unclear` where two are possible, and where the numbers that it names
        belong to several."""
        ...


class AnswerStore(Protocol):
    """The answers in the store."""

    async def file(self, chains: Sequence[Chain]) -> Sequence[Sequence[Filed] | Refusal]:
        """Writes the answers of each chain, their effects and their receipts in one commit, and returns for
        each chain the new ones: a repeated answer to the same declaration is not written again. A chain is
        refused where its declaration has changed since it was read; then nothing of it is written."""
        ...

    async def parked(self, seq_nos: Collection[str]) -> Sequence[ReceivedAnswer]:
        """The answers that wait for a declaration with one of these SeqNos, in order of arrival."""
        ...


class AnswerDeciders(Protocol):
    """The worker processes, which read, match and decide answers and sign what parties receive for them, so
    that a slow one does not block the node."""

    async def decided(self, answers: Sequence[ReceivedAnswer]) -> DecidedAnswers:
        """`decide_answers.decided`. An answer on which a worker dies is held as unreadable. Raises
        `JudgementDeferred`, or anything else for a failure of our own."""
        ...


class Candidate(Protocol):
    """A message that an answer may belong to. `declaration` is the message that began its declaration:
    several messages may belong to one."""

    @property
    def id(self) -> str: ...
    @property
    def declaration(self) -> str: ...
    @property
    def reference(self) -> str | None: ...
    @property
    def operation(self) -> str | None: ...


T_co = TypeVar("T_co", bound=Candidate, covariant=True)


class Candidates(Protocol[T_co]):
    """Messages that were sent to the back-end that answers; of several, the newest. A back-end answers only
    what was sent to it, never what another one has."""

    def of_message(self, message: str) -> T_co | None: ...

    def of_seq_no(self, seq_no: str) -> T_co | None: ...

    def of_entry(self, entry_id: str) -> T_co | None: ...

    def of_reference(self, reference: str, seq_no: str) -> T_co | None:
        """Only among messages that have no SeqNo yet, or this one: two parties may use the same reference."""
        ...

    def open_under(self, reference: str, seq_no: str) -> Collection[tuple[str, str | None]]:
        """The parties that have an open declaration with this reference, each with its SeqNo; as above."""
        ...

    def others_with(self, *, seq_no: str = "", entry_id: str = "", declaration: str) -> Sequence[str]:
        """Messages of other declarations that have this number, whatever back-end they were sent to."""
        ...
