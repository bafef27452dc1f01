"""The link store: marks, leases, fences, members, runs (architecture 8)."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.postgres_server import empty

from rollbook.protocol.catalog import core_catalog
from rollbook.protocol.errors import Conflict, Outdated, Uniqueness
from rollbook.protocol.resource import Change, Member, Scope
from rollbook.storage.base import Author
from rollbook.storage.links import Link, MemberChanges, Outcome, State
from rollbook.storage.sql import link_marks, link_members, migrate, target_figures
from rollbook.storage.sql.databases import open_store
from rollbook.storage.sql.links import (
    ACCOUNTS_OF,
    BY_KEYS,
    CLAIM,
    CLAIM_ONE,
    DEPENDENTS,
    FLAT_DEPENDENTS,
    TO_DO,
    UNMARKED,
    SqlLinks,
)
from rollbook.storage.sql.store import SqlStore

pytestmark = pytest.mark.anyio

TENANT = 1
OTHER_TENANT = 2
NOW = 1_000_000
LEASE = 60_000
CATALOG = core_catalog()
USER, GROUP = CATALOG.resource_types[:2]
RANKS = {"User": 0, "Group": 1}


class Hub:
    """A store with links, and one target in it."""

    def __init__(self, store: SqlStore) -> None:
        self.store = store
        self.links = SqlLinks(store.database)
        self.target = 0

    async def add(self, id: str, tenant: int = TENANT) -> None:
        """Put a user there."""
        await self.store.insert(tenant, USER, id, Change({"userName": f"{tenant}-{id}"}), Author("test", NOW))

    async def group(self, id: str, *members: str) -> None:
        """Put a group there."""
        change = Change({"displayName": id}, tuple(map(Member, members)))
        await self.store.insert(TENANT, GROUP, id, change, Author("test", NOW))

    async def touch(self, id: str) -> None:
        """Change a user."""
        await self.store.update(
            TENANT,
            USER,
            id,
            lambda present: Change({**present.document, "title": f"{present.document.get('title', '')}x"}),
            Scope(),
            Author("test", NOW),
        )

    async def follow(self, now: int = NOW) -> bool:
        """Mark what the log says."""
        return await self.links.follow(TENANT, self.target, RANKS, now, 100)

    async def claim(self, now: int = NOW, rank: int = 0) -> list[Link]:
        """Take up what is due."""
        return list(await self.links.claim(TENANT, self.target, rank, now, now + LEASE, 100))

    async def linked(self, id: str, remote_id: str) -> Link:
        """The link of a user with its account, claimed by us."""
        await self.follow()
        link = await self.links.claim_one(TENANT, self.target, id, NOW, NOW + LEASE)
        assert link is not None
        assert await self.links.keep_remote_id(TENANT, self.target, link, remote_id, NOW)
        return link

    async def link(self, id: str) -> Link:
        """The link as it is."""
        found = await self.links.link(TENANT, self.target, id)
        assert found is not None
        return found


@pytest.fixture(params=["sqlite", "postgresql"])
async def hub(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Hub]:
    """A new hub with one target that has walked over nothing."""
    url = f"sqlite:///{tmp_path}/hub.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_database")
        empty(url)
    store = open_store(url, CATALOG)
    await store.open()
    made = Hub(store)
    made.target = (await made.links.open_target(TENANT, "app", "1")).number
    assert not await made.links.walk(TENANT, made.target, RANKS, NOW, 100)
    yield made
    await store.close()


async def test_marks_merge(hub: Hub) -> None:
    """Fifty changes of one user are one link to work on (FE-28)."""
    await hub.add("a")
    for _ in range(49):
        await hub.touch("a")
    assert not await hub.follow()
    (link,) = await hub.claim()
    assert link.id == "a"
    assert await hub.claim() == []


async def test_the_log_is_followed_once(hub: Hub) -> None:
    """The position moves with the marks: nothing is marked twice, nothing is left out."""
    for number in range(7):
        await hub.add(f"user-{number}")
    assert await hub.links.follow(TENANT, hub.target, RANKS, NOW, 4)
    assert len(await hub.claim()) == 4
    assert not await hub.links.follow(TENANT, hub.target, RANKS, NOW, 4)
    assert len(await hub.claim()) == 3
    progress = await hub.links.target(TENANT, "app")
    assert progress is not None
    assert progress.position == await hub.store.last_change(TENANT)


async def test_a_walk_marks_everything_page_by_page(hub: Hub) -> None:
    """A new digest has all resources and all links marked, those of deleted resources too."""
    for number in range(5):
        await hub.add(f"user-{number}")
    await hub.group("team")
    gone = await hub.linked("user-0", "r-0")
    await hub.links.finish(TENANT, hub.target, gone, Outcome(State.DONE, NOW))
    await hub.store.delete(TENANT, USER, "user-0", Author("test", NOW))
    await hub.follow()
    for link in [*await hub.claim(), *await hub.claim(rank=1)]:
        await hub.links.finish(TENANT, hub.target, link, Outcome(State.DONE, NOW))
    await hub.links.open_target(TENANT, "app", "2")
    pages = 1
    while await hub.links.walk(TENANT, hub.target, RANKS, NOW, 2):
        pages += 1
    assert pages == 3
    assert [link.id for link in await hub.claim()] == [f"user-{number}" for number in range(5)]
    assert [link.id for link in await hub.claim(rank=1)] == ["team"]
    assert not await hub.links.walk(TENANT, hub.target, RANKS, NOW, 2)


async def test_a_new_target_sees_what_was_there_before(hub: Hub) -> None:
    """A target that is added later begins with a walk, and with the log where it then is."""
    await hub.add("a")
    later = await hub.links.open_target(TENANT, "later", "1")
    assert (later.number, later.walked) == (hub.target + 1, 0)
    assert later.position == await hub.store.last_change(TENANT)
    await hub.links.walk(TENANT, later.number, RANKS, NOW, 100)
    assert [link.id for link in await hub.links.claim(TENANT, later.number, 0, NOW, NOW, 9)] == ["a"]


async def test_i_18_a_fenced_worker_records_nothing(hub: Hub) -> None:
    """After the lease has run out and another worker has the link, the first one's results are refused."""
    await hub.add("a")
    await hub.follow()
    (old,) = await hub.claim()
    (new,) = await hub.claim(NOW + LEASE)
    assert new.fence == old.fence + 1
    links, target = hub.links, hub.target
    assert not await links.keep_remote_id(TENANT, target, old, "r-1", NOW)
    assert not await links.finish(TENANT, target, old, Outcome(State.DONE, NOW))
    assert not await links.fail(TENANT, target, old, Outcome(State.PARKED, NOW))
    assert not await links.release(TENANT, target, old, NOW)
    assert not await links.drop(TENANT, target, old, NOW)
    assert not await links.keep_all_members(TENANT, target, old, ["r-1"])
    assert not await links.keep_members(TENANT, target, old, MemberChanges(("r-1",)), NOW)
    assert await hub.link("a") == new
    assert await links.finish(TENANT, target, new, Outcome(State.DONE, NOW))


