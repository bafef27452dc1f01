"""What a kind of target can do, wants and counts: data files, since announcements are wrong too often (C-2-05).

Unverified cells are marked in the files by their names. A profile comes before what ServiceProviderConfig says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

from rollbook.provisioning.schedule import milliseconds


@dataclass(frozen=True)
class Rate:
    """At most so many requests in so many milliseconds, of some methods, to one resource type or all."""

    requests: int
    per: int
    methods: frozenset[str] = frozenset()
    resource: str | None = None
    burst: int = 0

    @property
    def most_at_once(self) -> int:
        """Requests that may go out together after a rest: never more than a tenth unless it is said."""
        return self.burst or max(1, self.requests // 10)

    def counts(self, method: str, resource: str) -> bool:
        """Whether such a request counts."""
        return (not self.methods or method in self.methods) and self.resource in {None, resource}


@dataclass(frozen=True)
class Profile:
    """One kind of target. None is what the target itself says."""

    name: str = ""
    title: str = ""
    source: str = ""
    patch: bool | None = None
    group_patch: bool | None = None
    put: bool = True
    etags: bool | None = None
    """Whether changes are made onto the version that was read (If-Match)."""
    search_by_post: bool = False
    """Whether look-ups go by POST .search, so that no personal data stands in a URL."""
    groups: bool = True
    nesting: bool = True
    """Whether a group can be a member of a group."""
    lookup: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By resource type, the attributes an account is looked for by, best first."""
    max_members: int | None = None
    max_page: int | None = None
    """How many accounts it shows on a page; so many are asked for when it is walked through."""
    members_readable: bool = True
    concurrency: int | None = None
    settle: float = 0.0
    """For how many seconds it may not yet show an account that it has made."""
    rate: tuple[Rate, ...] = ()
    required: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    updatable: tuple[str, ...] = ()
    """The only attributes that can be changed once there is an account; all if empty."""
    fixed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By resource type, what cannot be changed once there is an account."""
    clear: str | None = None
    """What it takes for a value that is gone: remove, null, empty or keep."""
    single_valued: tuple[str, ...] = ()
    """Attributes of which it keeps one value: the primary one goes out, else the first."""
    one_per_type: tuple[str, ...] = ()
    """Attributes of which it keeps one value of each type."""
    delete_means: str = ""
    token_lifetime: str = ""
    """After what time its tokens end, so that somebody has to say when this one does."""
    unverified: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


NO_PROFILE = Profile()
"""A target that is what it says it is."""


@cache
def names() -> tuple[str, ...]:
    """The names of all profiles."""
    files = resources.files("rollbook.provisioning.profiles").iterdir()
    return tuple(sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml")))


@cache
def profile_named(name: str) -> Profile:
    """The profile of that name.

    Raises:
        KeyError: there is none.
    """
    from ruamel.yaml import YAML

    if name not in names():
        raise KeyError(name)
    text = resources.files("rollbook.provisioning.profiles").joinpath(f"{name}.yaml").read_text("utf-8")
    return _read(name, YAML(typ="safe", pure=True).load(text))


def rate_of(raw: Mapping[str, Any]) -> Rate:
    """A rate as a file has it.

    Raises:
        Unreadable: `per` is no length of time.
    """
    return Rate(
        int(raw["requests"]),
        milliseconds(str(raw.get("per", "1s"))),
        frozenset(raw.get("methods", ())),
        raw.get("resource"),
        int(raw.get("burst", 0)),
    )


def _read(name: str, raw: Mapping[str, Any]) -> Profile:
    plain: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()
    }
    plain["rate"] = tuple(map(rate_of, raw.get("rate", ())))
    for name_of_both in ("lookup", "fixed"):
        plain[name_of_both] = {kind: tuple(found) for kind, found in raw.get(name_of_both, {}).items()}
    return Profile(name=name, **plain)
