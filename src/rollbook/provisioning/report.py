"""What a pull did, or would do: figures, people, and what stood in the way."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from rollbook.provisioning.differences import Difference

MOST_PROBLEMS = 1000
"""Problems that are listed one by one; further ones are counted."""


_MOST_UNSETTLED = 20_000


class Action(StrEnum):
    """What became of one person."""

    CREATE = "create"
    CHANGE = "change"
    DISABLE = "disable"
    DELETE = "delete"
    KEEP = "keep"


@dataclass(frozen=True)
class PersonChange:
    """One person and what a pull does to them. `name` is the userName if it is known."""

    key: str
    name: str | None
    action: Action
    differences: tuple[Difference, ...] = ()
    joins: tuple[str, ...] = ()
    """Groups the person gets into."""
    leaves: tuple[str, ...] = ()
    """Groups the person gets out of."""


@dataclass(frozen=True)
class PullProblem:
    """Why a row, a person or a group was left out. `line` is None where it is about no single row."""

    line: int | None
    person: str | None
    reason: str
    warning: bool = False
    """Whether the person went through all the same, without the attribute this is about."""


@dataclass
class PullReport:
    """The figures of a pull; `unlisted` counts problems beyond those listed."""

    source: str
    rows: int = 0
    created: int = 0
    changed: int = 0
    unchanged: int = 0
    disabled: int = 0
    deleted: int = 0
    kept: int = 0
    held: int = 0
    """Missing people that were left as they are, because rows that cannot be read may be theirs."""
    unmatched: int = 0
    """Records that belong to nobody, of a source that creates nobody."""
    uncertain: int = 0
    """Records that wait for somebody to decide whose they are."""
    ignored: int = 0
    """Records that somebody has decided to leave out."""
    problems: list[PullProblem] = field(default_factory=list)
    unlisted: int = 0
    unsettled: set[str] = field(default_factory=set, repr=False)
    """Keys of those with a problem, also if it is only an attribute that was left empty; not of more than a source of changes can have."""
    partial: bool = False
    """Whether only what had changed was read."""
    content: int = field(default=0, repr=False)
    """Stands for the records that were read."""
    _listed: set[PullProblem] = field(default_factory=set, repr=False)

    @property
    def changes(self) -> int:
        """How many people changed in any way."""
        return self.created + self.changed + self.disabled + self.deleted

    def report(self, problem: PullProblem) -> None:
        """List a problem once, or count it if there are too many."""
        if problem in self._listed:
            return
        if problem.person is not None and len(self.unsettled) < _MOST_UNSETTLED:
            self.unsettled.add(problem.person)
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(problem)
            self._listed.add(problem)
        else:
            self.unlisted += 1


Observe = Callable[[PersonChange], None]
"""Told of each person as it happens."""


def nobody_watches(_: PersonChange) -> None:
    """The observer of those who want figures only."""