async def test_turns_are_given_once(hub: Hub) -> None:
    """Stretches of time follow each other, whoever asks; each limit has its own; nobody gets the past."""

    async def take(limit: str, start: int) -> int:
        return await hub.links.take_turns(TENANT, hub.target, limit, start, 200)

    found = await asyncio.gather(*(take("10 in 1000", 1_000) for _ in range(5)))
    assert sorted(found) == [1_000, 1_200, 1_400, 1_600, 1_800]
    assert await take("other", 1_000) == 1_000
    assert await take("10 in 1000", 50_000) == 50_000
    assert await take("10 in 1000", 1_000) == 50_200


async def test_a_warning_is_given_once(hub: Hub) -> None:
    """By whoever comes first; another one is another matter, and so is another target."""
    other = (await hub.links.open_target(TENANT, "other", "1")).number

    async def given(text: str, target: int = hub.target, tenant: int = TENANT, now: int = 100) -> bool:
        is_taken = await hub.links.take_warning(tenant, target, text, now, now + 50)
        if is_taken:
            await hub.links.note_warning(tenant, target, text)
        return is_taken

    assert [await given(text) for text in ("30", "30", "7", "7", "0")] == [True, False, True, False, True]
    assert await given("0", other)
    assert not await given("30", tenant=OTHER_TENANT)


