"""When and how rules write, through the engine: apply, default, when, clear, and the groups somebody is in."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.provisioning.world import ENTERPRISE, GROUP, USER, World, path_of, target, world

from rollbook.protocol.resource import Change, Scope
from rollbook.provisioning import model
from rollbook.provisioning.expressions import Subject, compile_expression
from rollbook.provisioning.items import Action
from rollbook.provisioning.mapping import Computed, Conditional, CopyAttribute
from rollbook.provisioning.model import Apply, Assignment, Clear, Leave, ObjectMapping, Rule, Way
from rollbook.storage.base import Author
from rollbook.testing.scripted_target import Profile

pytestmark = pytest.mark.anyio


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[World]:
    """A new world."""
    async with world(tmp_path) as made:
        yield made


def kept_up(rules: Mapping[str, Way | Rule | None], **settings: Any) -> model.Target:
    """A target to which userName and these attributes go, each in its way, or by a rule of its own."""
    made = [Assignment(path_of(USER, "userName"), CopyAttribute(Subject.USER, path_of(USER, "userName")))]
    for name, way in rules.items():
        path = path_of(USER, name)
        rule: Rule = CopyAttribute(Subject.USER, path)
        if way is None or isinstance(way, Way):
            made.append(Assignment(path, rule, way=way or model.USUAL))
        else:
            made.append(Assignment(path, way))
    return replace(target(**settings), users=ObjectMapping(tuple(made)))


def computed(text: str) -> Computed:
    """An expression about a user."""
    return Computed(compile_expression(text, Subject.USER), "title")


async def quiet(hub: World, wanted: model.Target) -> bool:
    """Whether neither a run nor one that believes nothing has anything to do."""
    items, _ = await hub.preview(wanted)
    writes = len(hub.service().writes)
    await hub.apply(replace(wanted, digest="believes nothing"))
    return [item for item in items if item.changes] == [] and len(hub.service().writes) == writes


ONCE, IF_EMPTY = Way(Apply.CREATE), Way(Apply.EMPTY)


async def test_create_goes_out_with_the_account_only(hub: World) -> None:
    """Sent once, then nobody's business: neither changed nor cleared nor compared, and the target's own value stays."""
    wanted = kept_up({"title": ONCE})
    ada = await hub.hire("ada", title="Analyst")
    await hub.apply(wanted)
    assert hub.service().named("Users", "ada")["title"] == "Analyst"
    hub.service().named("Users", "ada")["title"] = "by hand"
    for title in ("Lead", None):
        await hub.change(ada, title=title)
        assert await quiet(hub, wanted)
    assert hub.service().named("Users", "ada")["title"] == "by hand"


async def test_a_change_of_what_was_for_the_beginning_asks_the_target_nothing(hub: World) -> None:
    """It is not part of what is compared, so no call is made for it."""
    ada = await hub.hire("ada", title="Analyst")
    wanted = kept_up({"title": ONCE})
    await hub.apply(wanted)
    hub.service().requests.clear()
    await hub.change(ada, title="Lead")
    await hub.apply(wanted)
    assert hub.service().requests == []


@pytest.mark.parametrize(("way", "title"), [(ONCE, "theirs"), (IF_EMPTY, "theirs"), (None, "Analyst")])
async def test_an_account_that_is_adopted(hub: World, way: Way | None, title: str) -> None:
    """What goes out with a new account, or while there is no value, leaves the value of one that was there."""
    await hub.hire("ada", title="Analyst", externalId=None)
    await hub.hire("bob", title="Clerk", externalId=None)
    hub.service().add("Users", {"userName": "ada", "title": "theirs"})
    hub.service().add("Users", {"userName": "bob", "title": ""})
    wanted = kept_up({"title": way})
    await hub.apply(wanted)
    assert hub.service().named("Users", "ada")["title"] == title
    assert hub.service().named("Users", "bob")["title"] == ("" if way is ONCE else "Clerk")
    assert await quiet(hub, wanted)


async def test_empty_fills_what_is_empty_whenever_that_is(hub: World) -> None:
    """Also later, also a part of a name; never over a value, and never away."""
    rules = {"name.givenName": IF_EMPTY, "name.familyName": None, "nickName": IF_EMPTY}
    ada = await hub.hire("ada", {"name": {"givenName": "Ada", "familyName": "King"}})
    wanted = kept_up(rules)
    await hub.apply(wanted)
    held = hub.service().named("Users", "ada")
    held["name"] = {"givenName": "Augusta", "familyName": "King"}
    await hub.change(ada, {"name": {"givenName": "A.", "familyName": "Lovelace"}}, nickName="Countess")
    await hub.apply(wanted)
    held = hub.service().named("Users", "ada")
    assert (held["name"], held["nickName"]) == (
        {"givenName": "Augusta", "familyName": "Lovelace"},
        "Countess",
    )
    await hub.change(ada, nickName=None)
    assert await quiet(hub, wanted)


@pytest.mark.parametrize("patch", [True, False])
@pytest.mark.parametrize("way", [ONCE, IF_EMPTY, None])
async def test_a_part_that_is_not_ours_to_write_stays(hub: World, patch: bool, way: Way | None) -> None:
    """Where a name has a part of the target's own, and lacks ours, ours is written and the other stays."""
    service = hub.service(profile=Profile(patch=patch))
    await hub.hire("ada", {"name": {"givenName": "Ada", "familyName": "King"}}, externalId=None)
    service.add("Users", {"userName": "ada", "name": {"givenName": "Augusta"}})
    rules: dict[str, Way | Rule | None] = {"name.familyName": None}
    if way is not None:
        rules["name.givenName"] = way
    wanted = kept_up(rules)
    await hub.apply(wanted)
    assert service.named("Users", "ada")["name"] == {"givenName": "Augusta", "familyName": "King"}
    assert await quiet(hub, wanted)


