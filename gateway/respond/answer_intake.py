"""Taking in what customs says: read, matched to its declaration, decided, committed, one after the other.

An answer is a message too: it stays in the store, linked to its declaration. One that cannot be matched yet
(a business receipt that overtook the technical answer with the SeqNo) waits for it; one that cannot be read
is held for an operator.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from gateway.families.families import Families
from gateway.model.faults import Deferred, Fault
from gateway.model.message import message_of
from gateway.model.policy import Policy
from gateway.model.ports import Answer, Clock, Judges, Register, Superseded
from gateway.model.states import TRANSITIONS, CustomsStatus, State, advance
from gateway.monitor.observer import UNOBSERVED, Observer
from gateway.notify.notice_documents import Draft
from gateway.notify.recipients import given
from gateway.respond.answer import Answered, Target, Told, Unreadable, decide
from gateway.respond.match import Unclear

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """An answer with the declaration that it belongs to and what it makes of it. `target` is as the answers
    before it in the same chain leave it. `parked` is the id of the row where it waited, if it did. `drafts`
    are notices that are not among the receipts of `answered` yet: they are to be signed first."""

    backend: str
    answer: Answer
    told: Told
    target: Target
    answered: Answered
    drafts: tuple[Draft, ...] = ()
    parked: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmatched:
    """An answer that changes no declaration: it waits for the one that it names, or is held with a reason."""

    backend: str
    answer: Answer
    told: Told | None
    state: State
    reason: str = ""
    waiting_for: str | None = None
    parked: str | None = None


Filed = Matched | Unmatched


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
        SeqNo, by entry number, or by the client's reference, the newest that was sent to this back-end.
        Raises `Unclear` where that may be one of two, and where not all that it names is of one."""
        ...

    async def file(self, chain: Sequence[Filed]) -> Sequence[Filed]:
        """Writes answers, what they change and their receipts in one commit, and returns those that were new:
        of the same answer of the same declaration the second is not written. Raises `Superseded` where a
        declaration has changed since `target` was read; then nothing is written."""
        ...

    async def parked(self, seq_no: str) -> Sequence[Parked]: ...


class Readers(Judges, Protocol):
    """The workers, which read answers too: one that takes long must not stop the node."""

    async def told(self, answer: bytes) -> Told | None:
        """What an answer of customs says (`answer.read`); None for a message of a known type that is none.
        Raises `Unreadable`, also where reading it takes longer than any answer may, `Deferred`, or anything
        else for a failure of our own."""
        ...


@dataclass(frozen=True, slots=True)
class _Said:
    backend: str
    answer: Answer
    told: Told
    parked: str | None = None


