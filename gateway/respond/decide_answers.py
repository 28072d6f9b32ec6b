"""What the answers that arrive together change: each is read, matched to its declaration and decided. Pure.

An answer that cannot be matched yet (a business receipt that overtook the technical answer with the SeqNo)
waits for its declaration; one that cannot be read is held for an operator. Neither blocks the others.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.families.families import Families
from gateway.model.answer import AnsweredDeclaration, AnswerEffect, CustomsAnswer
from gateway.model.clock import Clock
from gateway.model.faults import Fault, MessageRejected
from gateway.model.message import Receipt, message_of
from gateway.model.policy import Policy
from gateway.model.register import Parties
from gateway.model.signers import Signer
from gateway.model.states import TRANSITIONS, CustomsStatus, State, advance
from gateway.respond.answer import NoAnswer, decide, read
from gateway.respond.match import Unclear
from gateway.respond.notices import notified
from gateway.respond.ports import (
    Chain,
    DecidedAnswers,
    Declarations,
    Filed,
    Matched,
    ReceivedAnswer,
    Unmatched,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRules:
    """What answers are decided by. The clock is asked for each answer: its time is part of the names of its
    receipts, which must differ."""

    families: Families
    policy: Policy
    declarations: Declarations
    parties: Parties
    signer: Signer
    clock: Clock


@dataclass(frozen=True, slots=True)
class _ReadAnswer:
    received: ReceivedAnswer
    parsed: CustomsAnswer


def decided(answers: Sequence[ReceivedAnswer], rules: AnswerRules) -> DecidedAnswers:
    """Answers to one declaration form a chain, in order of arrival, each decided on the declaration as the
    answer before leaves it."""
    readings: defaultdict[str, list[_ReadAnswer]] = defaultdict(list)
    held: list[Chain] = []
    no_answers: list[ReceivedAnswer] = []
    for received in answers:
        try:
            parsed = read(received.answer.body, rules.families)
        except NoAnswer:
            no_answers.append(received)
        except MessageRejected as refused:
            held.append((unreadable(received, str(refused)),))
        except MemoryError:
            raise  # this process is at its limit, which says nothing of this answer
        except Exception as error:  # a bad answer must not block the others
            held.append((unreadable(received, type(error).__name__),))
        else:
            # The answers of the two offices of a transit concern one declaration.
            key = received.answer.key
            of_key = None if key is None else message_of(key)
            named = of_key or parsed.seq_no or parsed.client_reference
            readings[named].append(_ReadAnswer(received, parsed))
    chains = (chain for each in readings.values() if (chain := _decided(each, rules)))
    return DecidedAnswers(chains=(*held, *chains), no_answers=tuple(no_answers))


def unreadable(received: ReceivedAnswer, why: str) -> Unmatched:
    return _held(received, None, f"cannot be read: {why}")


def no_answer(received: ReceivedAnswer) -> Unmatched:
    """For a back-end that sends nothing but answers."""
    return unreadable(received, Fault.FAMILY_UNKNOWN.code)


def _decided(chain: Sequence[_ReadAnswer], rules: AnswerRules) -> Chain:
    filed: list[Filed] = []
    reached: dict[str, AnsweredDeclaration] = {}
    asked: dict[object, AnsweredDeclaration | None] = {}  # most answers of a chain name the same
    for reading in chain:
        received, parsed = reading.received, reading.parsed
        key, backend = _key(reached, reading), received.backend
        named = (parsed.kind, parsed.client_reference, parsed.seq_no, parsed.entry_id, key, backend)
        try:
            if named not in asked:
                asked[named] = rules.declarations.target(parsed, key, backend)
            declaration = asked[named]
        except Unclear as error:
            # A wrong guess would give one party the answer to another's declaration.
            filed.append(_held(received, parsed, str(error)))
            continue
        if declaration is None:
            if received.parked is None:
                filed.append(_waiting(received, parsed))
            continue
        declaration = reached.get(declaration.message, declaration)
        if reason := _disagrees(parsed, declaration):
            filed.append(_held(received, parsed, reason))
            continue
        now = rules.clock()
        effect = decide(parsed, declaration, received.answer.body, rules.policy, now)
        if effect.event not in TRANSITIONS[declaration.state]:
            # It must not block the others: an operator has to look at it.
            filed.append(_held(received, parsed, f"{declaration.message} is {declaration.state}"))
            continue
        texts = rules.families.notices(parsed.family)
        notices = notified(parsed, declaration, effect, rules.parties, texts, now)
        signed = tuple(draft.receipt(rules.signer.sign(draft.root)) for draft in notices.drafts)
        reached[declaration.message] = _after(declaration, effect, signed)
        filed.append(
            Matched(
                backend=received.backend,
                answer=received.answer,
                parsed=parsed,
                declaration=declaration,
                effect=replace(effect, receipts=notices.receipts + signed),
                parked=received.parked,
            )
        )
    return tuple(filed)


def _key(reached: dict[str, AnsweredDeclaration], reading: _ReadAnswer) -> str | None:
    """The submission key from the connection; where it gives none, that of the declaration to which an
    earlier answer of the chain gave the SeqNo that this one names."""
    if reading.received.answer.key is not None:
        return reading.received.answer.key
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


def _waiting(received: ReceivedAnswer, parsed: CustomsAnswer) -> Unmatched:
    named = f"seq_no {parsed.seq_no}" if parsed.seq_no else f"reference {parsed.client_reference}"
    return Unmatched(
        backend=received.backend,
        answer=received.answer,
        parsed=parsed,
        state=State.WAITING,
        waiting_for=named,
    )


def _held(received: ReceivedAnswer, parsed: CustomsAnswer | None, reason: str) -> Unmatched:
    return Unmatched(
        backend=received.backend,
        answer=received.answer,
        parsed=parsed,
        state=State.HELD,
        reason=reason,
        parked=received.parked,
    )


def _after(
    declaration: AnsweredDeclaration, effect: AnswerEffect, notices: Sequence[Receipt]
) -> AnsweredDeclaration:
    released = {notice.account for notice in notices if notice.verdict == CustomsStatus.RELEASED}
    return replace(
        declaration,
        state=advance(declaration.state, effect.event),
        customs_status=effect.customs_status,
        seq_no=effect.seq_no,
        entry_id=effect.entry_id,
        uses=None if effect.customs_status is CustomsStatus.REFUSED else declaration.uses,
        released_to=declaration.released_to | released,
    )
