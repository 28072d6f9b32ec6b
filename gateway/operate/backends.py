"""What operators do to a back-end: pause it, end the pause, and let it be tried at once."""

from datetime import datetime
from typing import Final

from gateway.model.circuit_breaker import BreakerState, CircuitBreaker, Pause
from gateway.operate.ports import BackendChange, BackendStatus, BackendStore, RequestedPause

PAUSED: Final = "backend-paused"
RESUMED: Final = "backend-resumed"
TRIED: Final = "backend-tried"


def pause(store: BackendStore, name: str, actor: str, reason: str, now: datetime) -> bool:
    """From then on nothing is sent to the back-end. Returns whether it was active before; otherwise its first
    actor and reason are kept."""

    def paused(present: BackendStatus | None) -> BackendChange | None:
        breaker, pause = present or (CircuitBreaker.new(now), None)
        if pause is not None:
            return None
        after = (breaker, Pause(actor=actor, at=now, reason=reason))
        return BackendChange(event=PAUSED, state=BreakerState.OPEN, after=after, retry=False)

    return store.change(name, paused, actor, reason, now)


def resume(store: BackendStore, name: str, actor: str, reason: str, now: datetime) -> bool:
    """Ends the pause, and what waits is tried at once. Returns whether the back-end was paused."""

    def resumed(present: BackendStatus | None) -> BackendChange | None:
        if present is None or present[1] is None:
            return None
        breaker, _pause = present
        after = (_retried(breaker, now), None)
        return BackendChange(event=RESUMED, state=breaker.state, after=after, retry=True)

    return store.change(name, resumed, actor, reason, now)


def try_now(
    store: BackendStore, requested: RequestedPause, name: str, actor: str, reason: str, now: datetime
) -> None:
    """Has waiting deliveries tried now, whatever they wait for but an operator's pause: the breaker lets one
    through, and the others follow once that was taken."""

    def tried(present: BackendStatus | None) -> BackendChange:
        if present is None:
            return BackendChange(event=TRIED, state=BreakerState.CLOSED, after=None, retry=True)
        breaker, pause = present
        after = (_retried(breaker, now), pause)
        return BackendChange(event=TRIED, state=breaker.state, after=after, retry=True)

    requested.end()
    store.change(name, tried, actor, reason, now)


def _retried(breaker: CircuitBreaker, now: datetime) -> CircuitBreaker:
    return breaker if breaker.closed else breaker.tried(now)