async def test_a_warning_that_was_not_given_is_given_later(hub: Hub) -> None:
    """Nobody else has it until whoever took it had time enough; then whoever comes first."""

    async def taken(now: int) -> bool:
        return await hub.links.take_warning(TENANT, hub.target, "7", now, now + 50)

    assert [await taken(now) for now in (100, 149, 150, 151)] == [True, False, True, False]
    await hub.links.note_warning(TENANT, hub.target, "7")
    assert not await taken(1_000)


async def test_a_lease_is_given_once(hub: Hub) -> None:
    """While a lease lasts nobody else gets the link."""
    await hub.add("a")
    await hub.follow()
    assert len(await hub.claim()) == 1
    assert await hub.claim(NOW + LEASE - 1) == []
    assert await hub.links.claim_one(TENANT, hub.target, "a", NOW + LEASE - 1, NOW) is None


async def test_fe_31_who_is_outdated_writes_nothing(hub: Hub) -> None:
    """From the moment that the database is brought up to a version that a worker does not know, also not what it has in its hands."""
    await hub.add("a")
    await hub.linked("a", "account")
    link = await hub.link("a")
    await hub.add("b")
    with hub.store.database.alone() as connection:
        connection.run("UPDATE alembic_version SET version_num = '9999'")
    links, own = hub.links, (TENANT, hub.target)
    for work in (
        hub.claim(NOW + LEASE),
        links.claim_one(*own, "a", NOW + LEASE, NOW),
        links.finish(*own, link, Outcome(State.DONE, NOW)),
        links.keep_remote_id(*own, link, "another", NOW),
        hub.follow(),
        links.begin_run(TENANT, "apply", "app", NOW),
        hub.touch("a"),
    ):
        with pytest.raises(Outdated, match="of a newer Rollbook"):
            await work
    with hub.store.database.alone() as connection:  # others use it after us
        connection.run("UPDATE alembic_version SET version_num = ?", (migrate.head(),))
    assert await hub.link("a") == link
    assert await links.link(*own, "b") is None
    assert list(await links.runs(TENANT, 10)) == []


async def test_changes_during_work_are_not_lost(hub: Hub) -> None:
    """A link that was marked while somebody worked on it is ready again when that work ends."""
    await hub.add("a")
    await hub.follow()
    (link,) = await hub.claim()
    await hub.touch("a")
    await hub.follow()
    assert await hub.links.finish(TENANT, hub.target, link, Outcome(State.DONE, NOW, confirmed=b"1"))
    assert (await hub.link("a")).state is State.READY
    (link,) = await hub.claim()
    await hub.touch("a")
    await hub.follow()
    assert await hub.links.fail(TENANT, hub.target, link, Outcome(State.PARKED, NOW))
    assert (await hub.link("a")).state is State.READY


async def test_marks_do_not_shorten_a_wait(hub: Hub) -> None:
    """Somebody who waits for another attempt keeps waiting whatever happens in the hub meanwhile."""
    await hub.add("a")
    await hub.follow()
    (link,) = await hub.claim()
    await hub.links.fail(TENANT, hub.target, link, Outcome(State.READY, NOW + 5000, attempts=3))
    await hub.touch("a")
    await hub.follow()
    assert await hub.claim(NOW + 4999) == []
    (again,) = await hub.claim(NOW + 5000)
    assert again.attempts == 3
    assert await hub.links.next_due(TENANT, hub.target, RANKS) == NOW + 5000 + LEASE


async def test_i_11_an_account_is_one_persons(hub: Hub) -> None:
    """The same remote id cannot be recorded for two living resources."""
    await hub.add("a")
    await hub.add("b")
    await hub.linked("a", "r-1")
    await hub.links.claim_one(TENANT, hub.target, "b", NOW, NOW + LEASE)
    for inherit in (False, True):
        with pytest.raises(Uniqueness, match="belongs to User a"):
            await hub.links.keep_remote_id(
                TENANT, hub.target, await hub.link("b"), "r-1", NOW, inherit=inherit
            )
    assert (await hub.link("b")).remote_id is None


