"""Whatever happens to resources, and in whatever order, each version stays what it was until it is forgotten."""

import asyncio
import tempfile
from collections.abc import Awaitable
from typing import Any, NamedTuple, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from rollbook.protocol import urns
from rollbook.protocol.catalog import core_catalog
from rollbook.protocol.resource import Change, Member, Scope
from rollbook.storage.base import USUAL, Author
from rollbook.storage.sql.archive import Archive
from rollbook.storage.sql.databases import open_store
from rollbook.storage.sql.journal import SqlJournal
from rollbook.storage.sql.log import version_number
from rollbook.testing.store_steps import GROUP, TENANT, USER

T = TypeVar("T")

USERS, GROUPS = ("u0", "u1", "u2", "u3"), ("g0", "g1")
users, groups, anyone = st.sampled_from(USERS), st.sampled_from(GROUPS), st.sampled_from(USERS + GROUPS)


class State(NamedTuple):
    """What a resource is: its title or name, whom it refers to, and its members."""

    title: str
    manager: str | None = None
    members: frozenset[str] = frozenset()


class Entry(NamedTuple):
    """A change that the machine remembers; no state for a deletion."""

    at: int
    number: int
    state: State | None


def document(id: str, state: State) -> dict[str, Any]:
    """The document of a resource in that state, without its password."""
    if id in GROUPS:
        return {"displayName": state.title}
    manager = {urns.ENTERPRISE_USER: {"manager": {"value": state.manager}}} if state.manager else {}
    return {"userName": id, "title": state.title, **manager}


