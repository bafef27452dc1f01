"""Each cell of each profile changes something that can be seen: what is not acted on has no business in the files."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import Field, fields, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.provisioning.test_config import load, mistakes
from tests.provisioning.world import CATALOG, GROUP, USER, path_of, target
from typer.testing import CliRunner

from rollbook.cli.main import app as commands
from rollbook.protocol.errors import RequestError, TargetError
from rollbook.protocol.schema import ResourceType
from rollbook.protocol.values import JsonObject
from rollbook.provisioning import model
from rollbook.provisioning.credentials import warnings_of
from rollbook.provisioning.differences import Difference
from rollbook.provisioning.plan import Situation, plan
from rollbook.provisioning.profile import Profile, names, profile_named
from rollbook.provisioning.targets.scim import ScimTarget, connect
from rollbook.provisioning.wanted import Kind, kinds_of, wish_for
from rollbook.testing.asgi_transport import AsgiTransport
from rollbook.testing.scripted_target import Profile as Far
from rollbook.testing.scripted_target import ScriptedTarget

TODAY = datetime(2026, 11, 27, tzinfo=UTC)
LISTED = ("emails", "phoneNumbers", "addresses", "roles", "ims", "photos")
EVERYTHING = ("userName", "externalId", "displayName", "title", "active", *LISTED)


def _target(profile: Profile) -> model.Target:
    made = target(users={name: name for name in EVERYTHING})
    groups = made.groups
    assert groups is not None
    named = model.Assignment(path_of(GROUP, "externalId"), groups.mapping.assignments[0].rule)
    mapping = model.ObjectMapping((*groups.mapping.assignments, named))
    return replace(made, profile=profile, groups=replace(groups, mapping=mapping))


def _kinds(profile: Profile) -> Mapping[str, Kind]:
    return kinds_of(_target(profile), CATALOG)


def _found_by(profile: Profile) -> object:
    return {name: kind.joins for name, kind in _kinds(profile).items()}


def _steps(profile: Profile) -> object:
    """What is done with a user and a group of whom everything is another now."""

    def step(resource_type: ResourceType, present: JsonObject, wanted: JsonObject) -> object:
        kind = _kinds(profile)[resource_type.name]
        return plan(
            Situation(
                resource_type,
                kind.managed,
                model.Leave.DISABLE,
                wanted,
                None,
                present,
                updatable=kind.updatable,
                fixed=kind.fixed,
            )
        )

    user = step(USER, {"userName": "a", "title": "a", "active": True}, {"userName": "b", "title": "b"})
    return user, step(GROUP, {"displayName": "a"}, {"displayName": "b"})


def _document(profile: Profile) -> object:
    """What goes out of somebody who has two values of a type of everything."""
    values = [
        {"value": "1", "type": "work"},
        {"value": "2", "type": "home"},
        {"value": "3", "type": "work", "primary": True},
    ]
    person = {"userName": "a", **dict.fromkeys(LISTED, values)}
    return wish_for(_kinds(profile)["User"], person, TODAY).document


async def _update(far: ScimTarget, kind: Kind, service: ScriptedTarget) -> None:
    own = service.add(kind.resource_type.endpoint.strip("/"), {"displayName": "a", "userName": "a"})
    differences = (Difference(path_of(kind.resource_type, "displayName"), "a", "b"),)
    present = await far.read(kind, own)
    assert present is not None
    await far.update(kind, present, differences)


async def _members(far: ScimTarget, kind: Kind, service: ScriptedTarget) -> object:
    own = service.add("Groups", {"displayName": "a", "members": [{"value": "1"}]})
    most = await far.members_per_call()
    await far.change_members(kind, own, ["2"], [])
    return most, await far.read_members(kind, own)


async def _look(far: ScimTarget, kind: Kind, service: ScriptedTarget) -> None:
    for number in range(500):
        service.add("Users", {"userName": f"p{number}"})
    await far.find(kind, path_of(USER, "userName"), "nobody")


_Do = Callable[[ScimTarget, Kind, ScriptedTarget], Awaitable[object]]


def _calls(do: _Do, resource_type: str, *services: Far) -> Callable[[Profile], object]:
    """What is asked of these services, and answered by the target."""

    async def on(profile: Profile, service: ScriptedTarget) -> object:
        far = connect(_target(profile), wrap=lambda _one, _name: AsgiTransport(service))
        found: object = None
        with suppress(RequestError, TargetError):
            found = await do(far, _kinds(profile)[resource_type], service)
        requests = [
            (one.method, one.path, dict(one.query), one.headers.get("if-match"), one.body)
            for one in service.requests
        ]
        return found, requests

    async def each(profile: Profile) -> Sequence[object]:
        return [await on(profile, ScriptedTarget(service)) for service in services]

    return lambda profile: asyncio.run(each(profile))


PATCHING = (Far(), Far(tells_patch=False), Far(patch=False))

SEEN: Mapping[str, Callable[[Profile], object]] = {
    "patch": _calls(_update, "User", *PATCHING),
    "group_patch": _calls(_members, "Group", *PATCHING),
    "put": _calls(_update, "User", *PATCHING),
    "etags": _calls(_update, "User", Far(etags=True)),
    "search_by_post": _calls(_look, "User", Far(dot_search=True)),
    "max_members": _calls(_members, "Group", Far()),
    "max_page": _calls(_look, "User", Far(ignores_filters=True, page_limit=1000)),
    "members_readable": _calls(_members, "Group", Far()),
    "lookup": _found_by,
    "updatable": _steps,
    "fixed": _steps,
    "single_valued": _document,
    "one_per_type": _document,
}
"""Cells of which the engine shows other behaviour than without them."""


def _read(cell: str) -> Callable[[model.Target], object]:
    return lambda found: getattr(found, cell)


def _nesting(found: model.Target) -> object:
    return found.groups is not None and found.groups.flat


def _clear(found: model.Target) -> object:
    return [one.way.clear for one in found.users.assignments]


def _noted(found: model.Target) -> object:
    return list(warnings_of([found], 0))


CONFIGURED: Mapping[str, Callable[[model.Target], object]] = {
    "token_lifetime": _noted,
    "concurrency": _read("concurrency"),
    "settle": _read("settle"),
    "rate": _read("rate"),
    "nesting": _nesting,
    "clear": _clear,
}
"""Cells that make another target of a configuration."""

REFUSED = {"required": "demands", "forbidden": "refuses", "groups": "has no groups"}
"""Cells that make a mistake of what a configuration says."""

SHOWN = {"title", "source", "delete_means", "unverified", "notes"}
"""Cells for people."""

CELLS = {one.name: one for one in fields(Profile) if one.name != "name"}


def _usual(cell: Field[object]) -> object:
    return cell.default_factory() if callable(cell.default_factory) else cell.default


def _other(said: object, usual: object) -> object:
    """Something else: what a file says may be the usual, and has to act nonetheless."""
    if isinstance(said, Mapping):
        return dict.fromkeys(said, ())
    return said + 7 if isinstance(said, int) and not isinstance(said, bool) else usual


SAID = [
    (name, cell)
    for name in names()
    for cell, one in CELLS.items()
    if getattr(profile_named(name), cell) != _usual(one)
]


def test_every_cell_is_in_one_table() -> None:
    """A cell that is new has to say where it is seen, and one is seen in one way."""
    tables = [*SEEN, *CONFIGURED, *REFUSED, *SHOWN]
    assert sorted(tables) == sorted(CELLS)


def _of(table: object) -> list[tuple[str, str]]:
    return [(name, cell) for name, cell in SAID if cell in table]  # type: ignore[operator]


@pytest.mark.parametrize(("name", "cell"), _of(SEEN))
def test_the_engine_does_otherwise(name: str, cell: str) -> None:
    """Something else is sent, or decided, where the cell says something else."""
    said = profile_named(name)
    other = _other(getattr(said, cell), _usual(CELLS[cell]))
    assert SEEN[cell](said) != SEEN[cell](replace(said, **{cell: other}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cell", "said"), [("etags", False), ("search_by_post", True), ("patch", False), ("group_patch", False)]
)
def test_what_no_file_says_is_seen_too(cell: str, said: object) -> None:
    """Cells that a configuration says, or profiles to come."""
    assert SEEN[cell](Profile(**{cell: said})) != SEEN[cell](Profile())  # type: ignore[arg-type]


def _text(name: str, users: Sequence[str], *, groups: bool, profile: bool) -> str:
    rules = "\n".join(f"      {one}: {{from: {one}}}" for one in users)
    more = (f"    profile: {name}\n" if profile else "") + ("    groups: {}\n" if groups else "")
    return f"version: 1\ntargets:\n  t:\n    type: scim\n    url: https://example.com/v2\n    token: ${{TOKEN}}\n    concurrency: 64\n{more}    users:\n{rules}\n"


@pytest.mark.parametrize(("name", "cell"), _of(CONFIGURED))
def test_the_configuration_becomes_another(tmp_path: Path, name: str, cell: str) -> None:
    """With the profile the target is another in that place."""
    said = profile_named(name)
    users = dict.fromkeys(["userName", "title", *said.required])
    found = [
        load(tmp_path, _text(name, list(users), groups=said.groups, profile=profile)).targets["t"]
        for profile in (True, False)
    ]
    assert CONFIGURED[cell](found[0]) != CONFIGURED[cell](found[1])


@pytest.mark.parametrize(("name", "cell"), _of(REFUSED))
def test_the_configuration_is_refused(tmp_path: Path, name: str, cell: str) -> None:
    """What is demanded and missing, refused and there, each by its name."""
    said = profile_named(name)
    text = _text(name, ["title", *said.forbidden], groups=True, profile=True)
    told = {one.title for one in mistakes(tmp_path, text) if REFUSED[cell] in one.title}
    assert len(told) == (len(getattr(said, cell)) if cell != "groups" else 1)


@pytest.mark.parametrize(("name", "cell"), _of(SHOWN))
def test_people_are_shown_it(name: str, cell: str) -> None:
    """`rollbook profiles NAME` says it."""
    value = getattr(profile_named(name), cell)
    printed = CliRunner().invoke(commands, ["profiles", name]).stdout
    for text in [value] if isinstance(value, str) else value:
        assert text in printed


@pytest.mark.parametrize(
    ("name", "values", "kept"),
    [
        ("aws-identity-center", "a:work b:home* c:work", "b"),
        ("aws-identity-center", "a:work b:home", "a"),
        ("pingone", "a:work b:home c:work* d:HOME", "c b"),
        ("slack", "a:work b:home* c:work", "a b c"),
    ],
)
def test_which_value_goes_out(name: str, values: str, kept: str) -> None:
    """The primary one before all others, else the first; where types count, one of each."""
    emails = [
        {"value": one[0], "type": one[2:].strip("*"), **({"primary": True} if "*" in one else {})}
        for one in values.split()
    ]
    document = wish_for(
        _kinds(profile_named(name))["User"], {"userName": "a", "emails": emails}, TODAY
    ).document
    assert document is not None
    assert [one["value"] for one in document["emails"]] == kept.split()
