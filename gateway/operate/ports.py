"""What operators' acts ask of the store, and of who judges."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from gateway.model.decision import Decision
from gateway.model.message import Received
from gateway.model.policy import OperationsPolicy
from gateway.model.states import DeliveryState, State
from gateway.model.transition import Transition
from gateway.operate.bulk_requests import BulkRequest, Progress, RequestTerms
from gateway.operate.delivery_actions import DeliveryAct
from gateway.operate.dry_run import Trial
from gateway.operate.message_actions import MessageStatus
from gateway.operate.rejection import Hold, Rejection

T_co = TypeVar("T_co", covariant=True)

# What an act makes of a message as it stands at the commit; raises `Impossible`.
Change = Callable[[MessageStatus], Transition]


class Pending(Protocol[T_co]):
    """What was handed to the store; several that wait share a commit."""

    def result(self, timeout: float | None = None) -> T_co:
        """Returns after the commit, or raises what kept it from being written."""
        ...


class OperatorStore(Protocol):
    """Messages and requests as operators change them. `KeyError` where there is no such message, delivery or
    request; `Impossible` for what cannot be done to it as it stands; `Superseded` where a message has
    changed since it was read: then nothing of it is written."""

    def act(self, message: str, change: Change) -> Pending[State]:
        """The state after it."""
        ...

    def act_on_delivery(
        self, act: DeliveryAct, delivery: int, actor: str, reason: str, now: datetime
    ) -> Pending[tuple[DeliveryState, State]]:
        """The states of the delivery and of its message after it."""
        ...

    def stopped(self, message: str) -> Hold:
        """What a rejection is written by."""
        ...

    def try_out(
        self,
        message: str,
        change: Change,
        judged: Callable[[Received], Decision],
        now: datetime,
    ) -> Trial:
        """What would be after the change, by the very code that writes it; where the message is to be judged
        then, after the decision too (`judged` is called before anything is locked). Nothing is kept."""
        ...

    def write_request(
        self,
        id_: str,
        request: RequestTerms,
        messages: Sequence[str],
        policy: OperationsPolicy,
        now: datetime,
    ) -> str:
        """Writes a request with its messages before anything of it is done, and returns its id: that of the
        one before, where its key was used for the same. Raises `OtherRequest` where it was used for something
        else, and `NothingChosen`."""
        ...

    def request(self, id_: str) -> BulkRequest: ...

    def open_messages(self, id_: str) -> Sequence[str]:
        """Those of a request that nothing was done about yet, in the order of their ids."""
        ...

    def decide(self, id_: str, actor: str, decision: Progress, words: str, now: datetime) -> None:
        """Approves or refuses a request that waits for a second person."""
        ...

    def carry_out(self, request: BulkRequest, message: str, change: Change, now: datetime) -> Pending[None]:
        """Does it to one message of a request, unless that was done before; what is not possible is noted
        with it."""
        ...

    def end(self, id_: str, now: datetime) -> None:
        """Writes that a request is done, where nothing of it is open any more."""
        ...


class Judgement(Protocol):
    """Judges and refuses in this process, as the node would by the home's files as they are now."""

    def judge(self, received: Received) -> Decision: ...

    def dismissal(self, hold: Hold, reason: str, now: datetime) -> Rejection: ...
