"""Takes in the answers of customs: each is read, matched to its declaration, decided and committed in turn.

An answer is a message too: it is kept in the store, linked to its declaration. One that cannot be matched yet
(a business receipt that overtook the technical answer with the SeqNo) waits for it; one that cannot be read
is held for an operator.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import structlog

from gateway.families.families import Families
from gateway.formats.notice_documents import Draft
from gateway.model.answer import Answer, AnsweredDeclaration, AnswerEffect, CustomsAnswer
from gateway.model.clock import Clock
from gateway.model.faults import Fault, JudgementDeferred
from gateway.model.message import message_of
from gateway.model.policy import Policy
from gateway.model.register import Register
from gateway.model.states import TRANSITIONS, CustomsStatus, State, advance
from gateway.model.transition import Refusal
from gateway.monitor.observer import UNOBSERVED, Observer
from gateway.respond.answer import Unreadable, decide
from gateway.respond.match import Unclear
from gateway.respond.notices import notified
from gateway.respond.ports import AnswerReaders, AnswerStore, Filed, Matched, Unmatched

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _ReadAnswer:
    backend: str
    answer: Answer
    parsed: CustomsAnswer
    parked: str | None = None


class CustomsAnswers:
    def __init__(
        self,
        store: AnswerStore,
        register: Register,
        families: Families,
        policy: Policy,
        judges: AnswerReaders,
        clock: Clock,
        observer: Observer = UNOBSERVED,
    ) -> None:
        self._store = store
        self._register = register
        self._families = families
        self.policy = policy
        self._judges = judges
        self._clock = clock
        self._observer = observer

    async def take_in(
        self, backend: str, answers: Sequence[Answer], *, speaks: bool = False
    ) -> Sequence[Answer]:
        """Returns when every answer is durable here, whatever became of it. Where the back-end also sends
        messages unasked (`speaks`), those that are no answers are returned: they are judged like any party's
        messages.

        Answers to one declaration are taken in order of arrival, in one commit; answers to different
        declarations share commits.
        """
        chains: defaultdict[str, list[_ReadAnswer]] = defaultdict(list)
        own = []
        for answer, parsed in zip(answers, await self._all_parsed(answers), strict=True):
            if parsed is None and speaks:
                own.append(answer)
            elif not isinstance(parsed, CustomsAnswer):
                # A bad answer must not block the others.
                why = parsed or Fault.FAMILY_UNKNOWN.code
                log.error("answer cannot be read", backend=backend, error=why)
                await self._store.file([_held(backend, answer, None, f"cannot be read: {why}")])
            else:
                # The answers of the two offices of a transit concern one declaration.
                of_key = None if answer.key is None else message_of(answer.key)
                chains[of_key or parsed.seq_no or parsed.client_reference].append(
                    _ReadAnswer(backend, answer, parsed)
                )
        await asyncio.gather(*(self._follow(chain) for chain in chains.values()))
        return own

    async def _all_parsed(self, answers: Sequence[Answer]) -> Sequence[CustomsAnswer | str | None]:
        return await asyncio.gather(*(self._parsed(each) for each in answers))

    async def _parsed(self, answer: Answer) -> CustomsAnswer | str | None:
        """The parsed answer, the reason why it cannot be read, or None where it is a message but no
        answer."""
        try:
            return await self._judges.parsed(answer.body)
        except JudgementDeferred:
            raise  # nothing is written yet: the answer will come again
        except Exception as error:
            return str(error) if isinstance(error, Unreadable) else type(error).__name__

    async def _follow(self, chain: Sequence[_ReadAnswer]) -> None:
        await self._file(chain)
        # Also where the SeqNo is known already: a node may have died between this answer and those that
        # waited for it, and it is given again because of that.
        for seq_no in dict.fromkeys(reading.parsed.seq_no for reading in chain if reading.parsed.seq_no):
            parked = await self._store.parked(seq_no)
            parsed_answers = await self._all_parsed([each.answer for each in parked])
            waited = [
                _ReadAnswer(each.backend, each.answer, parsed, each.id)
                for each, parsed in zip(parked, parsed_answers, strict=True)
                if isinstance(parsed, CustomsAnswer)
            ]
            if waited:
                await self._file(waited)

    async def _file(self, chain: Sequence[_ReadAnswer]) -> None:
        new: Sequence[Filed] | Refusal = Refusal.SUPERSEDED
        while isinstance(new, Refusal):  # until no declaration changes between being read and written
            new = await self._store.file(await self._signed(await self._decided(chain)))
        for filed in new:
            if isinstance(filed, Matched):
                parsed = filed.parsed
                message, kind = filed.declaration.message, parsed.kind.value
                self._observer.answered(message, filed.backend, kind, self._clock())
                log.info(
                    "answered",
                    message=filed.declaration.message,
                    kind=parsed.kind.value,
                    code=parsed.code,
                )
            else:
                log.warning("answer not matched", backend=filed.backend, state=filed.state.value)

    async def _signed(self, chain: Sequence[Filed]) -> list[Filed]:
        """The same answers, with every draft signed and added to the receipts."""
        drafts = [draft for filed in chain if isinstance(filed, Matched) for draft in filed.drafts]
        bodies = iter(await self._judges.signed([draft.document for draft in drafts]))
        return [_with_notices(filed, bodies) if isinstance(filed, Matched) else filed for filed in chain]

    async def _decided(self, chain: Sequence[_ReadAnswer]) -> list[Filed]:
        """The effects of the answers, each on the declaration as the answer before it leaves it."""
        filed: list[Filed] = []
        reached: dict[str, AnsweredDeclaration] = {}
        for reading in chain:
            try:
                declaration = await self._store.target(
                    reading.parsed, _key(reached, reading), reading.backend
                )
            except Unclear as error:
                # A wrong guess would give one party the answer to another's declaration.
                filed.append(
                    _held(reading.backend, reading.answer, reading.parsed, str(error), reading.parked)
                )
                continue
            if declaration is None:
                if reading.parked is None:
                    filed.append(_waiting(reading))
                continue
            declaration = reached.get(declaration.message, declaration)
            if reason := _disagrees(reading.parsed, declaration):
                filed.append(_held(reading.backend, reading.answer, reading.parsed, reason, reading.parked))
                continue
            now = self._clock()
            effect = decide(reading.parsed, declaration, reading.answer.body, self.policy, now)
            if effect.event not in TRANSITIONS[declaration.state]:
                # It must not block the others: an operator has to look at it.
                reason = f"{declaration.message} is {declaration.state}"
                filed.append(_held(reading.backend, reading.answer, reading.parsed, reason, reading.parked))
                continue
            texts = self._families.notices(reading.parsed.family)
            notices = notified(reading.parsed, declaration, effect, self._register, texts, now)
            reached[declaration.message] = _after(declaration, effect, notices.drafts)
            filed.append(
                Matched(
                    backend=reading.backend,
                    answer=reading.answer,
                    parsed=reading.parsed,
                    declaration=declaration,
                    effect=replace(effect, receipts=notices.receipts),
                    drafts=notices.drafts,
                    parked=reading.parked,
                )
            )
        return filed


def _key(reached: dict[str, AnsweredDeclaration], reading: _ReadAnswer) -> str | None:
    """The submission key from the connection; where it gives none, that of the declaration to which an
    earlier answer of the chain gave the SeqNo that this one names."""
    if reading.answer.key is not None:
        return reading.answer.key
    named = (
        declaration for declaration in reached.values() if reading.parsed.seq_no == declaration.seq_no != ""
    )
    return next((declaration.message for declaration in named), None)


def _disagrees(parsed: CustomsAnswer, declaration: AnsweredDeclaration) -> str:
    """Why an answer does not fit its declaration, where it names another number: one of them is wrong, and
    the receipt may be another party's. Empty where it fits."""
    for named, own in ((parsed.seq_no, declaration.seq_no), (parsed.entry_id, declaration.entry_id)):
        if named and own and named != own:
            return f"it names {named}, {declaration.message} has {own}"
    return ""


