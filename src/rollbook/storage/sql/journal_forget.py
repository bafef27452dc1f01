"""Lines of acts that are older than people want to keep: they go in batches, and a line says which went (T-87).

What says so stays, and so do lines that tell of deleted tenants: the check of the log goes by them. Seals stay, so that
the chain holds over what went. Lines of changes are the history's, and go with it (`history.compact`).
"""

from itertools import takewhile

from rollbook.protocol.values import JsonObject
from rollbook.storage.base import Act, Author
from rollbook.storage.sql import acts
from rollbook.storage.sql.connection import OF_NO_TENANT, Connection
from rollbook.storage.sql.journal_forgotten import DELETING, FORGETTING, ranges

BATCH = 1_000
"""Lines that are looked at, and go, in one transaction."""

NEXT = "SELECT number, at, act, place FROM act WHERE number > ? ORDER BY number LIMIT ?"
FORGET = "DELETE FROM act WHERE number = ?"

_STAYS = frozenset({FORGETTING, DELETING})


def forget(connection: Connection, after: int, older_than: int, author: Author) -> tuple[int | None, int]:
    """Forget some lines behind that one; the line to go on behind, None at the end, and how many went.

    It ends at the first line that is not as old, as lines have their numbers in the order of time but for seconds.
    """
    rows = connection.all(NEXT, (after, BATCH))
    old = list(takewhile(lambda row: row[1] < older_than, rows))
    going = [(number, place) for number, _, act, place in old if act not in _STAYS]
    gone = [number for number, _ in going]
    if gone:
        connection.many(FORGET, [(number,) for number in gone])
        detail: JsonObject = {"of": "acts", "lines": ranges(gone)}
        if places := [place for _, place in going if place is not None]:
            detail["places"] = ranges(places)
        acts.add(connection, [Act(author, OF_NO_TENANT, FORGETTING, times=len(gone), detail=detail)])
    return (old[-1][0] if len(old) == BATCH else None), len(gone)
