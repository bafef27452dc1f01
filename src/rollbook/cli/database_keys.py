"""Which keys a copy of a database needs, and whether they are here."""

from rollbook.storage.keyring import KeyUnknown
from rollbook.storage.sql import migrate
from rollbook.storage.sql.connection import Backend
from rollbook.storage.sql.secrets import by_key
from rollbook.storage.sql.store import SqlStore


def keys_of(database: Backend) -> list[str]:
    """The ids of the keys that secrets of the database are sealed by; none in one of an earlier version."""
    with database.snapshot() as connection:
        return list(by_key(connection)) if migrate.is_current(migrate.revision(connection)) else []


def lost_keys(store: SqlStore) -> list[str]:
    """What to say if a copy came without its keys; nothing if they are here."""
    source, wanted = store.secrets.source, set(keys_of(store.database))
    try:
        wanted -= {key.id for key in source.present()}
    except KeyUnknown as error:
        return [error.detail] if wanted else []
    if not wanted:
        return []
    text = (
        f"its secrets are sealed by key {', '.join(sorted(wanted))}, which is not here ({source.name}): put the key there,"
        " or name its file in ROLLBOOK_KEY_FILE, before it is served"
    )
    return [text]