async def test_accounts_of_the_dead_can_be_inherited(hub: Hub) -> None:
    """The account of a deleted resource goes to another one if it may, and not while somebody works on it."""
    await hub.add("a")
    dead = await hub.linked("a", "r-1")
    await hub.store.delete(TENANT, USER, "a", Author("test", NOW))
    await hub.add("b")
    await hub.follow()
    link = await hub.links.claim_one(TENANT, hub.target, "b", NOW, NOW + LEASE)
    assert link is not None
    with pytest.raises(Uniqueness):
        await hub.links.keep_remote_id(TENANT, hub.target, link, "r-1", NOW)
    with pytest.raises(Conflict, match="is being worked on"):
        await hub.links.keep_remote_id(TENANT, hub.target, link, "r-1", NOW, inherit=True)
    await hub.links.release(TENANT, hub.target, dead, NOW)
    assert await hub.links.keep_remote_id(TENANT, hub.target, link, "r-1", NOW, inherit=True)
    assert await hub.links.link(TENANT, hub.target, "a") is None


async def test_work_that_nobody_saw_the_end_of_confirms_nothing(hub: Hub) -> None:
    """After a failure, a release or a lease that ran out, what was confirmed before says nothing."""
    await hub.add("a")
    for end in ("fail", "release", "expire"):
        await hub.touch("a")
        await hub.follow()
        link = await hub.links.claim_one(TENANT, hub.target, "a", NOW, NOW + LEASE)
        assert link is not None
        await hub.links.finish(TENANT, hub.target, link, Outcome(State.DONE, NOW, confirmed=b"1"))
        await hub.touch("a")
        await hub.follow()
        (link,) = await hub.claim()
        assert link.confirmed == b"1"
        if end == "fail":
            await hub.links.fail(TENANT, hub.target, link, Outcome(State.READY, NOW))
        elif end == "release":
            await hub.links.release(TENANT, hub.target, link, NOW)
        (link,) = await hub.claim(NOW + LEASE)
        assert link.confirmed is None
        await hub.links.finish(TENANT, hub.target, link, Outcome(State.DONE, NOW))


async def test_an_account_that_may_have_been_made_is_remembered(hub: Hub) -> None:
    """How to find it stays until its id is known, or until it is known that there is none."""
    await hub.add("a")
    await hub.follow()
    (link,) = await hub.claim()
    for sought in ("how", None):
        assert await hub.links.expect_account(TENANT, hub.target, link, sought)
        await hub.links.fail(TENANT, hub.target, link, Outcome(State.READY, NOW))
        assert (await hub.link("a")).sought == sought
        (link,) = await hub.claim()
    await hub.links.expect_account(TENANT, hub.target, link, "how")
    await hub.links.keep_remote_id(TENANT, hub.target, link, "r-1", NOW)
    assert (await hub.link("a")).sought is None


async def test_members_that_may_have_arrived_can_be_taken_out(hub: Hub) -> None:
    """Members that were sent, and whose arrival nobody saw, are sent again if wanted, and taken out if not."""
    await hub.add("a")
    await hub.linked("a", "r-a")
    await hub.group("team", "a")
    await hub.follow()
    (team,) = await hub.claim(rank=1)
    links, target = hub.links, hub.target
    await links.keep_all_members(TENANT, target, team, [])
    await links.expect_members(TENANT, target, team, MemberChanges(("r-a",)))
    assert await links.member_changes(TENANT, target, team, 10) == MemberChanges(("r-a",), ())
    assert await links.member_changes(TENANT, target, team, 10, nobody=True) == MemberChanges((), ("r-a",))
    await links.keep_members(TENANT, target, team, MemberChanges(("r-a",)), NOW + LEASE)
    assert await links.member_changes(TENANT, target, team, 10) == MemberChanges()
    await links.expect_members(TENANT, target, team, MemberChanges((), ("r-a",)))
    assert await links.member_changes(TENANT, target, team, 10) == MemberChanges(("r-a",), ())
    assert await links.member_changes(TENANT, target, team, 10, nobody=True) == MemberChanges((), ("r-a",))


