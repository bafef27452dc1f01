"""What was done, or is to be done, for one resource at one target: the line people read."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from rollbook.provisioning.differences import Difference

ADOPTED = "takes over the account that is there"
"""Why an account of somebody who had none here is changed, or nothing is done about it."""


class Action(StrEnum):
    """The kinds of lines."""

    CREATE = "create"
    CHANGE = "change"
    COMPLETE = "complete"
    """A reference is filled in whose account did not exist yet when this one was made."""
    DISABLE = "disable"
    DELETE = "delete"
    KEEP = "keep"
    NOTHING = "nothing"
    PARK = "park"
    WAIT = "wait"


@dataclass(frozen=True)
class Item:
    """One line. `added` and `removed` count members; `failure` is why it could not be done, `hint` what to try."""

    target: str
    resource_type: str
    id: str
    label: str
    action: Action
    differences: tuple[Difference, ...] = ()
    reason: str | None = None
    added: int = 0
    removed: int = 0
    failure: str | None = None
    hint: str | None = None
    next_try: int | None = None
    """When it is tried again, in milliseconds since 1970."""
    adopts: bool = False
    """Whether the account was there before us, and is taken over."""
    sensitive: frozenset[str] = frozenset()
    """Attributes whose values nobody is shown, in small letters."""

    @property
    def changes(self) -> bool:
        """Whether anything is, or was, different at the target."""
        acts = self.action not in {Action.NOTHING, Action.KEEP}
        differs = self.action is Action.NOTHING and self.reason  # and cannot be made right
        return bool(acts or differs or self.added or self.removed or self.adopts)


def failure_text(reason: str, hint: str) -> str:
    """A failure as a link keeps it: why on the first line, what to try on the second."""
    return f"{reason}\n{hint}"


class NeedsPerson(Exception):
    """The engine cannot decide and must not guess; somebody has to look at it.

    `accounts` are those at the target that are in the way: a change of one of them may be the end of it.
    """

    def __init__(self, reason: str, accounts: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(reason)
        self.accounts = tuple(accounts)
        """Each with its resource type."""


class Protected(NeedsPerson):
    """The account is one that the configuration lets nobody touch."""


class Later(Exception):
    """Something else has to end first, by `due` perhaps (milliseconds since 1970); there is nothing wrong."""

    def __init__(self, due: int | None = None) -> None:
        super().__init__()
        self.due = due


class Unseen(Later):
    """An account would go or be made, and the brake has not looked at it yet."""


class Swapping(Exception):
    """A resource has a name of the moment, and its turn again when others have let go of theirs; that is recorded."""

    def __init__(self, item: Item) -> None:
        super().__init__()
        self.item = item
        """What was done."""


class Overtaken(Exception):
    """Another worker has taken the link up; whatever this one wanted to record is void (I-18)."""