@pytest.mark.parametrize("patch", [True, False])
@pytest.mark.parametrize(
    ("clear", "attribute", "value", "sent"),
    [
        (Clear.REMOVE, "title", "Analyst", "gone"),
        (Clear.NULL, "title", "Analyst", None),
        (Clear.EMPTY, "title", "Analyst", ""),
        (Clear.KEEP, "title", "Analyst", "Analyst"),
        (Clear.NULL, "emails", [{"value": "a@x", "type": "work"}], None),
        (Clear.EMPTY, "emails", [{"value": "a@x", "type": "work"}], []),
        (Clear.KEEP, "emails", [{"value": "a@x", "type": "work"}], [{"value": "a@x", "type": "work"}]),
        (Clear.EMPTY, "name.givenName", {"givenName": "Ada"}, ""),
        (Clear.NULL, "name.givenName", {"givenName": "Ada"}, None),
        (Clear.EMPTY, f"{ENTERPRISE}:department", "Engines", ""),
        (Clear.REMOVE, f"{ENTERPRISE}:department", "Engines", "gone"),
    ],
)
async def test_17_what_is_cleared_is_cleared_as_the_target_wants_it(
    hub: World, patch: bool, clear: Clear, attribute: str, value: Any, sent: Any
) -> None:
    """Pain point 17, C-4-03: remove, null, empty or nothing, by PATCH and by PUT; the next plan finds no difference."""
    hub.service(profile=Profile(patch=patch))
    urn, _, plain = attribute.rpartition(":")
    name, _, part = plain.partition(".")
    ada = await hub.hire("ada", {urn: {name: value}} if urn else {name: value})
    wanted = kept_up({attribute: Way(clear=clear)})
    await hub.apply(wanted)
    await hub.change(ada, {urn or name: None})
    await hub.apply(wanted)
    request = hub.service().writes[-1]
    if clear is not Clear.KEEP:
        assert request.method == ("PATCH" if patch else "PUT")
    if clear is Clear.KEEP:
        assert request.method == "POST"
    elif patch:
        (operation,) = request.body["Operations"]
        expected = {"op": "replace", "path": attribute, "value": sent}
        assert operation == ({"op": "remove", "path": attribute} if sent == "gone" else expected)
    else:
        body = request.body.get(urn, {}) if urn else request.body
        assert ((body.get(name) or {}) if part else body).get(part or name, "gone") == sent
        assert (urn in request.body["schemas"]) is (bool(urn) and sent != "gone")
    assert await quiet(hub, wanted)


async def test_a_rule_with_a_condition_and_a_default(hub: World) -> None:
    """While the condition is false there is no value, and no default either; otherwise the default fills the gap."""
    rule = Conditional(CopyAttribute(Subject.USER, path_of(USER, "title")), "Staff", computed("user.active"))
    wanted = kept_up({"title": rule}, leave=Leave.KEEP)
    await hub.hire("ada", title="Analyst")
    bob = await hub.hire("bob")
    await hub.apply(wanted)
    titles = [hub.service().named("Users", name).get("title") for name in ("ada", "bob")]
    assert titles == ["Analyst", "Staff"]
    rule = replace(rule, when=computed('user.userName != "bob"'))
    await hub.apply(kept_up({"title": rule}, digest="2"))
    assert "title" not in hub.service().named("Users", "bob")
    assert await hub.link(bob)


async def test_a_condition_that_is_none_stops_that_person_only(hub: World) -> None:
    """It is told by the attribute."""
    rule = Conditional(CopyAttribute(Subject.USER, path_of(USER, "title")), None, computed("user.?nickName"))
    await hub.hire("ada", title="Analyst")
    (report,) = await hub.apply(kept_up({"title": rule}))
    assert report.counts[Action.PARK] == 1
    assert "title: when gives null, not true or false" in str(report.failures[0].failure)


