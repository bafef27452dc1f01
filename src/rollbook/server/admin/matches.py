"""Records of which nobody is sure whose they are, at /admin/v1: listed; decided by an order, which needs the configuration."""

import base64
import binascii
import json

from rollbook.protocol.compare import render_date_time
from rollbook.protocol.errors import InvalidCursor
from rollbook.provisioning.wanted import label_of
from rollbook.server.admin import shapes_orders as shapes
from rollbook.server.admin.orders import check_sight
from rollbook.server.admin.rows import TENANT, Made, Row, Visit
from rollbook.server.admin.shapes_orders import MatchList
from rollbook.storage.sql.matches import SqlMatches


async def list_matches(visit: Visit) -> Made:
    """GET those that nobody has decided."""
    check_sight(visit)
    matches = SqlMatches(visit.desk.store.database)
    found = await matches.open_anywhere(visit.tenant.number, _place(visit.cursor), visit.limit + 1)
    page = found[: visit.limit]
    shown = [
        shapes.Match(
            source=source,
            key=case.key,
            since=render_date_time(case.since),
            reason=case.reason,
            label=label_of(case.document or {}),
            candidates=list(case.candidates),
        )
        for source, case in page
    ]
    more = _cursor(page[-1][0], page[-1][1].key) if len(found) > len(page) else None
    return Made(MatchList(matches=shown, next_cursor=more))


def _cursor(source: str, key: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([source, key]).encode()).decode().rstrip("=")


def _place(cursor: str) -> tuple[str, str]:
    if not cursor:
        return "", ""
    try:
        source, key = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, TypeError, binascii.Error):
        source = key = None
    if not (isinstance(source, str) and isinstance(key, str)) or "\0" in source + key:
        raise InvalidCursor("this cursor is none of this list; begin again without one")
    return source, key


ROWS = (
    Row("GET", f"{TENANT}/matches", "listMatches", "Matches", "List records that wait for somebody to decide whose they are", list_matches, answer=MatchList, is_paged=True),
)  # fmt: skip
