"""Looking after a PostgreSQL database: its own tools make and take back backups; we find them and say what to do."""

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from rollbook.protocol.errors import StoreUnavailable
from rollbook.storage.sql.after_restore import settle
from rollbook.storage.sql.postgres_connection import FarConnection
from rollbook.storage.sql.postgres_schema import has_tables, require_tables, upgrade

_OTHERS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'rollbook' AND pid <> pg_backend_pid()
"""
_SIZE = "SELECT pg_database_size(current_database())"
_OURS = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() ORDER BY tablename"


def backup(url: str, connection: FarConnection, file: Path) -> None:
    """Write a copy of one moment with pg_dump, in its custom format; others go on reading and writing the while.

    Raises:
        StoreUnavailable: there is such a file already, there are no tables yet, pg_dump is missing or fails.
    """
    require_tables(connection, connection.name)
    if file.exists():
        raise StoreUnavailable(f"{file} exists; name another file")
    os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))  # people's data: owner only
    try:
        _run("pg_dump", url, "--format=custom", "--no-owner", "--no-privileges", f"--file={file}")
    except BaseException:
        file.unlink(missing_ok=True)
        raise


def restore(url: str, connection: FarConnection, file: Path, *, replace: bool) -> None:
    """Take a backup back with pg_restore, in one transaction; versions go on from a new epoch (A-31).

    Raises:
        StoreUnavailable: our tables are there and `replace` does not say so, servers are connected, or pg_restore
            is missing or fails; nothing was changed then.
    """
    if has_tables(connection) and not replace:
        raise StoreUnavailable(
            f"{connection.name} has tables; say --replace to put the backup in their place"
        )
    ((others,),) = connection.all(_OTHERS)
    if others:
        raise StoreUnavailable(
            f"{connection.name} is in use by {others} connections of Rollbook; stop them first"
        )
    if not file.is_file():
        raise StoreUnavailable(f"{file}: there is no such file")
    _run(
        "pg_restore", url, "--clean", "--if-exists", "--no-owner", "--no-privileges", "--single-transaction",
        "--exit-on-error", str(file),
    )  # fmt: skip
    upgrade(connection)
    connection.script("BEGIN")
    settle(connection)
    connection.script("COMMIT")


def wipe(connection: FarConnection) -> None:
    """Write the small tables anew that had secrets in clear; left for `vacuum` if somebody reads them for long."""
    connection.script("SET lock_timeout = '2s'")
    for table in ("setting", "secret"):
        with suppress(StoreUnavailable):
            connection.script(f"VACUUM FULL {table}")


def vacuum(connection: FarConnection) -> tuple[int, int]:
    """Clear away what is dead and look at what is there anew, for better plans; bytes before and after."""
    ((before,),) = connection.all(_SIZE)
    for (table,) in connection.all(_OURS):
        connection.script(f'VACUUM ANALYZE "{table}"')
    ((after,),) = connection.all(_SIZE)
    return int(before), int(after)


def _run(tool: str, url: str, *options: str) -> None:
    found = shutil.which(tool)
    if found is None:
        raise StoreUnavailable(
            f"{tool} is not installed here; it comes with PostgreSQL (postgresql-client), of the server's version or newer"
        )
    given: dict[str, Any] = dict(conninfo_to_dict(url))
    password = given.pop("password", None)  # not for the list of processes
    environment = {**os.environ, **({"PGPASSWORD": str(password)} if password else {})}
    ran = subprocess.run(  # noqa: S603 - a list, no shell
        [found, f"--dbname={make_conninfo('', **given)}", *options],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if ran.returncode:
        raise StoreUnavailable(
            f"{tool} failed: {ran.stderr.strip().splitlines()[-1] if ran.stderr else ran.returncode}"
        )