@pytest.mark.parametrize("way", [ONCE, IF_EMPTY, Way(clear=Clear.KEEP)])
async def test_who_was_switched_off_is_switched_on_again(hub: World, way: Way) -> None:
    """I-16: whatever is said of writing `active`; we switched it off, so we switch it on."""
    ada = await hub.hire("ada", title="x", active=None)
    wanted = kept_up({"active": way, "title": None}, scope='title eq "x"')
    await hub.apply(wanted)
    await hub.change(ada, title="y")
    await hub.apply(wanted)
    assert hub.service().named("Users", "ada")["active"] is False
    await hub.change(ada, title="x")
    await hub.apply(wanted)
    assert hub.service().named("Users", "ada")["active"] is True


async def rename(hub: World, group: str, name: str) -> None:
    """Give a group another name."""
    change = Change({"displayName": name})
    await hub.store.update(1, GROUP, group, lambda _: change, Scope(), Author("test", hub.clock.now()))


@pytest.mark.parametrize("leave", [Leave.DISABLE, Leave.DELETE, Leave.KEEP])
async def test_a_scope_by_group_follows_memberships(hub: World, leave: Leave) -> None:
    """Who gets into the group has an account, who gets out loses it by the leave policy; plan and worker alike."""
    wanted = kept_up({"title": None}, scope='groups.display eq "eng"', leave=leave, groups=None)
    ada, bob = await hub.hire("ada"), await hub.hire("bob")
    eng = await hub.group("eng", ada)
    items, _ = await hub.preview(wanted)
    assert [(item.label, item.action) for item in items] == [("ada", Action.CREATE)]
    await hub.apply(wanted)
    await hub.members(eng, add=[bob], remove=[ada])
    actions = {Leave.DISABLE: Action.DISABLE, Leave.DELETE: Action.DELETE, Leave.KEEP: Action.KEEP}
    expected = {"bob": Action.CREATE, "ada": actions[leave]}
    items, _ = await hub.preview(wanted)
    seen = {item.label: item.action for item in items}
    assert seen == expected
    await hub.apply(wanted)
    names = {one["userName"]: one.get("active", True) for one in hub.service().resources["Users"].values()}
    assert names == {"bob": True} | ({} if leave is Leave.DELETE else {"ada": leave is Leave.KEEP})


async def test_a_scope_by_group_follows_names(hub: World) -> None:
    """A group that is renamed or deleted takes its members along, whom no entry of the log names. Groups in it count for themselves."""
    wanted = kept_up({"title": None}, scope='groups.display eq "eng"', groups=None)
    ada = await hub.hire("ada")
    core = await hub.group("core", ada)

    async def active() -> bool:
        await hub.apply(wanted)
        held = [one for one in hub.service().resources["Users"].values() if one["userName"] == "ada"]
        return bool(held) and bool(held[0].get("active", True))

    assert not await active()
    await rename(hub, core, "eng")
    assert await active()
    await rename(hub, core, "core")
    assert not await active()
    await hub.group("eng", core)
    assert not await active()
    await rename(hub, core, "eng")
    assert await active()
    await hub.remove(core, GROUP)
    assert not await active()


async def test_a_scope_by_the_id_of_a_group_outlives_its_name(hub: World) -> None:
    """`groups.value` is the group itself, whatever it is called."""
    ada = await hub.hire("ada")
    eng = await hub.group("eng", ada)
    wanted = kept_up({"title": None}, scope=f'groups.value eq "{eng}"', groups=None)
    await hub.apply(wanted)
    await rename(hub, eng, "engineering")
    assert await quiet(hub, wanted)
    assert hub.service().named("Users", "ada")["userName"] == "ada"


async def test_rules_read_the_groups_somebody_is_in(hub: World) -> None:
    """Names of groups in a rule; who is in none has an empty list; a change of membership brings the account up to date."""
    wanted = kept_up({"title": computed('user.groups.map(g, g.display).join(", ")')}, groups=None)
    ada, _ = await hub.hire("ada"), await hub.hire("bob")
    await hub.apply(wanted)
    assert "title" not in hub.service().named("Users", "bob")
    eng = await hub.group("eng", ada)
    await hub.apply(wanted)
    assert hub.service().named("Users", "ada")["title"] == "eng"
    await rename(hub, eng, "engineering")
    await hub.apply(wanted)
    assert hub.service().named("Users", "ada")["title"] == "engineering"
    await hub.members(eng, remove=[ada])
    await hub.apply(wanted)
    assert "title" not in hub.service().named("Users", "ada")
