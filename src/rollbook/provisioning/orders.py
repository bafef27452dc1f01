"""What a run at a target is given, and what it has to tell."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from rollbook.provisioning.brake import Approval, Wave
from rollbook.provisioning.guard import Presence
from rollbook.provisioning.items import Action, Item

Watch = Callable[[Item], None]


class Stop(StrEnum):
    """What ended a run early."""

    BRAKE = "brake"
    CANARY = "canary"
    REFUSED = "refused"
    """Our credentials, or our right to do what we do, were refused."""
    OUT_OF_ORDER = "out of order"
    """Several calls in a row had no answer that makes sense."""
    VANISHED = "vanished"
    """So many accounts are gone at the target that somebody should look."""
    AWAY = "away"
    """The target asks to be left alone, or somebody has paused it."""


@dataclass
class Report:
    """What a run did at one target. `stopped` says why it ended early, None if it did not.

    `counts` has what was done by action, then what is left: parked and waiting links.
    """

    target: str
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[Item] = field(default_factory=list)
    stopped: str | None = None
    stop: Stop | None = None
    """The same in one word."""
    hint: str | None = None
    seconds: float = 0.0
    writes: int = 0
    """Calls that could change something."""
    held: int = 0
    """Resources that another run had in its hands at the end."""
    braked: Sequence[Wave] = ()
    """Whose accounts would have gone, or been made, if the brake has stopped the run."""
    run: int = 0
    """The number of the run."""

    @property
    def failed(self) -> bool:
        """Whether anything is left undone."""
        return bool(self.stopped or self.counts[Action.PARK] or self.counts[Action.WAIT] or self.held)


@dataclass(frozen=True)
class Order:
    """What a run is given: its number, how many seconds in a row it may wait, who watches, and what was approved."""

    run: int
    patience: float
    watch: Watch
    approvals: tuple[Approval, ...] = ()
    removes: frozenset[str] = frozenset()
    """The hub ids of those whose accounts go for good if they have left."""
    presence: Presence = field(default_factory=Presence)
    """Which accounts were found lately; of several runs, where they belong together."""