class CustomsAnswers:
    def __init__(
        self,
        book: AnswerBook,
        register: Register,
        families: Families,
        policy: Policy,
        judges: Readers,
        clock: Clock,
        observer: Observer = UNOBSERVED,
    ) -> None:
        self._book = book
        self._register = register
        self._families = families
        self.policy = policy
        self._judges = judges
        self._clock = clock
        self._observer = observer

    async def take_in(
        self, backend: str, answers: Sequence[Answer], *, speaks: bool = False
    ) -> Sequence[Answer]:
        """Returns when every answer is durable here, whatever became of it. Where the back-end `speaks` of
        its own accord, those are given back that answer nothing: they are judged as messages of any party.

        Those of one declaration are taken in the order in which they came, in one commit; those of different
        ones share commits.
        """
        chains: defaultdict[str, list[_Said]] = defaultdict(list)
        own = []
        for answer, told in zip(answers, await self._all_told(answers), strict=True):
            if told is None and speaks:
                own.append(answer)
            elif not isinstance(told, Told):
                # Whatever is wrong with one answer must not keep the others from being heard.
                why = told or Fault.FAMILY_UNKNOWN.code
                log.error("answer cannot be read", backend=backend, error=why)
                await self._book.file([_held(backend, answer, None, f"cannot be read: {why}")])
            else:
                # What the two offices of a transit say is of one declaration.
                of_key = None if answer.key is None else message_of(answer.key)
                chains[of_key or told.seq_no or told.client_reference].append(_Said(backend, answer, told))
        await asyncio.gather(*(self._follow(chain) for chain in chains.values()))
        return own

    async def _all_told(self, answers: Sequence[Answer]) -> Sequence[Told | str | None]:
        return await asyncio.gather(*(self._told(each) for each in answers))

    async def _told(self, answer: Answer) -> Told | str | None:
        """What it says, why it cannot be read, or None where it is a message and no answer."""
        try:
            return await self._judges.told(answer.body)
        except Deferred:
            raise  # nothing is written yet: it is heard again
        except Exception as error:
            return str(error) if isinstance(error, Unreadable) else type(error).__name__

    async def _follow(self, chain: Sequence[_Said]) -> None:
        await self._file(chain)
        # Also where the SeqNo is known already: a node may have died between this answer and those that
        # waited for it, and it is given again because of that.
        for seq_no in dict.fromkeys(said.told.seq_no for said in chain if said.told.seq_no):
            parked = await self._book.parked(seq_no)
            said = await self._all_told([each.answer for each in parked])
            waited = [
                _Said(each.backend, each.answer, told, each.id)
                for each, told in zip(parked, said, strict=True)
                if isinstance(told, Told)
            ]
            if waited:
                await self._file(waited)

    async def _file(self, chain: Sequence[_Said]) -> None:
        while True:
            try:
                new = await self._book.file(await self._signed(await self._decided(chain)))
            except Superseded:
                continue
            for filed in new:
                if isinstance(filed, Matched):
                    told = filed.told
                    message, kind = filed.target.message, told.kind.value
                    self._observer.answered(message, filed.backend, kind, self._clock())
                    log.info("answered", message=filed.target.message, kind=told.kind.value, code=told.code)
                else:
                    log.warning("answer not matched", backend=filed.backend, state=filed.state.value)
            return

    async def _signed(self, chain: Sequence[Filed]) -> list[Filed]:
        """The same with every draft signed and among the receipts."""
        drafts = [draft for filed in chain if isinstance(filed, Matched) for draft in filed.drafts]
        bodies = iter(await self._judges.signed([draft.document for draft in drafts]))
        return [_with_notices(filed, bodies) if isinstance(filed, Matched) else filed for filed in chain]

    async def _decided(self, chain: Sequence[_Said]) -> list[Filed]:
        """What the answers make of their declarations, each as the one before it leaves it."""
        filed: list[Filed] = []
        reached: dict[str, Target] = {}
        for said in chain:
            try:
                target = await self._book.target(said.told, _key(reached, said), said.backend)
            except Unclear as error:
                # To guess would give one party what customs says of another's.
                filed.append(_held(said.backend, said.answer, said.told, str(error), said.parked))
                continue
            if target is None:
                if said.parked is None:
                    filed.append(_waiting(said))
                continue
            target = reached.get(target.message, target)
            if reason := _disagrees(said.told, target):
                filed.append(_held(said.backend, said.answer, said.told, reason, said.parked))
                continue
            now = self._clock()
            answered = decide(said.told, target, said.answer.body, self.policy, now)
            if answered.event not in TRANSITIONS[target.state]:
                # One that must not keep the others from being heard: an operator has to look at it.
                reason = f"{target.message} is {target.state}"
                filed.append(_held(said.backend, said.answer, said.told, reason, said.parked))
                continue
            texts = self._families.notices(said.told.family)
            told = given(said.told, target, answered, self._register, texts, now)
            reached[target.message] = _after(target, answered, told.drafts)
            filed.append(
                Matched(
                    backend=said.backend,
                    answer=said.answer,
                    told=said.told,
                    target=target,
                    answered=replace(answered, receipts=told.receipts),
                    drafts=told.drafts,
                    parked=said.parked,
                )
            )
        return filed


def _key(reached: dict[str, Target], said: _Said) -> str | None:
    """What the connection tells; where it does not, the declaration to which an earlier answer of the chain
    gave the SeqNo that this one names."""
    if said.answer.key is not None:
        return said.answer.key
    named = (target for target in reached.values() if said.told.seq_no == target.seq_no != "")
    return next((target.message for target in named), None)


def _disagrees(told: Told, target: Target) -> str:
    """Where an answer names another number than its declaration has: one of them is wrong, and the receipt
    may be another party's."""
    for named, known in ((told.seq_no, target.seq_no), (told.entry_id, target.entry_id)):
        if named and known and named != known:
            return f"it names {named}, {target.message} has {known}"
    return ""


def _waiting(said: _Said) -> Unmatched:
    told = said.told
    named = f"seq_no {told.seq_no}" if told.seq_no else f"reference {told.client_reference}"
    return Unmatched(
        backend=said.backend, answer=said.answer, told=told, state=State.WAITING, waiting_for=named
    )


def _held(
    backend: str, answer: Answer, told: Told | None, reason: str, parked: str | None = None
) -> Unmatched:
    return Unmatched(
        backend=backend, answer=answer, told=told, state=State.HELD, reason=reason, parked=parked
    )


def _with_notices(matched: Matched, bodies: Iterator[bytes]) -> Matched:
    notices = tuple(draft.receipt(next(bodies)) for draft in matched.drafts)
    receipts = matched.answered.receipts + notices
    return replace(matched, answered=replace(matched.answered, receipts=receipts), drafts=())


def _after(target: Target, answered: Answered, drafts: Sequence[Draft]) -> Target:
    released = {draft.account for draft in drafts if draft.says == CustomsStatus.RELEASED}
    return replace(
        target,
        state=advance(target.state, answered.event),
        customs_status=answered.customs_status,
        seq_no=answered.seq_no,
        entry_id=answered.entry_id,
        uses=None if answered.customs_status is CustomsStatus.REFUSED else target.uses,
        released_to=target.released_to | released,
    )
