"""What operators do to messages, deliveries and requests: the command line calls this."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Final, TypeVar

from gateway.model.clock import Clock
from gateway.model.policy import OperationsPolicy
from gateway.model.states import DeliveryState, State
from gateway.model.transition import Applied, Refusal, Transition
from gateway.operate.bulk_requests import (
    BulkRequest,
    NeedsApproval,
    RequestStatus,
    RequestTerms,
    needs_approval,
)
from gateway.operate.delivery_actions import DeliveryAct
from gateway.operate.dry_run import Trial
from gateway.operate.message_actions import Impossible, MessageAct, MessageStatus, ReplayStage, event_of
from gateway.operate.ports import Change, Judge, OperatorStore, Pending
from gateway.operate.transitions import rejection, transition

_T = TypeVar("_T")

_TRIES: Final = 5  # a message that changes between reading and writing is read again
# Messages handed to the store together: they share a sync, and a running node still gets its turn.
_AT_ONCE: Final = 32
_NOTHING: Final[Mapping[str, str]] = {}


def _unseen(_done: int, _all: int) -> None:
    pass


class OperatorService:
    """Every act is one commit with its event, its actor and its reason; it is refused where the message keeps
    changing meanwhile. Raises `KeyError` where the message, delivery or request does not exist, and
    `Impossible` where its present state does not allow the act."""

    def __init__(self, store: OperatorStore, judgement: Judge, clock: Clock) -> None:
        self._store = store
        self._judgement = judgement
        self._clock = clock

    def act(self, request: RequestTerms, message: str, policy: OperationsPolicy) -> Applied | Refusal:
        """Carries out the act on one message. Raises `NeedsApproval`."""
        if needs_approval(request.act, policy):
            raise NeedsApproval
        return _retried(lambda: self._store.act(message, self._change(request, message, _NOTHING)).result())

    def act_on_delivery(
        self, act: DeliveryAct, delivery: int, actor: str, reason: str, policy: OperationsPolicy
    ) -> tuple[DeliveryState, State]:
        """Carries out the act on one delivery and returns the states of the delivery and its message after
        it. Raises `NeedsApproval`."""
        if needs_approval(act, policy):
            raise NeedsApproval
        return self._store.act_on_delivery(act, delivery, actor, reason, self._clock()).result()

    def dry_run(
        self, act: MessageAct, stage: ReplayStage | None, message: str, actor: str
    ) -> Trial | Refusal:
        """The outcome that the act would have now, under today's rules, policy and register. It may differ
        later if the message changes before the act."""
        request = RequestTerms(act=act, stage=stage, reason="", actor=actor)
        return _retried(
            lambda: self._store.try_out(
                message,
                self._change(request, message, _NOTHING),
                self._judgement.judge,
                self._clock(),
            )
        )

    def write_request(
        self,
        id_: str,
        request: RequestTerms,
        messages: Sequence[str],
        policy: OperationsPolicy,
        chosen_at: datetime,
    ) -> str:
        """See `OperatorStore.write_request`. Messages that changed after `chosen_at` are not acted on."""
        return self._store.write_request(id_, request, messages, policy, chosen_at)

    def decide(self, id_: str, actor: str, decision: RequestStatus, words: str) -> None:
        """Approves or refuses a request that waits for a second person."""
        self._store.decide(id_, actor, decision, words, self._clock())

    def resume(self, id_: str, progress: Callable[[int, int], None] = _unseen) -> str | None:
        """Carries out the open part of a request; does nothing unless it is `OPEN`. Returns the message that
        keeps changing, if there is one: it stops there. The next call goes on, after a crash too, and each
        message is done once. `progress` is called with the number done and the total."""
        request = self._store.request(id_)
        if request.progress is not RequestStatus.OPEN:
            return None
        messages = self._store.open_messages(id_)
        for start in range(0, len(messages), _AT_ONCE):
            some = messages[start : start + _AT_ONCE]
            handed = [self._hand_over(request, message) for message in some]
            for message, written in zip(some, handed, strict=True):
                refused = written.result()
                if refused and _retried(partial(self._carry_out, request, message)):
                    return message
            progress(start + len(some), len(messages))
        self._store.end(id_, self._clock())
        return None

    def _carry_out(self, request: BulkRequest, message: str) -> Refusal | None:
        return self._hand_over(request, message).result()

    def _hand_over(self, request: BulkRequest, message: str) -> Pending[Refusal | None]:
        try:
            change = self._change(request.request, message, request.event_details)
        except Impossible as error:
            change = _failing(error)
        return self._store.carry_out(request, message, change, self._clock())

    def _change(self, request: RequestTerms, message: str, detail: Mapping[str, str]) -> Change:
        """The change that the act makes. The receipt of a rejection is signed here and committed together
        with the state: no message is ever rejected without a receipt for its sender."""
        now, actor, reason = self._clock(), request.actor, request.reason
        if request.act is not MessageAct.REJECT:
            return lambda status: transition(
                request.act, request.stage, status, message, actor, reason, now, detail
            )
        signed = self._judgement.dismissal(self._store.stopped(message), reason, now)

        def reject(status: MessageStatus) -> Transition:
            event_of(MessageAct.REJECT, status)
            return rejection(signed, actor, reason, now, detail)

        return reject


def _retried(attempt: Callable[[], _T]) -> _T:
    for _ in range(_TRIES - 1):
        if not isinstance(outcome := attempt(), Refusal):
            return outcome
    return attempt()


def _failing(error: Impossible) -> Change:
    def change(_standing: MessageStatus) -> Transition:
        raise error

    return change