async def test_fe_26_a_reset_may_forget_accounts(hub: Hub) -> None:
    """What is known of them is not believed, or not even which they are; whoever works on one is overtaken then."""
    await hub.add("ada")
    link = await hub.linked("ada", "r1")
    await hub.links.reset(TENANT, hub.target)
    assert (await hub.link("ada")).remote_id == "r1"
    await hub.links.reset(TENANT, hub.target, accounts=True)
    assert (await hub.link("ada")).remote_id is None
    assert not await hub.links.finish(TENANT, hub.target, link, Outcome(State.DONE, NOW))


async def test_who_refers_to_a_new_account_wakes(hub: Hub) -> None:
    """Whoever names a resource, and groups it is in, are marked when its account comes or goes."""
    await hub.add("boss")
    await hub.add("a")
    await hub.group("team", "boss")
    await hub.follow()
    for link in await hub.claim():
        references = {"boss": None} if link.id == "a" else {}
        await hub.links.finish(TENANT, hub.target, link, Outcome(State.DONE, NOW, references=references))
    (team,) = await hub.claim(rank=1)
    await hub.links.finish(TENANT, hub.target, team, Outcome(State.DONE, NOW))
    await hub.touch("boss")
    for account in ("r-1", None):
        await hub.follow()
        boss = await hub.links.claim_one(TENANT, hub.target, "boss", NOW, NOW + LEASE)
        assert boss is not None
        await hub.links.keep_remote_id(TENANT, hub.target, boss, account, NOW)
        await hub.links.finish(TENANT, hub.target, boss, Outcome(State.DONE, NOW))
        woken = await hub.claim()
        assert [link.id for link in woken] == ["a"]
        await hub.links.finish(
            TENANT, hub.target, woken[0], Outcome(State.DONE, NOW, references={"boss": account})
        )
        (team,) = await hub.claim(rank=1)
        await hub.links.finish(TENANT, hub.target, team, Outcome(State.DONE, NOW))
        await hub.touch("boss")
    assert sorted(await hub.links.dependents(TENANT, hub.target, "boss")) == [
        ("Group", "team"),
        ("User", "a"),
    ]


async def test_accounts_that_changed_while_they_were_sent(hub: Hub) -> None:
    """Finishing with another account than the one referred to has now leaves the link ready, to be corrected."""
    await hub.add("boss")
    await hub.add("a")
    await hub.follow()
    waiting = await hub.links.claim_one(TENANT, hub.target, "a", NOW, NOW + LEASE)
    assert waiting is not None
    await hub.linked("boss", "r-1")
    for sent, state in ((None, State.READY), ("r-0", State.READY), ("r-1", State.DONE)):
        outcome = Outcome(State.DONE, NOW, references={"boss": sent})
        await hub.links.finish(TENANT, hub.target, waiting, outcome)
        assert (await hub.link("a")).state is state
        again = await hub.links.claim_one(TENANT, hub.target, "a", NOW, NOW + LEASE)
        waiting = again or waiting


async def test_members_by_difference(hub: Hub) -> None:
    """Members to add are those of the hub with an account, those to remove the accounts of ours that are not."""
    for name in ("a", "b", "c", "d"):
        await hub.add(name)
    for name in ("a", "b", "c"):
        await hub.linked(name, f"r-{name}")
    await hub.group("team", "a", "b", "d")
    await hub.follow()
    (team,) = await hub.claim(rank=1)
    links, target = hub.links, hub.target
    assert await links.keep_all_members(TENANT, target, team, ["r-b", "r-c", "foreign"])
    assert await links.member_changes(TENANT, target, team, 10) == MemberChanges(("r-a",), ("r-c",))
    assert await links.member_changes(TENANT, target, team, 10, nobody=True) == MemberChanges(
        (), ("r-b", "r-c")
    )
    assert await links.member_changes(TENANT, target, team, 1, nobody=True) == MemberChanges((), ("r-b",))
    assert await links.keep_members(TENANT, target, team, MemberChanges(("r-a",), ("r-c",)), NOW + 2 * LEASE)
    assert await links.member_changes(TENANT, target, team, 10) == MemberChanges()
    assert sorted(await links.known_members(TENANT, target, team)) == ["foreign", "r-a", "r-b"]
    assert (await hub.link("team")).due == NOW + 2 * LEASE
    assert await links.count_accounts(TENANT, target, ["r-a", "foreign"]) == 1


