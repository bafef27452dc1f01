"""Members of groups at targets: what is known to be there, and how that differs from the hub.

The difference is taken by the database over two indexes, so that one member added to a group of a hundred
thousand moves one row (architecture 3).
"""

from collections.abc import Iterable, Sequence

from rollbook.storage.links import Link, MemberChanges
from rollbook.storage.sql.connection import Connection
from rollbook.storage.sql.dialects import SQLITE
from rollbook.storage.sql.link_part import SqlLinkPart

TO_ADD = """
    SELECT own.remote_id FROM membership
    JOIN link AS own ON own.tenant = membership.tenant AND own.target = ? AND own.pk = membership.member
    WHERE membership.tenant = ? AND membership.container = ? AND own.remote_id IS NOT NULL
    AND NOT EXISTS (
        SELECT 1 FROM link_member AS known
        WHERE known.tenant = ? AND known.target = ? AND known.pk = ? AND known.remote_id = own.remote_id
        AND known.sure = 1
    )
    ORDER BY membership.member LIMIT ?
"""
# Only accounts of our own are taken out; members that somebody else put there stay (I-15).
TO_REMOVE = """
    SELECT known.remote_id FROM link_member AS known
    WHERE known.tenant = ? AND known.target = ? AND known.pk = ?
    AND EXISTS (
        SELECT 1 FROM link AS own
        WHERE own.tenant = ? AND own.target = ? AND own.type IN ('User', 'Group')
        AND own.remote_id = known.remote_id
    )
    AND NOT EXISTS (
        SELECT 1 FROM link AS own
        JOIN membership ON membership.tenant = own.tenant AND membership.container = ?
            AND membership.member = own.pk
        WHERE own.tenant = ? AND own.target = ? AND own.type IN ('User', 'Group')
        AND own.remote_id = known.remote_id
    )
    ORDER BY known.remote_id LIMIT ?
"""

# The group, and all groups in it, directly or not. Only what has members itself is gone down into: people are not put aside.
BELOW = f"""
    WITH RECURSIVE below (tenant, pk) AS (
        {{start}}
        UNION
        SELECT m.tenant, m.member FROM below {SQLITE.walk} membership m ON m.tenant = below.tenant AND m.container = below.pk
        WHERE EXISTS (SELECT 1 FROM membership AS inner_one WHERE inner_one.tenant = m.tenant AND inner_one.container = m.member)
    )
"""
_BELOW_KEY = BELOW.format(
    start="SELECT pk_of.tenant, pk_of.pk FROM resource AS pk_of WHERE pk_of.tenant = ? AND pk_of.pk = ?"
)
FLAT_TO_ADD = f"""
    {_BELOW_KEY}
    SELECT DISTINCT own.remote_id FROM below
    {SQLITE.walk} membership m ON m.tenant = below.tenant AND m.container = below.pk
    JOIN link AS own ON own.tenant = m.tenant AND own.target = ? AND own.pk = m.member
    WHERE own.type = 'User' AND own.remote_id IS NOT NULL
    AND NOT EXISTS (
        SELECT 1 FROM link_member AS known
        WHERE known.tenant = ? AND known.target = ? AND known.pk = ? AND known.remote_id = own.remote_id
        AND known.sure = 1
    )
    LIMIT ?
"""
FLAT_TO_REMOVE = f"""
    {_BELOW_KEY}
    SELECT known.remote_id FROM link_member AS known
    WHERE known.tenant = ? AND known.target = ? AND known.pk = ?
    AND EXISTS (
        SELECT 1 FROM link AS own
        WHERE own.tenant = ? AND own.target = ? AND own.type IN ('User', 'Group')
        AND own.remote_id = known.remote_id
    )
    AND NOT EXISTS (
        SELECT 1 FROM link AS own
        JOIN membership m ON m.tenant = own.tenant AND m.member = own.pk
        JOIN below ON below.pk = m.container
        WHERE own.tenant = ? AND own.target = ? AND own.type = 'User' AND own.remote_id = known.remote_id
    )
    ORDER BY known.remote_id LIMIT ?
"""
PEOPLE_IN = f"""
    {BELOW.format(start="SELECT pk_of.tenant, pk_of.pk FROM resource AS pk_of WHERE pk_of.tenant = ? AND pk_of.id = ?")}
    SELECT DISTINCT person.id FROM below
    {SQLITE.walk} membership m ON m.tenant = below.tenant AND m.container = below.pk
    JOIN resource AS person ON person.tenant = m.tenant AND person.pk = m.member
    WHERE person.type = 'User'
"""

_NO_GROUP = 0  # no resource has this key


