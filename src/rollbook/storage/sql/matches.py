"""`Matches` over SQL."""

from collections.abc import Mapping, Sequence

import orjson

from rollbook.storage.matches import Case, Decision, Verdict
from rollbook.storage.sql.connection import Connection, Database, Row
from rollbook.storage.sql.dialects import SQLITE
from rollbook.storage.sql.reads import listed

_COLUMNS = "key, since, reason, candidates, document, decision, chosen, author, decided, basis"

CASES = f"SELECT {_COLUMNS} FROM source_match WHERE tenant = ? AND source = ? AND key {SQLITE.among_texts}"

OPEN = f"""
    SELECT {_COLUMNS} FROM source_match
    WHERE tenant = ? AND source = ? AND decision IS NULL AND key > ? ORDER BY key LIMIT ?
"""
OPEN_ANYWHERE = f"""
    SELECT source, {_COLUMNS} FROM source_match
    WHERE tenant = ? AND decision IS NULL AND (source, key) > (?, ?) ORDER BY source, key LIMIT ?
"""
COUNT_OPEN = "SELECT count(*) FROM source_match WHERE tenant = ? AND source = ? AND decision IS NULL"

_PARK = """
    INSERT INTO source_match (tenant, source, key, since, reason, candidates, document, basis) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (tenant, source, key) DO UPDATE
    SET reason = excluded.reason, candidates = excluded.candidates, document = excluded.document,
        basis = excluded.basis
"""
_DECIDE = """
    UPDATE source_match SET decision = ?, chosen = ?, author = ?, decided = ?, document = NULL
    WHERE tenant = ? AND source = ? AND key = ?
"""
_CLOSE = "DELETE FROM source_match WHERE tenant = ? AND source = ? AND key = ? AND decision IS NULL"


class SqlMatches:
    """Cases in the same database as the users they are about."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def cases(self, tenant: int, source: str, keys: Sequence[str]) -> Mapping[str, Case]:
        """Those of the keys that there is a case or a decision of."""
        rows = await self._database.read(lambda conn: conn.all(CASES, (tenant, source, listed(keys))))
        return {row[0]: _case(row) for row in rows}

    async def open_cases(self, tenant: int, source: str, after: str, limit: int) -> Sequence[Case]:
        """Cases that nobody has decided, with keys above `after`, in order."""
        rows = await self._database.read(lambda conn: conn.all(OPEN, (tenant, source, after, limit)))
        return [_case(row) for row in rows]

    async def open_anywhere(
        self, tenant: int, after: tuple[str, str], limit: int
    ) -> Sequence[tuple[str, Case]]:
        """Cases of every source that nobody has decided, beyond a source and key, in order."""
        values = (tenant, *after, limit)
        rows = await self._database.read(lambda conn: conn.all(OPEN_ANYWHERE, values))
        return [(row[0], _case(row[1:])) for row in rows]

    async def count_open(self, tenant: int, source: str) -> int:
        """How many nobody has decided."""
        row = await self._database.read(lambda conn: conn.one(COUNT_OPEN, (tenant, source)))
        return int(row[0]) if row else 0

    async def park(self, tenant: int, source: str, cases: Sequence[Case]) -> None:
        """Add cases, or say anew what they are about; since when they wait, and decisions, stay as they are."""
        rows = [(tenant, source, *_row(case)) for case in cases]
        if rows:
            await self._database.write(tenant, lambda conn: conn.many(_PARK, rows), long=True)

    async def decide(self, tenant: int, source: str, key: str, decision: Decision | None) -> bool:
        """Decide a case, or take a decision back; False if there is no such case."""
        return await self._database.write(tenant, lambda conn: _decide(conn, tenant, source, key, decision))

    async def close_cases(self, tenant: int, source: str, keys: Sequence[str]) -> None:
        """Forget those of these cases that nobody has decided."""
        rows = [(tenant, source, key) for key in keys]
        if rows:
            await self._database.write(tenant, lambda conn: conn.many(_CLOSE, rows), long=True)


def _decide(conn: Connection, tenant: int, source: str, key: str, decision: Decision | None) -> bool:
    said = (None,) * 4
    values = (decision.verdict.value, decision.user, decision.author, decision.at) if decision else said
    return conn.run(_DECIDE, (*values, tenant, source, key)) > 0


def _row(case: Case) -> tuple[str, int, str, str, str | None, str]:
    document = None if case.document is None else orjson.dumps(case.document).decode()
    return case.key, case.since, case.reason, orjson.dumps(case.candidates).decode(), document, case.basis


def _case(row: Row) -> Case:
    key, since, reason, candidates, document, verdict, user, author, at, basis = row
    decision = None if verdict is None else Decision(Verdict(verdict), author, at, user)
    made = None if document is None else orjson.loads(document)
    return Case(key, since, reason, tuple(orjson.loads(candidates)), made, decision, basis)
