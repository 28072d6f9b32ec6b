"""What operators may do to a message: each a transition with a named actor and a reason."""

from gateway.states import Event, IllegalTransition, State


def replay_event(state: State, *, was_accepted: bool) -> Event:
    """What replaying means for a message at rest.

    A message that was accepted keeps its verdict and is delivered again under its submission key; any other
    is judged again. Raises `IllegalTransition` for a message that is neither rejected nor held.
    """
    if state is State.HELD and was_accepted:
        return Event.RESUMED
    if state in (State.HELD, State.REJECTED):
        return Event.REPLAYED
    raise IllegalTransition(state, Event.REPLAYED)