class History(RuleBasedStateMachine):
    """A store beside a list of what was done to it."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.directory = tempfile.TemporaryDirectory()
        self.store = open_store(f"sqlite:///{self.directory.name}/store.db", core_catalog())
        self.archive = Archive(self.store, TENANT)
        self.clock = 0
        self.log: dict[str, list[Entry]] = {}
        self.forgotten: set[str] = set()

    def do(self, work: Awaitable[T]) -> T:
        """Run to the end."""

        async def whole() -> T:
            return await work

        return self.runner.run(whole())

    def author(self) -> Author:
        """Somebody, one tick later than before."""
        self.clock += 10
        return Author("machine", self.clock)

    def now(self, id: str) -> State | None:
        """What a resource is."""
        entries = self.log.get(id)
        return entries[-1].state if entries else None

    def note(self, id: str, state: State | None) -> None:
        """Remember a change."""
        entries = self.log.setdefault(id, [])
        last = entries[-1].number if entries else 0
        entries.append(Entry(self.clock, last + (state is not None), state))

    @initialize()
    def open(self) -> None:
        """A store with everyone in it, in both groups."""
        self.do(self.store.open())
        for one in USERS + GROUPS:
            self.write(one, "a")
        for one in GROUPS:
            self.regroup(one, frozenset(USERS), frozenset(), "a")

    @rule(id=anyone, title=st.sampled_from("abc"))
    def write(self, id: str, title: str) -> None:
        """Create a resource, or change its document; of a user the password always changes."""
        before, kind = self.now(id), GROUP if id in GROUPS else USER
        if before is None and id in self.log:
            return  # it can be restored, not made again
        state = (before or State("a"))._replace(title=title)
        secret = {"password": f"hash {self.clock}"} if kind is USER else {}
        change = Change({**document(id, state), **secret})
        if before is None:
            self.do(self.store.insert(TENANT, kind, id, change, self.author()))
        elif before == state and not secret:
            return
        else:
            self.do(self.store.update(TENANT, kind, id, lambda _: change, Scope(), self.author()))
        self.note(id, state)

    @rule(id=users, boss=users)
    def subordinate(self, id: str, boss: str) -> None:
        """Give somebody a manager."""
        before = self.now(id)
        if before is None or self.now(boss) is None or before.manager == boss:
            return
        state = before._replace(manager=boss)
        self.do(
            self.store.update(TENANT, USER, id, lambda _: Change(document(id, state)), Scope(), self.author())
        )
        self.note(id, state)

    @rule(id=groups, come=st.frozensets(users), go=st.frozensets(users), title=st.sampled_from("ab"))
    def regroup(self, id: str, come: frozenset[str], go: frozenset[str], title: str) -> None:
        """Change members, and perhaps the name with them."""
        before = self.now(id)
        if before is None:
            return
        come = frozenset(one for one in come if self.now(one)) - go
        state = State(title, None, (before.members | come) - go)
        change = Change(document(id, state), tuple(map(Member, sorted(come))), tuple(sorted(go)))
        self.do(self.store.update(TENANT, GROUP, id, lambda _: change, Scope(ids=come | go), self.author()))
        if state != before:
            self.note(id, state)

    @rule(id=anyone)
    def delete(self, id: str) -> None:
        """Delete a resource, and with it all that leads to it."""
        if self.now(id) is not None:
            kind = GROUP if id in GROUPS else USER
            assert self.do(self.store.delete(TENANT, kind, id, self.author()))
            self.note_end(id)

    def note_end(self, id: str) -> None:
        """Remember that a resource went."""
        self.note(id, None)
        for other in self.log:
            state = self.now(other)
            if state is not None and (state.manager == id or id in state.members):
                manager = None if state.manager == id else state.manager
                self.note(other, State(state.title, manager, state.members - {id}))

    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        """Bring any version back that is known, rather of one who is gone, once for trial."""
        there = sorted(self.log.keys() - self.forgotten)
        gone = [one for one in there if self.now(one) is None]
        if not there:
            return
        own = data.draw(st.sampled_from(gone or there))
        known = [entry for entry in self.log[own] if entry.state is not None]
        if not known:
            return
        number = data.draw(st.sampled_from([entry.number for entry in known]))
        wanted = self.do(self.archive.version(own, number))
        assert wanted is not None
        if wanted.document is None:
            return  # of the version it ended with, the end alone is left
        kind, author = GROUP if own in GROUPS else USER, self.author()
        then = next(entry.state for entry in known if entry.number == number)
        assert then is not None
        members = frozenset(member for member in then.members if self.now(member))
        manager = then.manager if then.manager is None or self.now(then.manager) else None
        last = self.do(self.store.last_change(TENANT))
        tried = self.do(self.archive.restore(kind, wanted, author, USUAL, dry_run=True))
        assert self.do(self.store.last_change(TENANT)) == last
        lost = self.do(self.archive.restore(kind, wanted, author, USUAL))
        assert lost == tried
        assert frozenset(lost.members) == then.members - members
        assert bool(lost.references) == (manager != then.manager)
        state = State(then.title, manager, members)
        if state != self.now(own):
            self.note(own, state)

    @rule(id=anyone)
    def erase(self, id: str) -> None:
        """Forget one for good."""
        if id in self.log and id not in self.forgotten:
            was_there = self.now(id) is not None
            self.do(self.archive.erase(GROUP if id in GROUPS else USER, id, self.author(), USUAL))
            if was_there:
                self.note_end(id)
            self.note(id, None)
            self.forgotten.add(id)

    @rule(age=st.integers(0, 20))
    def compact(self, age: int) -> None:
        """Forget what is older than some of the last changes."""
        before = self.clock - 10 * age + 5
        self.do(self.archive.compact(before, self.author(), SqlJournal(self.store.database)))
        for known, entries in self.log.items():
            old = [at for at, entry in enumerate(entries) if entry.at < before]
            self.log[known] = entries[old[-1] :] if old else entries

    @invariant()
    def every_version_is_what_it_was(self) -> None:
        """The list and the store agree, of each version, and of which there are."""
        for known, entries in self.log.items():
            listed = self.do(self.archive.versions(known, limit=1000))
            assert len(listed) == len(entries)
            for entry, shown in zip(reversed(entries), listed, strict=True):
                found = self.do(self.archive.at(shown))
                assert version_number(shown.version) == entry.number
                if entry.state is None or known in self.forgotten:
                    assert found.document is None
                else:
                    open_part = {
                        name: value for name, value in (found.document or {}).items() if name != "password"
                    }
                    assert open_part == document(known, entry.state)
                    assert entry is entries[-1] or found.document == open_part
                    assert set(found.members) == entry.state.members
            unknown = self.do(self.archive.version(known, entries[-1].number + 1))
            assert unknown is None

    def teardown(self) -> None:
        """The invariants of the database hold."""
        try:
            assert self.do(self.store.check()) == []
        finally:
            self.do(self.store.close())
            self.runner.close()
            self.directory.cleanup()


TestHistory = History.TestCase
TestHistory.settings = settings(
    max_examples=30, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