def changes(
    conn: Connection, tenant: int, target: int, key: int, limit: int, *, nobody: bool
) -> MemberChanges:
    """Members to add to and to remove from the group of that key, as if the hub had nobody in it if so told."""
    container = _NO_GROUP if nobody else key
    row = conn.one("SELECT flat FROM target WHERE tenant = ? AND number = ?", (tenant, target))
    known, people = (tenant, target, key), (tenant, target)
    if row is not None and row[0]:
        inside = (tenant, container)
        add = conn.all(FLAT_TO_ADD, (*inside, target, *known, limit))
        remove = conn.all(FLAT_TO_REMOVE, (*inside, *known, *people, *people, limit))
    else:
        add = conn.all(TO_ADD, (target, tenant, container, *known, limit))
        remove = conn.all(TO_REMOVE, (*known, *people, container, *people, limit))
    return MemberChanges(tuple(row[0] for row in add), tuple(row[0] for row in remove))


def people_in(conn: Connection, tenant: int, id: str) -> Sequence[str]:
    """The ids of all people in a group, directly or by way of others."""
    return [row[0] for row in conn.all(PEOPLE_IN, (tenant, id))]


def keep(
    conn: Connection, tenant: int, target: int, key: int, add: Iterable[str], remove: Iterable[str]
) -> None:
    """Record members that the group has got and lost."""
    conn.many(
        "INSERT INTO link_member (tenant, target, pk, remote_id, sure) VALUES (?, ?, ?, ?, 1)"
        " ON CONFLICT (tenant, target, pk, remote_id) DO UPDATE SET sure = 1",
        [(tenant, target, key, remote_id) for remote_id in add],
    )
    conn.many(
        "DELETE FROM link_member WHERE tenant = ? AND target = ? AND pk = ? AND remote_id = ?",
        [(tenant, target, key, remote_id) for remote_id in remove],
    )


def expect(conn: Connection, tenant: int, target: int, key: int, changes: MemberChanges) -> None:
    """Record changes that are about to be sent: if no answer comes, either way may still be right."""
    conn.many(
        "INSERT INTO link_member (tenant, target, pk, remote_id, sure) VALUES (?, ?, ?, ?, 0)"
        " ON CONFLICT (tenant, target, pk, remote_id) DO UPDATE SET sure = 0",
        [(tenant, target, key, remote_id) for remote_id in (*changes.add, *changes.remove)],
    )


def known(conn: Connection, tenant: int, target: int, key: int) -> Sequence[str]:
    """All members the group is known to have."""
    rows = conn.all(
        "SELECT remote_id FROM link_member WHERE tenant = ? AND target = ? AND pk = ? AND sure = 1",
        (tenant, target, key),
    )
    return [row[0] for row in rows]


def forget_group(conn: Connection, tenant: int, target: int, key: int) -> None:
    """Forget what members the group has."""
    conn.run("DELETE FROM link_member WHERE tenant = ? AND target = ? AND pk = ?", (tenant, target, key))


def forget_account(conn: Connection, tenant: int, target: int, remote_id: str) -> None:
    """An account is gone from the target, and with it from every group there."""
    conn.run(
        "DELETE FROM link_member WHERE tenant = ? AND target = ? AND remote_id = ?",
        (tenant, target, remote_id),
    )


class SqlLinkMembers(SqlLinkPart):
    """What of a `LinkStore` is about members."""

    async def member_changes(
        self, tenant: int, target: int, link: Link, limit: int, *, nobody: bool = False
    ) -> MemberChanges:
        """At most `limit` members of a group to add, and as many to remove; all of them if `nobody` should be in."""
        return await self._database.read(
            lambda conn: changes(conn, tenant, target, link.key, limit, nobody=nobody)
        )

    async def people_in(self, tenant: int, id: str) -> Sequence[str]:
        """The ids of all people in a group, directly or by way of others, each once."""
        return await self._database.read(lambda conn: people_in(conn, tenant, id))

    async def known_members(self, tenant: int, target: int, link: Link) -> Sequence[str]:
        """The members by remote id that the group is known to have at the target."""
        return await self._database.read(lambda conn: known(conn, tenant, target, link.key))

    async def expect_members(self, tenant: int, target: int, link: Link, changes: MemberChanges) -> bool:
        """Record that these changes are about to be sent: from now on nobody knows whether they are made."""
        return await self._held(
            tenant, target, link, lambda conn: expect(conn, tenant, target, link.key, changes)
        )

    async def keep_members(
        self, tenant: int, target: int, link: Link, changes: MemberChanges, lease_until: int
    ) -> bool:
        """Record that the target has taken these changes, and hold the lease for longer."""
        sql = "UPDATE link SET due = ? WHERE tenant = ? AND target = ? AND pk = ?"

        def work(conn: Connection) -> None:
            keep(conn, tenant, target, link.key, changes.add, changes.remove)
            conn.run(sql, (lease_until, tenant, target, link.key))

        return await self._held(tenant, target, link, work)

    async def keep_all_members(self, tenant: int, target: int, link: Link, remote_ids: Sequence[str]) -> bool:
        """Record that these are all members the target has."""
        sql = "UPDATE link SET members_read = 1 WHERE tenant = ? AND target = ? AND pk = ?"

        def work(conn: Connection) -> None:
            forget_group(conn, tenant, target, link.key)
            keep(conn, tenant, target, link.key, remote_ids, ())
            conn.run(sql, (tenant, target, link.key))

        return await self._held(tenant, target, link, work, long=True)
