"""The states of a link and every move allowed between them: one table."""

from enum import StrEnum

from rollbook.storage.links import State


class Event(StrEnum):
    """What happens to a link."""

    MARK = "mark"
    """Its resource, something its document names, or the configuration changed."""
    CLAIM = "claim"
    """A worker takes it up, or takes it over from one whose lease has run out."""
    FINISH = "finish"
    """The target holds what it should."""
    LEAVE = "leave"
    """Who it is has left, and the account is as it should be then."""
    RETRY = "retry"
    """It failed in a way that may pass."""
    RELEASE = "release"
    """It is given back untouched, since the target is to be left alone."""
    PARK = "park"
    """It failed in a way that will not pass by itself."""


MOVES: dict[tuple[State, Event], State] = {
    (State.READY, Event.MARK): State.READY,
    (State.READY, Event.CLAIM): State.CLAIMED,
    (State.CLAIMED, Event.MARK): State.CLAIMED,
    (State.CLAIMED, Event.CLAIM): State.CLAIMED,
    (State.CLAIMED, Event.FINISH): State.DONE,
    (State.CLAIMED, Event.LEAVE): State.LEFT,
    (State.CLAIMED, Event.RETRY): State.READY,
    (State.CLAIMED, Event.RELEASE): State.READY,
    (State.CLAIMED, Event.PARK): State.PARKED,
    (State.DONE, Event.MARK): State.READY,
    (State.LEFT, Event.MARK): State.READY,
    (State.PARKED, Event.MARK): State.READY,
}
"""(state, event) → next state. A pair that is not here cannot happen. One that was marked while it was claimed
becomes ready instead of done, left or parked (storage)."""


def move(state: State, event: Event) -> State:
    """The state after the event.

    Raises:
        ValueError: the event cannot happen in that state.
    """
    try:
        return MOVES[state, event]
    except KeyError:
        raise ValueError(f"a link that is {state} cannot {event}") from None
