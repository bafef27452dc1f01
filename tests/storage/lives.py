"""Lives of users, written step by step by many tasks at once, and which states an end at any moment may leave.

Every task has a user of its own, which it creates, changes, puts into a group, takes out and removes, again and
again. It tells `try TASK STATE` before a write and `ok TASK STATE` after it: `STATE` is what the user is then,
`gone` or its title and whether it is a member.
"""

import itertools
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress

from rollbook.protocol.errors import StoreUnavailable
from rollbook.protocol.resource import Change, Member, Scope
from rollbook.storage.base import Author
from rollbook.storage.documents import decode
from rollbook.storage.sql.store import SqlStore
from rollbook.testing.store_steps import GROUP, TENANT, USER

GROUP_ID = "group"
AUTHOR = Author("crash test", 1)

Tell = Callable[[str, str, str], object]


async def make_group(store: SqlStore) -> None:
    """The group of all, unless there is one."""
    if await store.get(TENANT, GROUP, GROUP_ID) is None:
        await store.insert(TENANT, GROUP, GROUP_ID, Change({"displayName": "all"}), AUTHOR)


async def live(store: SqlStore, id: str, tell: Tell) -> None:
    """Live, and tell of it; what becomes of the last write before the database is gone is not known."""
    with suppress(StoreUnavailable):
        async for state, write in _steps(store, id):
            tell("try", id, state)
            await write  # type: ignore[misc]  # any of the store's calls
            tell("ok", id, state)


async def _steps(store: SqlStore, id: str) -> AsyncIterator[tuple[str, object]]:
    """The writes of one task, each with the state it leads to; the next is begun when the last is done."""
    for number in itertools.count():
        first, second = f"{number}a", f"{number}b"
        document = {"userName": id, "title": first, "displayName": first}
        yield f"{first} out", store.insert(TENANT, USER, id, Change(document), AUTHOR)
        yield f"{first} in", _group(store, Change(None, (Member(id),)))
        yield f"{second} in", _change(store, id, second)
        if number % 2:
            yield f"{second} out", _group(store, Change(None, (), (id,)))
        yield "gone", store.delete(TENANT, USER, id, AUTHOR)


async def _change(store: SqlStore, id: str, title: str) -> None:
    """Give a user a title, which is also a value in the index."""
    document = {"userName": id, "title": title, "displayName": title}
    await store.update(TENANT, USER, id, lambda _: Change(document), Scope(), AUTHOR)


async def _group(store: SqlStore, change: Change) -> None:
    """Change the members of the group."""
    await store.update(TENANT, GROUP, GROUP_ID, lambda _: change, Scope(), AUTHOR)


def states(told: Iterable[tuple[str, str, str]]) -> dict[str, set[str]]:
    """The states each user may be in: the last acknowledged one, or one that was asked for after it."""
    possible: dict[str, set[str]] = {}
    for verb, name, state in told:
        if verb == "ok":
            possible[name] = {state}
        else:
            possible.setdefault(name, {"gone"}).add(state)
    return possible


async def faults(store: SqlStore, possible: dict[str, set[str]]) -> list[str]:
    """Which users are in none of their possible states, and which members the group lacks."""
    actual = {name: await _state(store, name) for name in possible}
    found = [
        f"{name} is {state}, not {possible[name]}"
        for name, state in actual.items()
        if state not in possible[name]
    ]
    group = await store.get(TENANT, GROUP, GROUP_ID)
    members = {member.value for member in group.members or ()} if group else set()
    found += [
        f"{name} is missing in the group"
        for name, state in actual.items()
        if state.endswith(" in") and name not in members
    ]
    return found


async def _state(store: SqlStore, name: str) -> str:
    record = await store.get(TENANT, USER, name)
    if record is None:
        return "gone"
    title = decode(record.body, record.extra)["title"]
    return f"{title} {'in' if record.groups else 'out'}"
