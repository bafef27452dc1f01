"""Where the keys come from by which lines of the audit log are signed, and the moment from which on they are.

What was written before, by an earlier version or where no key was at hand, is sealed first, as it stands. That is done once: what
is at the end of the chain of seals says so.
"""

import hashlib
import logging
import time

from rollbook.storage.journal import SIGNS, SealKeys
from rollbook.storage.keyring import KeyUnknown
from rollbook.storage.secrets import Secrets
from rollbook.storage.sql import seals
from rollbook.storage.sql.connection import ALONE, Connection, Database
from rollbook.storage.sql.journal import SqlJournal
from rollbook.storage.sql.signing import ACTS, COUNT, count_text, key_of, stamp

COUNTED = "SELECT lines, stamp FROM tally WHERE log = ?"
HAS_LINES = "SELECT EXISTS (SELECT 1 FROM change) OR EXISTS (SELECT 1 FROM act)"
TENANTS = "SELECT tenant, change FROM sequence UNION SELECT number, 0 FROM tenant"


async def line_keys(secrets: Secrets) -> SealKeys:
    """The keys that lines and seals are signed by: the one place where they come from.

    There is one, made of a secret that the keys outside the database open, and it stays when these are rotated.

    Raises:
        KeyUnknown: they are not here.
    """
    key = await secrets.derived("audit")
    name = hashlib.sha256(b"rollbook seal key" + key).hexdigest()[:8]
    return SealKeys(name + SIGNS, {name: key, name + SIGNS: key})


async def start(database: Database, secrets: Secrets) -> SealKeys | None:
    """The keys to sign by from now on; None if they are not here: what is written then is told by a check of the log."""
    try:
        keys = await line_keys(secrets)
    except KeyUnknown as error:
        logging.getLogger("rollbook.audit").warning("lines of the audit log are not signed: %s", error.detail)
        return None
    is_signed, has_lines = await database.read_now(
        lambda connection: (_is_signed(connection, keys), connection.all(HAS_LINES) == [(True,)])
    )
    if not is_signed:
        if has_lines:  # they may be many: this leaves the event loop, and goes in steps
            await SqlJournal(database, keys.former).seal(_now())
        await database.write(ALONE, lambda connection: _begin(connection, keys), long=True)
    return keys


def _is_signed(connection: Connection, keys: SealKeys) -> bool:
    """Whether signing was begun: the acts are counted by that key, or a seal is there that it has made since."""
    row = connection.one(COUNTED, (ACTS,))
    return (row is not None and key_of(row[1]) == keys.current) or seals.head(connection)[1] == keys.current


def _begin(connection: Connection, keys: SealKeys) -> None:
    """Seal what is left, and count what there is; nobody else writes meanwhile."""
    if _is_signed(connection, keys):
        return
    while (made := seals.make(connection, seals.start(connection), keys.former, _now())).seals:
        seals.write(connection, made)
    row = connection.one(COUNTED, (ACTS,))
    lines = {ACTS: 0 if row is None else int(row[0])}
    for tenant, changes in connection.all(TENANTS):
        lines[tenant] = max(changes, lines.get(tenant, 0))
    connection.many(
        COUNT, [(log, number, stamp(keys, count_text(log, number))) for log, number in lines.items()]
    )


def _now() -> int:
    return time.time_ns() // 1_000_000
