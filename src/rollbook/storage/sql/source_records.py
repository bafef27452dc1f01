"""`SourceRecords` over SQL."""

from collections.abc import Mapping, Sequence

import orjson

from rollbook.protocol.errors import Uniqueness
from rollbook.storage.source_records import Feed, SourceRecord
from rollbook.storage.sql.connection import Connection, Database, Row
from rollbook.storage.sql.dialects import SQLITE
from rollbook.storage.sql.reads import listed

_COLUMNS = "key, id, digest, made, missing, said, joined"

FIND = f"SELECT {_COLUMNS} FROM source_record WHERE tenant = ? AND source = ? AND key {SQLITE.among_texts}"

KEYS_OF = f"SELECT id, key FROM source_record WHERE tenant = ? AND source = ? AND id {SQLITE.among_texts}"

COUNT = "SELECT count(*) FROM source_record WHERE tenant = ? AND source = ? AND missing IS NULL"

AFTER = f"""
    SELECT {_COLUMNS} FROM source_record
    WHERE tenant = ? AND source = ? AND missing IS NULL AND key > ? ORDER BY key LIMIT ?
"""
GROUPS = f"SELECT name, id FROM source_group WHERE tenant = ? AND source = ? AND name {SQLITE.among_texts}"

_KEEP = """
    INSERT INTO source_record (tenant, source, key, id, digest, made, missing, said, joined)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (tenant, source, key) DO UPDATE
    SET id = excluded.id, digest = excluded.digest, made = excluded.made, missing = excluded.missing,
        said = excluded.said, joined = excluded.joined
"""
_DROP = "DELETE FROM source_record WHERE tenant = ? AND source = ? AND key = ?"

_KEEP_GROUP = """
    INSERT INTO source_group (tenant, source, name, id) VALUES (?, ?, ?, ?)
    ON CONFLICT (tenant, source, name) DO UPDATE SET id = excluded.id
"""


class SqlSourceRecords:
    """Records in the same database as the users they feed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, tenant: int, source: str, keys: Sequence[str]) -> Mapping[str, SourceRecord]:
        """Those of the keys that are known, missing ones too."""
        rows = await self._database.read(lambda conn: conn.all(FIND, (tenant, source, listed(keys))))
        return {row[0]: _record(row) for row in rows}

    async def keys_of(self, tenant: int, source: str, ids: Sequence[str]) -> Mapping[str, str]:
        """The key of each of these users that the source feeds."""
        rows = await self._database.read(lambda conn: conn.all(KEYS_OF, (tenant, source, listed(ids))))
        return dict(rows)

    async def feeds(
        self, tenant: int, sources: Sequence[str], ids: Sequence[str]
    ) -> Mapping[str, Sequence[Feed]]:
        """The records of these sources that feed each of these users, missing ones too."""
        found: dict[str, list[Feed]] = {}
        for source, rows in await self._database.read(lambda conn: _feeds(conn, tenant, sources, ids)):
            for record in map(_record, rows):
                found.setdefault(record.id, []).append(Feed(source, record))
        return found

    async def keep(self, tenant: int, source: str, records: Sequence[SourceRecord]) -> None:
        """Add records, or replace those of the same key; all of them or none."""
        if records:
            await self._database.write(tenant, lambda conn: _keep(conn, tenant, source, records), long=True)

    async def drop(self, tenant: int, source: str, keys: Sequence[str]) -> None:
        """Forget records."""
        rows = [(tenant, source, key) for key in keys]
        await self._database.write(tenant, lambda conn: conn.many(_DROP, rows), long=True)

    async def count(self, tenant: int, source: str) -> int:
        """How many records are known and not missing."""
        row = await self._database.read(lambda conn: conn.one(COUNT, (tenant, source)))
        return int(row[0]) if row else 0

    async def after(self, tenant: int, source: str, key: str, limit: int) -> Sequence[SourceRecord]:
        """Records that are not missing with keys above `key`, in order."""
        rows = await self._database.read(lambda conn: conn.all(AFTER, (tenant, source, key, limit)))
        return [_record(row) for row in rows]

    async def groups(self, tenant: int, source: str, names: Sequence[str]) -> Mapping[str, str]:
        """The ids of those of the named groups that the source has made."""
        rows = await self._database.read(lambda conn: conn.all(GROUPS, (tenant, source, listed(names))))
        return dict(rows)

    async def keep_group(self, tenant: int, source: str, name: str, id: str) -> None:
        """Remember the id of a group that the source makes, in place of an earlier one of that name."""
        await self._database.write(tenant, lambda conn: conn.run(_KEEP_GROUP, (tenant, source, name, id)))


def _feeds(
    conn: Connection, tenant: int, sources: Sequence[str], ids: Sequence[str]
) -> list[tuple[str, list[Row]]]:
    """By keys that lie by user, then by key: the records themselves lie by key."""
    found = []
    for source in sources if ids else ():
        keys = [key for _, key in conn.all(KEYS_OF, (tenant, source, listed(ids)))]
        found.append((source, list(conn.all(FIND, (tenant, source, listed(keys)))) if keys else []))
    return found


def _keep(conn: Connection, tenant: int, source: str, records: Sequence[SourceRecord]) -> None:
    keys = {record.id: record.key for record in records}
    for user, key in conn.all(KEYS_OF, (tenant, source, listed(list(keys)))):
        if keys[user] != key:
            raise Uniqueness(f"user {user} is fed by record {key} of {source} already, not by {keys[user]}")
    conn.many(_KEEP, [(tenant, source, *_row(record)) for record in records])


def _row(record: SourceRecord) -> tuple[str, str, str, str, int | None, str | None, str]:
    made = orjson.dumps(record.groups).decode()
    said = None if record.said is None else orjson.dumps(record.said).decode()
    return record.key, record.id, record.digest, made, record.missing_since, said, record.joined


def _record(row: Row) -> SourceRecord:
    key, user, digest, made, missing, said, joined = row
    spoken = None if said is None else orjson.loads(said)
    return SourceRecord(key, user, digest, tuple(orjson.loads(made)), missing, spoken, joined)
