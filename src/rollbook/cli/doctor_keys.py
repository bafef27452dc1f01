"""What `rollbook doctor` says of the keys of secrets: there, for their owner only, and opening what is in the database."""

import os
from collections.abc import Iterator

from rollbook.cli.doctor_checks import Finding, State
from rollbook.keys import own_keys
from rollbook.protocol.errors import StoreUnavailable
from rollbook.storage.key_files import KeySource
from rollbook.storage.keyring import Keyring, KeyUnknown
from rollbook.storage.sql import migrate, tokens
from rollbook.storage.sql.connection import Backend, Connection
from rollbook.storage.sql.secrets import ALL, IN_CLEAR, Place, by_key, missing

SAMPLE = 1_000
"""Secrets that are opened."""


def keys(found: Backend) -> Iterator[Finding]:
    """Whether the secrets of the database open, and nobody else can open them."""
    try:
        source = own_keys(found.usual_keys)
        known = source.present()
    except KeyUnknown as error:
        yield Finding(
            "keys", State.FAIL, error.detail, "give the keys back, see docs: Keys of secrets at rest"
        )
        return
    ring = Keyring(known) if known else None
    try:
        if found.is_new:
            yield _none_yet(source, ring)
            return
        with found.snapshot() as connection:
            if migrate.is_current(migrate.revision(connection)):
                yield _within(found, connection, source, ring)
    except StoreUnavailable:
        return  # the check of the database has said so
    if source.file is not None and source.file.exists():
        mode = source.file.stat().st_mode
        if os.name == "posix" and mode & 0o077:
            yield Finding(
                "key file",
                State.WARN,
                f"others than the owner may get at {source.file}",
                f"chmod 600 {source.file}",
            )


def _none_yet(source: KeySource, ring: Keyring | None) -> Finding:
    if ring is not None:
        return Finding("keys", State.OK, f"{source.name}: {', '.join(ring.ids)}")
    if source.makes:
        return Finding("keys", State.OK, f"{source.name} is made with the first secret")
    return Finding("keys", State.FAIL, "no key is given", _GIVE)


_GIVE = "make one: rollbook key create FILE; name it in ROLLBOOK_KEY_FILE for every process"


def _within(found: Backend, connection: Connection, source: KeySource, ring: Keyring | None) -> Finding:
    used = by_key(connection)
    clear = [name for name in IN_CLEAR if tokens.setting(connection, name) is not None]
    if not used.keys() <= set(ring.ids if ring else ()):
        lost = sorted(used.keys() - set(ring.ids if ring else ()))
        text = missing(found.name, source, ring, lost).detail
        return Finding("keys", State.FAIL, text, "rollbook serve does not start until the key is back")
    if clear and ring is None and not source.makes:
        return Finding("keys", State.WARN, f"{len(clear)} secrets stand in clear in the database", _GIVE)
    if clear:
        text = f"{len(clear)} secrets of an earlier version stand in clear until the next start"
        return Finding("keys", State.WARN, text, "rollbook key rotate seals them")
    if ring is None:
        return _none_yet(source, ring)
    for tenant, name, value in connection.all(ALL, (SAMPLE,)):
        try:
            ring.open(str(Place(tenant, name)), value)
        except KeyUnknown as error:
            return Finding(
                "keys", State.FAIL, error.detail, "restore a backup, or take the secret away and make it anew"
            )
    if any(key != ring.sealing for key in used):
        return Finding("keys", State.WARN, "some secrets are sealed by a former key", "rollbook key rotate")
    where = "; it is beside the database, so keep a copy elsewhere" if source.makes else ""
    return Finding("keys", State.OK, f"{sum(used.values())} secrets open by {source.name}{where}")