def _waiting(reading: _ReadAnswer) -> Unmatched:
    parsed = reading.parsed
    named = f"seq_no {parsed.seq_no}" if parsed.seq_no else f"reference {parsed.client_reference}"
    return Unmatched(
        backend=reading.backend, answer=reading.answer, parsed=parsed, state=State.WAITING, waiting_for=named
    )


def _held(
    backend: str, answer: Answer, parsed: CustomsAnswer | None, reason: str, parked: str | None = None
) -> Unmatched:
    return Unmatched(
        backend=backend, answer=answer, parsed=parsed, state=State.HELD, reason=reason, parked=parked
    )


def _with_notices(matched: Matched, bodies: Iterator[bytes]) -> Matched:
    notices = tuple(draft.receipt(next(bodies)) for draft in matched.drafts)
    receipts = matched.effect.receipts + notices
    return replace(matched, effect=replace(matched.effect, receipts=receipts), drafts=())


def _after(
    declaration: AnsweredDeclaration, effect: AnswerEffect, drafts: Sequence[Draft]
) -> AnsweredDeclaration:
    released = {draft.account for draft in drafts if draft.says == CustomsStatus.RELEASED}
    return replace(
        declaration,
        state=advance(declaration.state, effect.event),
        customs_status=effect.customs_status,
        seq_no=effect.seq_no,
        entry_id=effect.entry_id,
        uses=None if effect.customs_status is CustomsStatus.REFUSED else declaration.uses,
        released_to=declaration.released_to | released,
    )
