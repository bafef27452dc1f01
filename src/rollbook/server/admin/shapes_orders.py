"""Bodies and answers of /admin/v1 about orders, and about records that wait for a decision."""

from typing import Any, Literal

from pydantic import Field

from rollbook.server.admin.shapes import Shape

Kind = Literal["plan", "apply", "pull", "retry", "undo", "match"]
_Names: Any = Field(default=[], max_length=1_000)
MOST_CHARACTERS = 16_384
"""Of all names and keys of an order: a page may have a thousand orders."""


class NewOrder(Shape):
    """What is to be done by whoever keeps targets in step. Which members a kind takes, the page about administration says."""

    kind: Kind
    targets: list[str] = _Names
    """Targets of the configuration; all if none is named."""
    sources: list[str] = _Names
    """Sources of the configuration; all if none is named."""
    read_sources: bool = True
    """Whether sources are read first."""
    full: bool = False
    """Whether what everybody should have is worked out anew, not only for those who changed."""
    only_changes: bool = False
    """Whether only what has changed is read, where a source can tell."""
    retry: bool = False
    """Whether what was given up is tried again."""
    accept: list[str] = _Names
    """Keys of records that are another person now."""
    accept_deletions: int | None = Field(default=None, ge=1)
    """How many accounts may be disabled or deleted although the brake says no."""
    accept_arrivals: int | None = Field(default=None, ge=1)
    """How many accounts may be made or taken over although the brake says no."""
    plans: list[str] = Field(default=[], max_length=2)
    """Exactly which ones: the names that a plan gave them."""
    run: int | None = Field(default=None, ge=1, lt=2**63)
    """The run to be taken back, with all that the same command did."""
    dry_run: bool = False
    """Only say what it would mean."""
    source: str | None = Field(default=None, min_length=1, max_length=500)
    """The source of a record that waits for a decision."""
    key: str | None = Field(default=None, min_length=1, max_length=2_000)
    """The record's key."""
    verdict: Literal["join", "new", "ignore", "forget"] | None = None
    """It is that user's, somebody new's, left out; or the decision about it is taken back."""
    user: str | None = Field(default=None, min_length=1, max_length=2_000)
    """Whose record it is: an id, userName or externalId."""


class Agreement(Shape):
    """How a plan is agreed to."""

    accept_deletions: int | None = Field(default=None, ge=1)
    """How many accounts it takes away that the brake would not let go; left out if it takes none."""
    accept_arrivals: int | None = Field(default=None, ge=1)
    """How many accounts it makes or takes over that the brake would not let come; left out if it does none."""
    retry: bool = False
    """Whether what was given up is tried again."""


class Wave(Shape):
    """Accounts that would go or come, if somebody agrees."""

    way: Literal["departures", "arrivals"]
    number: int
    plan: str
    """A name for exactly these."""


class SourceFigures(Shape):
    """What was read of a source, or would be."""

    source: str
    counts: dict[str, int]
    error: str | None
    """Why it could not be read; for a token that may not see every resource that it could not."""


class TargetFigures(Shape):
    """What was done at a target, or would be."""

    target: str
    counts: dict[str, int]
    stopped: str | None
    """Why it ended early; for a token that may not see every resource that it did."""
    braked: list[Wave]
    """What the brake does not let happen."""


class Order(Shape):
    """An order, and what came of it."""

    number: int
    kind: Kind
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    asked: dict[str, Any]
    """What was ordered; for a token that may not see every resource without keys and users."""
    by: str
    """Who ordered it."""
    created: str
    begun: str | None
    ended: str | None
    run: int | None
    """The first run it has made: what it did, and by which it can be taken back."""
    sources: list[SourceFigures]
    targets: list[TargetFigures]
    pending: bool | None
    """Whether a plan, or an undo, would change anything; null for other orders."""
    lines: int
    """How many people and groups a plan, or an undo, is about; of the first 10,000 what would be done can be read for a week."""
    error: str | None
    """Why it has failed; for a token that may not see every resource that it has."""
    note: str | None
    """Why nothing happens yet."""


class OrderList(Shape):
    """A page of orders, newest first."""

    orders: list[Order]
    next_cursor: str | None = None
    """For the next page; null on the last."""


class OrderLine(Shape):
    """What is to be done for one person or group, at one source or target, or in the hub."""

    number: int
    line: dict[str, Any]
    """As rollbook plan -o writes it, sensitive values masked."""


class LineList(Shape):
    """A page of what an order is about."""

    lines: list[OrderLine]
    next_cursor: str | None = None
    """For the next page; null on the last."""


class Match(Shape):
    """A record that may be one of several people's, or nobody's for sure."""

    source: str
    key: str
    since: str
    reason: str
    label: str | None
    candidates: list[str]
    """Ids of users it may be about."""


class MatchList(Shape):
    """A page of records that wait for somebody to decide whose they are."""

    matches: list[Match]
    next_cursor: str | None = None
    """For the next page; null on the last."""
