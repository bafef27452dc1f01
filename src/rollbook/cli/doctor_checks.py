"""What `rollbook doctor` looks at. Each check says what it found and what to do; none changes anything."""

import asyncio
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rollbook.cli.doctor_advice import advice_for, time_in_words
from rollbook.protocol.errors import ScimError, StoreUnavailable
from rollbook.storage.sql import migrate
from rollbook.storage.sql.check import check_sample
from rollbook.storage.sql.connection import Backend, Connection
from rollbook.storage.sql.layout import present
from rollbook.storage.sql.postgres_schema import NOW, NoTables
from rollbook.storage.sql.sqlite_file import SqliteFile

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from rollbook.provisioning.model import Config, Target


class State(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """What a check found; `advice` says what to do unless all is well."""

    check: str
    state: State
    text: str
    advice: str | None = None


SAMPLE = 200
"""Resources of each tenant that are compared with their indexes: those written last."""

CLOCK_WARN, CLOCK_FAIL = 2.0, 60.0
"""Seconds between the clock here and that of the database."""

LITTLE, TOO_LITTLE = 1_000_000_000, 100_000_000
"""Bytes left on the disk."""

SOON = timedelta(days=30)
"""Before a certificate ends."""

OVER_THE_NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "afs", "ceph"})
"""File systems whose locks, or shared memory, SQLite cannot rely on."""


def database(found: Backend, now: Callable[[], int]) -> Iterator[Finding]:
    """Whether it is there, of this version, sound as far as a sample tells, and goes by the same clock."""
    if found.is_new:
        yield Finding(
            "database",
            State.WARN,
            f"{found.name}: not made yet",
            "rollbook serve makes it at its first start",
        )
        return
    try:
        with found.snapshot() as connection:
            yield from _within(found, connection, now)
    except StoreUnavailable as error:
        check = "migrations" if isinstance(error, NoTables) else "database"
        yield Finding(check, State.FAIL, error.detail, advice_for(error.detail))


def _within(found: Backend, connection: Connection, now: Callable[[], int]) -> Iterator[Finding]:
    is_file = isinstance(found, SqliteFile)
    row = connection.one(_VERSION[is_file])
    yield Finding(
        "database", State.OK, f"{found.name}: {'SQLite' if is_file else 'PostgreSQL'} {row and row[0]}"
    )
    revision = migrate.revision(connection)
    try:
        is_current = migrate.is_current(revision)
    except StoreUnavailable as error:
        yield Finding(
            "migrations", State.FAIL, error.detail, "run the version of Rollbook that made it, or a later one"
        )
        return
    if not is_current:
        yield Finding(
            "migrations",
            State.WARN if is_file else State.FAIL,
            f"at revision {revision}, this program has {migrate.head()}",
            "make a backup, then run: rollbook database migrate",
        )
        return
    yield Finding("migrations", State.OK, f"at revision {revision}, the newest")
    faults = check_sample(connection, partial(present, connection), SAMPLE)
    if faults:
        yield Finding(
            "contents",
            State.FAIL,
            f"{len(faults)} things do not hold, such as: {faults[0]}",
            "look at all of it: rollbook database check; restore a backup if it says the same",
        )
    else:
        yield Finding(
            "contents",
            State.OK,
            f"the {SAMPLE} resources of each tenant written last agree with their indexes",
        )
    yield _clock(connection, now, is_file=is_file)


_VERSION = {True: "SELECT sqlite_version()", False: "SELECT current_setting('server_version')"}
_NEWEST = (
    "SELECT max(at) FROM (SELECT at FROM change WHERE tenant = 1 ORDER BY sequence DESC LIMIT 1) AS last"
)


def _clock(connection: Connection, now: Callable[[], int], *, is_file: bool) -> Finding:
    """The clock here against the database server's; against the newest change where they are the same."""
    before = now()
    row = connection.one(_NEWEST if is_file else NOW)
    told = None if row is None or row[0] is None else int(row[0])
    if told is None:
        return Finding("clock", State.OK, "nothing to compare it with yet")
    # What the answer took to come is not the clock's fault.
    seconds = (told - min(max(told, before), now())) / 1000
    off = max(0.0, seconds) if is_file else abs(seconds)
    if off < CLOCK_WARN:
        return Finding(
            "clock", State.OK, "agrees with the database; whether both are right only a time server knows"
        )
    state = State.WARN if off < CLOCK_FAIL else State.FAIL
    than = "behind the newest change" if is_file else "off from that of the database server"
    text = f"{time_in_words(off)} {than}"
    return Finding("clock", state, text, "set it by a time server: timedatectl set-ntp true")


def files(found: Backend, config: Path | None) -> Iterator[Finding]:
    """Room on the disk, and who may read what (T-91)."""
    if isinstance(found, SqliteFile):
        place = found.path.absolute().parent
        if not place.is_dir():
            yield Finding(
                "disk", State.FAIL, f"there is no directory {place}", f"make it: mkdir -m 0700 {place}"
            )
            return
        yield _room(place)
        yield _file_system(place)
        beside = [found.path.with_name(found.path.name + end) for end in ("", "-wal", "-shm")]
        yield _private([place, *(path for path in beside if path.exists())])
    if config is not None and config.exists():
        mode = config.stat().st_mode
        if mode & stat.S_IWOTH:
            yield Finding("files", State.FAIL, f"{config} may be changed by anybody", f"chmod o-w {config}")


def _room(place: Path) -> Finding:
    usage = shutil.disk_usage(place)
    text = f"{usage.free / 1e9:.1f} GB free at {place}"
    if usage.free >= LITTLE:
        return Finding("disk", State.OK, text)
    state = State.FAIL if usage.free < TOO_LITTLE else State.WARN
    return Finding(
        "disk",
        state,
        text,
        "make room; rollbook database compact --older-than 365d, then vacuum, gives some back",
    )


