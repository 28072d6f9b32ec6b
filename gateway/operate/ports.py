"""The ports of the operators' acts: on messages and requests, on the register of parties, on back-ends, on
removed receipts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from gateway.model.circuit_breaker import BreakerState, CircuitBreaker, Pause
from gateway.model.decision import Decision
from gateway.model.message import Received
from gateway.model.parties import Delivery, Party, PartyChange
from gateway.model.policy import OperationsPolicy
from gateway.model.rejection import Hold, Rejection
from gateway.model.states import DeliveryState, State
from gateway.model.transition import Applied, Refusal, Transition
from gateway.operate.bulk_requests import BulkRequest, RequestStatus, RequestTerms
from gateway.operate.delivery_actions import DeliveryAct
from gateway.operate.dry_run import Trial
from gateway.operate.message_actions import MessageStatus

T_co = TypeVar("T_co", covariant=True)

# Makes the transition from the message's status at the commit; raises `Impossible`.
Change = Callable[[MessageStatus], Transition]


class Pending(Protocol[T_co]):
    """A write that was handed to the store; several that wait share a commit."""

    def result(self, timeout: float | None = None) -> T_co:
        """Returns after the commit, or raises the error that prevented it."""
        ...


class OperatorStore(Protocol):
    """Messages and requests as operators change them. Raises `KeyError` where there is no such message,
    delivery or request, and `Impossible` for an act that its state does not allow. A change that was decided
    on a message which has changed since it was read is refused, and nothing of it is written."""

    def act(self, message: str, change: Change) -> Pending[Applied | Refusal]: ...

    def act_on_delivery(
        self, act: DeliveryAct, delivery: int, actor: str, reason: str, now: datetime
    ) -> Pending[tuple[DeliveryState, State]]:
        """Returns the states of the delivery and of its message after the act."""
        ...

    def stopped(self, message: str) -> Hold:
        """The facts that a rejection needs."""
        ...

    def try_out(
        self,
        message: str,
        change: Change,
        judged: Callable[[Received], Decision],
        now: datetime,
    ) -> Trial | Refusal:
        """The outcome that the change would have, found by the code that writes it; where the message would
        be judged next, the decision is included (`judged` is called before anything is locked). Nothing is
        kept."""
        ...

    def write_request(
        self,
        id_: str,
        request: RequestTerms,
        messages: Sequence[str],
        policy: OperationsPolicy,
        now: datetime,
    ) -> str:
        """Writes a request with its messages before any of it is carried out, and returns its id; the id of
        the earlier request where its key was used for the same one. Raises `OtherRequest` where the key was
        used for a different request, and `NothingChosen`."""
        ...

    def request(self, id_: str) -> BulkRequest: ...

    def open_messages(self, id_: str) -> Sequence[str]:
        """The messages of a request that are not done yet, in the order of their ids."""
        ...

    def decide(self, id_: str, actor: str, decision: RequestStatus, words: str, now: datetime) -> None:
        """Approves or refuses a request that waits for a second person."""
        ...

    def carry_out(
        self, request: BulkRequest, message: str, change: Change, now: datetime
    ) -> Pending[Refusal | None]:
        """Carries out the request for one message, unless that was done before; an act that is not possible
        is noted with the message."""
        ...

    def end(self, id_: str, now: datetime) -> None:
        """Marks a request as done, if none of its messages is open any more."""
        ...


class Judge(Protocol):
    """Judges and rejects in this process, as the node would with the present files of the home."""

    def judge(self, received: Received) -> Decision: ...

    def dismissal(self, hold: Hold, reason: str, now: datetime) -> Rejection: ...


# The changes that an act makes of the register, by customs code; raises the reason for which it is refused.
PartyDecision = Callable[[Mapping[str, Party]], Sequence[PartyChange]]


class PartyStore(Protocol):
    """The register of parties. Who changed it, when and why is kept with each change."""

    def change(self, decide: PartyDecision, actor: str, reason: str, now: datetime) -> Sequence[PartyChange]:
        """Writes what is decided on the register as it is in this commit, and returns it; nothing is written
        if `decide` raises."""
        ...

    def try_out(self, decide: PartyDecision, actor: str, reason: str, now: datetime) -> Sequence[PartyChange]:
        """The same act, of which nothing is kept."""
        ...


BackendStatus = tuple[CircuitBreaker, Pause | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendChange:
    """An event of a back-end, logged with `state`. `after` is None where nothing is stored about the back-end
    and nothing needs to be. `retry`: deliveries that wait for their next attempt are due now."""

    event: str
    state: BreakerState
    after: BackendStatus | None
    retry: bool


# The change that an act makes; None if the back-end is already as the act would have it.
BackendDecision = Callable[[BackendStatus | None], BackendChange | None]


class BackendStore(Protocol):
    """The stored state of back-ends; a running node notices a change within a second."""

    def change(self, name: str, decide: BackendDecision, actor: str, reason: str, now: datetime) -> bool:
        """Writes what is decided on the back-end as it is in this commit, with its event, and returns whether
        there was a change."""
        ...


class RequestedPause(Protocol):
    """The pause that a back-end asked for (Retry-After)."""

    def end(self) -> None: ...


@dataclass(frozen=True, slots=True)
class RemovableReceipt:
    """When its account removed it, and how the account gets its receipts; None where there is no such
    account any more."""

    removed_at: datetime | None
    delivery: Delivery | None


# The time from which a receipt that is put back is delivered, None if its account fetches it.
RestoreDecision = Callable[[RemovableReceipt], datetime | None]


class ReceiptStore(Protocol):
    def put_back(self, receipt: int, decide: RestoreDecision, actor: str, reason: str, now: datetime) -> None:
        """Puts the receipt back into its folder, byte for byte and unread, in one commit with its event;
        nothing is written if `decide` raises."""
        ...