async def test_an_account_that_is_gone_is_in_no_group(hub: Hub) -> None:
    """With the account its memberships at the target are forgotten, so that a new account is added again."""
    await hub.add("a")
    link = await hub.linked("a", "r-1")
    await hub.group("team", "a")
    await hub.follow()
    (team,) = await hub.claim(rank=1)
    await hub.links.keep_all_members(TENANT, hub.target, team, ["r-1"])
    await hub.links.keep_remote_id(TENANT, hub.target, link, None, NOW)
    assert await hub.links.member_changes(TENANT, hub.target, team, 10) == MemberChanges()
    await hub.links.keep_remote_id(TENANT, hub.target, link, "r-2", NOW)
    assert await hub.links.member_changes(TENANT, hub.target, team, 10) == MemberChanges(("r-2",))


async def test_dropped_links_leave_nothing(hub: Hub) -> None:
    """A link that is dropped is gone; one that was marked meanwhile begins anew."""
    await hub.add("a")
    link = await hub.linked("a", "r-1")
    await hub.touch("a")
    await hub.follow()
    assert await hub.links.drop(TENANT, hub.target, link, NOW)
    again = await hub.link("a")
    assert (again.state, again.remote_id) == (State.READY, None)
    (link,) = await hub.claim()
    assert await hub.links.drop(TENANT, hub.target, link, NOW)
    assert await hub.links.link(TENANT, hub.target, "a") is None


async def test_i_08_tenants_are_apart(hub: Hub) -> None:
    """Another tenant's resources, changes and targets are neither marked nor seen."""
    await hub.add("theirs", OTHER_TENANT)
    theirs = await hub.links.open_target(OTHER_TENANT, "app", "1")
    await hub.add("ours")
    await hub.follow()
    assert [link.id for link in await hub.claim()] == ["ours"]
    assert not await hub.links.walk(OTHER_TENANT, theirs.number, RANKS, NOW, 100)
    found = await hub.links.claim(OTHER_TENANT, theirs.number, 0, NOW, NOW, 100)
    assert [link.id for link in found] == ["theirs"]
    assert await hub.links.link(OTHER_TENANT, theirs.number, "ours") is None


async def test_pending_is_what_work_would_look_at(hub: Hub) -> None:
    """Marked links, resources changed since and deleted ones with a link, each once, in order of age."""
    for name in ("done", "changed", "gone", "new"):
        if name != "new":
            await hub.add(name)
            link = await hub.linked(name, f"r-{name}")
            await hub.links.finish(TENANT, hub.target, link, Outcome(State.DONE, NOW))
    await hub.follow()
    await hub.touch("changed")
    await hub.store.delete(TENANT, USER, "gone", Author("test", NOW))
    await hub.add("new")
    progress = await hub.links.target(TENANT, "app")
    found = await hub.links.pending(TENANT, progress, "User", 0, 100, all=False, now=0)
    assert [own for _, own, _ in found] == ["changed", "gone", "new"]
    assert [link is not None for _, _, link in found] == [True, True, False]
    page = await hub.links.pending(TENANT, progress, "User", found[0][0], 1, all=False, now=0)
    assert [own for _, own, _ in page] == ["gone"]
    everything = await hub.links.pending(TENANT, progress, "User", 0, 100, all=True, now=0)
    assert [own for _, own, _ in everything] == ["done", "changed", "gone", "new"]
    unknown = await hub.links.pending(TENANT, None, "User", 0, 100, all=True, now=0)
    assert [own for _, own, _ in unknown] == ["done", "changed", "new"]


async def test_runs_are_kept(hub: Hub) -> None:
    """The last run of each source and target is known with its counts and its error."""
    first = await hub.links.begin_run(TENANT, "apply", "app", NOW)
    await hub.links.end_run(TENANT, first, NOW + 5, {"create": 3}, None)
    second = await hub.links.begin_run(TENANT, "pull", "hr", NOW)
    await hub.links.end_run(TENANT, second, NOW + 6, {}, "no file")
    found = await hub.links.last_run(TENANT, "apply", "app")
    assert found is not None
    assert (found.number, found.ended, found.counts) == (first.number, NOW + 5, {"create": 3})
    failed = await hub.links.last_run(TENANT, "pull", "hr")
    assert failed is not None
    assert failed.error == "no file"
    assert await hub.links.last_run(TENANT, "apply", "hr") is None


