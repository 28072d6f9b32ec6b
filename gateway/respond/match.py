"""Which declaration an answer belongs to: by the submission key where the connection gives it, by SeqNo, by
entry number, or by the client's reference.

A wrong guess would give one party the answer to another's declaration. So nothing is matched where two are
possible, or where the numbers that an answer names belong to several declarations.
"""

from typing import TypeVar

from gateway.model.answer import AnswerKind, CustomsAnswer
from gateway.model.message import Operation, message_of
from gateway.respond.ports import Candidate, Candidates


class Unclear(Exception):
    """It cannot be known which declaration an answer belongs to: it names two, or only a reference under
    which two parties have open declarations. The text is for operators."""


T = TypeVar("T", bound=Candidate)


def match(parsed: CustomsAnswer, key: str | None, candidates: Candidates[T]) -> T | None:
    """The message that an answer belongs to; None where there is none yet. Raises `Unclear`."""
    message = _named(parsed, key, candidates)
    if message is not None:
        _check_all_names(parsed, key, message, candidates)
    return message


def _named(parsed: CustomsAnswer, key: str | None, candidates: Candidates[T]) -> T | None:
    if key is not None and (of_key := candidates.of_message(message_of(key))) is not None:
        return of_key
    # A declaration that follows a temporary save has its SeqNo; the reference shows which one is meant.
    if parsed.kind is AnswerKind.TECHNICAL:
        return _by_reference(parsed, candidates) or _by_number(parsed, candidates)
    return _by_number(parsed, candidates) or _by_reference(parsed, candidates)


def _by_number(parsed: CustomsAnswer, candidates: Candidates[T]) -> T | None:
    message = candidates.of_seq_no(parsed.seq_no) if parsed.seq_no else None
    return message or (candidates.of_entry(parsed.entry_id) if parsed.entry_id else None)


def _by_reference(parsed: CustomsAnswer, candidates: Candidates[T]) -> T | None:
    reference, seq_no = parsed.client_reference, parsed.seq_no
    message = candidates.of_reference(reference, seq_no) if reference else None
    if message is None:
        return None
    open_under = candidates.open_under(reference, seq_no)
    certain = seq_no and any(number == seq_no for _party, number in open_under)
    if not certain and len({party for party, _number in open_under}) > 1:
        raise Unclear(f"more than one party has an open declaration with reference {reference}")
    # Where two parties use this reference, the SeqNo shows whose it is.
    numbered = candidates.of_seq_no(seq_no) if seq_no else None
    if numbered is None or numbered.declaration == message.declaration:
        return message
    return numbered if numbered.reference == reference else message


def _check_all_names(parsed: CustomsAnswer, key: str | None, message: T, candidates: Candidates[T]) -> None:
    """Raises `Unclear` where a number or reference in the answer belongs to another declaration: one of them
    is wrong, and it cannot be known here which one."""
    of_key = None if key is None else message_of(key)
    if of_key not in (None, message.id):
        raise Unclear(f"it bears the key of {of_key} and names {message.id}")
    own = message.declaration
    for number, others in (
        (
            parsed.seq_no,
            candidates.others_with(seq_no=parsed.seq_no, declaration=own) if parsed.seq_no else (),
        ),
        (
            parsed.entry_id,
            candidates.others_with(entry_id=parsed.entry_id, declaration=own) if parsed.entry_id else (),
        ),
    ):
        for other in others:
            raise Unclear(f"it names {number}, which is that of {other}, and {message.id}")
    # Messages that follow a declaration have references of their own.
    if parsed.client_reference not in ("", message.reference) and message.operation != Operation.INFORM:
        raise Unclear(
            f"it names the reference {parsed.client_reference}, {message.id} has {message.reference}"
        )