def _file_system(place: Path, table: str = "/proc/self/mounts") -> Finding:
    kind = _kind_of(place, table)
    if kind in OVER_THE_NETWORK:
        return Finding(
            "file system",
            State.FAIL,
            f"{place} is on {kind}, over the network, where locks of SQLite do not hold",
            "put the database on a disk of this machine, or use PostgreSQL",
        )
    return Finding("file system", State.OK, kind or "not known here")


def _kind_of(place: Path, table: str) -> str:
    """The kind of the file system a path is on, by the longest mount point above it; empty where nobody tells."""
    try:
        lines = [line.split() for line in Path(table).read_text("utf-8").splitlines()]
    except OSError:
        return ""
    points = [(parts[1].replace("\\040", " "), parts[2]) for parts in lines if len(parts) > 2]
    above = [(len(point), kind) for point, kind in points if place.resolve().is_relative_to(point)]
    return max(above, default=(0, ""))[1]


def _private(paths: Sequence[Path]) -> Finding:
    """Whether files of people's data are their owner's only."""
    open_to_others = [path for path in paths if os.name == "posix" and path.stat().st_mode & 0o077]
    if not open_to_others:
        return Finding("files", State.OK, "the database is for its owner only")
    listed = " ".join(map(str, open_to_others))
    is_file = any(path.is_file() for path in open_to_others)
    state = (
        State.FAIL if is_file and any(path.stat().st_mode & 0o007 for path in open_to_others) else State.WARN
    )
    return Finding("files", state, f"others than the owner may get at: {listed}", f"chmod go-rwx {listed}")


def certificates(paths: Sequence[Path], now: datetime | None = None) -> Iterator[Finding]:
    """Whether certificates in PEM files hold for a while, and lists of revoked ones until now."""
    from cryptography import x509

    from rollbook.server.tls import lists_in

    for path in paths:
        try:
            held = path.read_bytes()
            if lists := lists_in(held):
                dues = [each.next_update_utc for each in lists if each.next_update_utc]
                yield _due(path, min(dues, default=None), now or datetime.now(UTC))
                continue
            found = x509.load_pem_x509_certificates(held)
        except (OSError, ValueError) as error:
            text = getattr(error, "strerror", None) or "not a certificate in PEM form"
            yield Finding("TLS", State.FAIL, f"{path}: {text}", "name the file with the certificate chain")
            continue
        yield _validity(str(path), found, now or datetime.now(UTC))


def _due(path: Path, due: datetime | None, now: datetime) -> Finding:
    """A list that is renewed each day is never far from its end: it is late once it is over."""
    if due is None:
        return Finding("TLS", State.OK, f"{path}: revoked certificates, with no word of when it is renewed")
    if due <= now:
        text = f"{path}: a list of revoked certificates was due anew {due:%Y-%m-%d %H:%M} UTC"
        return Finding("TLS", State.FAIL, text, "get it: no certificate of its authority is taken until then")
    return Finding("TLS", State.OK, f"{path}: revoked certificates, due anew {due:%Y-%m-%d %H:%M} UTC")


def _validity(what: str, chain: "Sequence[Certificate]", now: datetime) -> Finding:
    begins = max(each.not_valid_before_utc for each in chain)
    ends = min(each.not_valid_after_utc for each in chain)
    if begins > now:
        text = f"{what}: valid from {begins:%Y-%m-%d %H:%M} UTC only"
        return Finding(
            "TLS", State.FAIL, text, "serve another one until then, or set the clock of this machine"
        )
    text = f"{what}: valid until {ends:%Y-%m-%d %H:%M} UTC"
    if ends <= now:
        return Finding("TLS", State.FAIL, f"{what}: ended {ends:%Y-%m-%d %H:%M} UTC", "get a new one")
    if ends - now < SOON:
        return Finding("TLS", State.WARN, text, "get a new one in time")
    return Finding("TLS", State.OK, text)


IN_FILES = frozenset({"csv", "jsonl"})
"""Types of sources that are one file."""


def files_of_sources(config: "Config") -> Iterator[Finding]:
    """Files that people are read from and that cannot be: a pull would fail."""
    for source in config.sources.values():
        if source.type in IN_FILES and not os.access(source.path, os.R_OK):
            text = f"{source.name}: {source.path} is not there, or may not be read"
            advice = "put it there, or correct its path; until then it cannot be pulled"
            yield Finding("source", State.WARN, text, advice)


def own_certificates(config: "Config", now: datetime | None = None) -> Iterator[Finding]:
    """The same for those that targets are shown."""
    from cryptography import x509

    for target in config.targets.values():
        if target.access.certificate is not None:
            found = x509.load_pem_x509_certificates(target.access.certificate[0])
            yield _validity(f"certificate for {target.name}", found, now or datetime.now(UTC))


async def targets(config: "Config") -> Sequence[Finding]:
    """Whether each target answers and takes our credentials; asks, and writes nothing."""
    return await asyncio.gather(*(_target(target) for target in config.targets.values()))


async def _target(target: "Target") -> Finding:
    from rollbook.provisioning.targets.scim import connect

    try:
        connection = connect(target)
    except ValueError as error:
        return Finding("target", State.FAIL, f"{target.name}: {error}", "correct its url")
    try:
        await connection.greet()
    except ScimError as error:
        advice = "see that it is there and takes the credentials; rollbook try shows each call"
        return Finding("target", State.FAIL, f"{target.name}: {error.detail}", advice)
    finally:
        await connection.close()
    return Finding("target", State.OK, f"{target.name}: answers, and takes our credentials")
