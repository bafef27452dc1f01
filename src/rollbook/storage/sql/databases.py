"""From a URL to a database."""

from rollbook.protocol.catalog import Catalog
from rollbook.protocol.errors import StoreUnavailable
from rollbook.storage.sql.connection import Backend
from rollbook.storage.sql.files import database_path
from rollbook.storage.sql.sqlite_file import SqliteFile
from rollbook.storage.sql.store import SqlStore

POSTGRES = ("postgresql", "postgres")

_SCHEMES = "sqlite:///relative.db, sqlite:////absolute/path.db or postgresql://user@host/database"


def backend(url: str) -> Backend:
    """The database at a URL, not yet open.

    Raises:
        StoreUnavailable: the URL is of another form, or its driver is missing; says which are known, or what to do.
    """
    scheme, colon, _ = url.partition("://")
    if colon and scheme == "sqlite":
        return SqliteFile(database_path(url))
    if colon and scheme in POSTGRES:
        return _postgres(url)
    shown = url if "@" not in url else f"{scheme}://…"  # it may have a password
    raise StoreUnavailable(f"database URL {shown!r} is not known here; write {_SCHEMES}")


def _postgres(url: str) -> Backend:
    try:
        from rollbook.storage.sql.postgres import PostgresDatabase
    except ImportError as error:
        raise StoreUnavailable(
            f"PostgreSQL needs packages that are not installed ({error.name}): pip install 'rollbook[postgres]'"
        ) from None
    return PostgresDatabase(url)


def open_store(url: str, catalog: Catalog | None = None) -> SqlStore:
    """The store at a database URL, not yet open; without a catalog it serves the one the database keeps."""
    return SqlStore(backend(url), catalog)
