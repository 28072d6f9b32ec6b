"""Taking in what customs says: read, matched to its declaration, decided, committed, one after the other.

An answer is a message too: it stays in the store, linked to its declaration. One that cannot be matched yet
(a business receipt that overtook the technical answer with the SeqNo) waits for it; one that cannot be read
is held for an operator.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from gateway.answers import Answered, Target, Told, decide, read
from gateway.families import Families
from gateway.faults import Rejected
from gateway.ports import Answer, Clock, Register, Superseded
from gateway.stages.receipt import wanted
from gateway.states import TRANSITIONS, State, advance

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Filed:
    """An answer as it goes into the store. `parked` is the id of the row where it waited, if it did."""

    backend: str
    answer: Answer
    told: Told | None
    target: Target | None
    answered: Answered | None
    state: State
    reason: str = ""
    waiting_for: str | None = None
    parked: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    """An answer that waited for the SeqNo that it names."""

    id: str
    backend: str
    answer: Answer


class AnswerBook(Protocol):
    """The answers in the store."""

    async def target(self, told: Told, key: str | None, backend: str) -> Target | None:
        """The declaration that an answer belongs to: by submission key where the connection told it, by
        SeqNo, by entry number, or by the client's reference, the newest that was sent to this back-end."""
        ...

    async def file(self, filed: Filed) -> bool:
        """Writes the answer, what it changes and its receipts in one commit; False where the same answer of
        the same declaration is there already, and nothing is written. Raises `Superseded` where the
        declaration has changed since `target` was read."""
        ...

    async def parked(self, seq_no: str) -> Sequence[Parked]: ...


class CustomsAnswers:
    def __init__(self, book: AnswerBook, register: Register, families: Families, clock: Clock) -> None:
        self._book = book
        self._register = register
        self._families = families
        self._clock = clock

    async def take_in(self, backend: str, answers: Sequence[Answer]) -> None:
        """Returns when every answer is durable here, whatever became of it.

        Those of one declaration are taken one after the other, in the order in which they came; those of
        different ones share commits.
        """
        chains: defaultdict[str, list[tuple[Answer, Told]]] = defaultdict(list)
        for answer in answers:
            try:
                told = read(answer.body, self._families)
            except Rejected as refused:
                await self._hold(backend, answer, f"cannot be read: {refused}")
            else:
                chains[told.seq_no or told.client_reference].append((answer, told))
        await asyncio.gather(*(self._follow(backend, chain) for chain in chains.values()))

    async def _follow(self, backend: str, chain: Sequence[tuple[Answer, Told]]) -> None:
        after: Target | None = None
        for answer, told in chain:
            target, after = await self._take(backend, answer, told, None, after)
            # Also where the SeqNo is known already: a node may have died between this answer and those that
            # waited for it, and it is given again because of that.
            if target is not None and told.seq_no:
                for waited in await self._book.parked(told.seq_no):
                    said = read(waited.answer.body, self._families)
                    _, after = await self._take(waited.backend, waited.answer, said, waited.id, after)

    async def _take(
        self, backend: str, answer: Answer, told: Told, parked: str | None, known: Target | None
    ) -> tuple[Target | None, Target | None]:
        """The declaration as it was before this answer and as it is after it; None where there is none yet.

        `known` is as the answer before left it. Where it is the one that this answer's key names, it is not
        looked for again; if it has changed since, the commit says so.
        """
        while True:
            if known is None or known.message != answer.key:
                known = await self._book.target(told, answer.key, backend)
            target, known = known, None
            if target is None:
                if parked is None:
                    await self._park(backend, answer, told)
                return None, None
            answered = decide(told, target, answer.body, self._clock())
            if answered.event not in TRANSITIONS[target.state]:
                # One that must not keep the others from being heard: an operator has to look at it.
                await self._hold(backend, answer, f"{target.message} is {target.state}", parked)
                return None, None
            receipts = wanted(answered.receipts, self._register.party_of(target.account))
            filed = Filed(
                backend=backend,
                answer=answer,
                told=told,
                target=target,
                answered=replace(answered, receipts=receipts),
                state=State.CLOSED,
                parked=parked,
            )
            try:
                new = await self._book.file(filed)
            except Superseded:
                continue
            if new:
                log.info("answered", message=target.message, kind=told.kind.value, code=told.code)
            return target, _after(target, answered) if new else target

    async def _park(self, backend: str, answer: Answer, told: Told) -> None:
        log.warning("answer without its declaration", backend=backend, kind=told.kind.value)
        named = f"seq_no {told.seq_no}" if told.seq_no else f"reference {told.client_reference}"
        await self._book.file(
            Filed(
                backend=backend,
                answer=answer,
                told=told,
                target=None,
                answered=None,
                state=State.WAITING,
                waiting_for=named,
            )
        )

    async def _hold(self, backend: str, answer: Answer, reason: str, parked: str | None = None) -> None:
        log.error("answer held", backend=backend, reason=reason)
        await self._book.file(
            Filed(
                backend=backend,
                answer=answer,
                told=None,
                target=None,
                answered=None,
                state=State.HELD,
                reason=reason,
                parked=parked,
            )
        )


def _after(target: Target, answered: Answered) -> Target:
    return replace(
        target,
        state=advance(target.state, answered.event),
        customs_status=answered.customs_status,
        seq_no=answered.seq_no,
        entry_id=answered.entry_id,
        revision=target.revision + 1,
    )