STATEMENTS = {
    "claim": (CLAIM, (1, 1, 1, 1, 1, 0, 1, 0, 10)),
    "unmarked": (UNMARKED, (1, 1, 1)),
    "lane": (link_marks.IN_LANE, (1, 1, 0, 1, 10)),
    "put-ahead": (link_marks.PUT_AHEAD, (1, 1, 1, "a", 1, 1)),
    "to-do": (TO_DO.format(account="NULL"), (1, 1, 0, 0, 0, 10)),
    "put-first": (link_marks.PUT_FIRST, (1, 1, 1, 1, 1, 1)),
    "claim-one": (CLAIM_ONE, (1, 1, 1, "a", 1)),
    "dependents": (DEPENDENTS, (1, 1, 1, 1, "a", 1, 1, "a")),
    "members-to-add": (link_members.TO_ADD, (1, 1, 1, 1, 1, 1, 10)),
    "members-to-remove": (link_members.TO_REMOVE, (1, 1, 1, 1, 1, 1, 1, 1, 10)),
    "flat-members-to-add": (link_members.FLAT_TO_ADD, (1, 1, 1, 1, 1, 1, 10)),
    "flat-members-to-remove": (link_members.FLAT_TO_REMOVE, (1, 1, 1, 1, 1, 1, 1, 1, 1, 10)),
    "people-in": (link_members.PEOPLE_IN, (1, "a")),
    "flat-dependents": (FLAT_DEPENDENTS, (1, "a", 1, 1)),
    "groups-above": (link_marks.ABOVE, (1, 1, 10)),
    "waiting": (link_marks.WAITING, (1, 1, "a")),
    "range-end": (link_marks.RANGE_END, (1, 1, 2, 10)),
    "changes": (link_marks.CHANGES, (1, 1, 10)),
}


@pytest.mark.parametrize("hub", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("sql", "parameters"), STATEMENTS.values(), ids=STATEMENTS.keys())
async def test_statements_use_their_indexes(hub: Hub, sql: str, parameters: tuple[int | str, ...]) -> None:
    """No statement reads a whole table, and none sorts more than a page of it (architecture 5)."""
    rows = await hub.store.database.read(lambda conn: conn.all(f"EXPLAIN QUERY PLAN {sql}", parameters))
    steps = [row[3] for row in rows]
    assert [
        step
        for step in steps
        if step.startswith("SCAN")
        and not any(
            word in step for word in ("CONSTANT", "some", "lane", "below", "above")
        )  # the last two are walks: what was found so far
    ] == []
    assert [step for step in steps if "TEMP B-TREE" in step and "DISTINCT" not in step] == []


LOOK_UPS = {
    "figures-of-what-waits": (
        target_figures.WAITING,
        (0, 1, 1, 10),
        "INDEX link_due (tenant=? AND target=?)",
    ),
    "figures-of-what-was-tried": (target_figures.TRIED, (1, 1, 10), "INDEX link_due (tenant=? AND target=?)"),
    "figures-of-what-is-parked": (
        target_figures.PARKED,
        (1, 1, 10),
        "COVERING INDEX link_parked (tenant=? AND target=?)",
    ),
    "links-by-key": (BY_KEYS, (1, 1, "[1, 2]"), "PRIMARY KEY (tenant=? AND target=? AND pk=?)"),
    "accounts-by-id": (
        ACCOUNTS_OF,
        (1, 1, '["a", "b"]'),
        "INDEX link_by_id (tenant=? AND target=? AND id=?)",
    ),
}


@pytest.mark.parametrize("hub", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("sql", "parameters", "way"), LOOK_UPS.values(), ids=LOOK_UPS.keys())
async def test_many_are_looked_up_one_by_one(
    hub: Hub, sql: str, parameters: tuple[int | str, ...], way: str
) -> None:
    """Of a million links those that are asked for are looked up, and the others are not walked through."""
    rows = await hub.store.database.read(lambda conn: conn.all(f"EXPLAIN QUERY PLAN {sql}", parameters))
    assert f"SEARCH link USING {way}" in [row[3] for row in rows]
