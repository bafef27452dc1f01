"""Secrets in the database, sealed; those that earlier versions kept in clear are taken over when they are asked for."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from rollbook.storage.key_files import KeySource, make_file
from rollbook.storage.keyring import Key, Keyring, KeyUnknown, derive, key_id, new_key
from rollbook.storage.secrets import OF_THE_SERVICE, ROOT, new_root
from rollbook.storage.sql import tokens
from rollbook.storage.sql.connection import Backend, Connection

ONE = "SELECT value FROM secret WHERE tenant = ? AND name = ?"
ADD = (
    "INSERT INTO secret (tenant, name, key, value) VALUES (?, ?, ?, ?) ON CONFLICT (tenant, name) DO NOTHING"
)
SET = """
    INSERT INTO secret (tenant, name, key, value) VALUES (?, ?, ?, ?)
    ON CONFLICT (tenant, name) DO UPDATE SET key = excluded.key, value = excluded.value
"""
ALL = "SELECT tenant, name, value FROM secret ORDER BY tenant, name LIMIT ?"
DROP = "DELETE FROM secret WHERE tenant = ? AND name = ?"
BY_KEY = "SELECT key, count(*) FROM secret GROUP BY key ORDER BY key"
IN_CLEAR = ("token-pepper", "cursor-key", ROOT)
"""Settings, in hexadecimal digits, where nothing is sealed: by earlier versions, or on PostgreSQL without a key."""


class Place(NamedTuple):
    """Where a secret belongs."""

    tenant: int
    name: str

    def __str__(self) -> str:
        """As a sealed value says it."""
        return f"{self.tenant}/{self.name}"


class SqlSecrets:
    """`Secrets` over a database, with keys that are not in it."""

    def __init__(self, database: Backend, source: KeySource) -> None:
        self.source = source
        self.made: Path | None = None
        """The file of keys that was made here because there was none."""
        self._database = database
        self._ring: Keyring | None = None

    async def get(self, name: str, tenant: int = OF_THE_SERVICE) -> bytes | None:
        """The secret of that name, or None."""
        place = Place(tenant, name)
        text = await self._database.read_now(lambda connection: _sealed(connection, place))
        return None if text is None else await self._opened(place, text)

    async def kept(self, name: str, fresh: bytes, tenant: int = OF_THE_SERVICE) -> bytes:
        """The secret of that name; the fresh one, from now on, if there is none."""
        found = await self.get(name, tenant)
        if found is not None:
            return found
        former = await self._in_clear(name) if tenant == OF_THE_SERVICE else None
        ring = await self._sealing()
        place = Place(tenant, name)
        if ring is None:
            return await self._kept_in_clear(place, fresh)
        if former is not None:
            return await self._taken_over(ring, place, fresh)
        value = ring.seal(str(place), fresh)
        text = await self._database.write(tenant, lambda conn: _kept(conn, ring, place, value))
        return await self._opened(place, text)

    async def _taken_over(self, ring: Keyring, place: Place, fresh: bytes) -> bytes:
        """Seal what stands in clear, and take that away."""

        def take(connection: Connection) -> str:
            clear = tokens.setting(connection, place.name)
            tokens.drop_setting(connection, place.name)
            value = ring.seal(str(place), bytes.fromhex(clear) if clear else fresh)
            return _kept(connection, ring, place, value)

        return await self._opened(place, await asyncio.to_thread(self._database.wiping, take))

    async def put(self, name: str, value: bytes, tenant: int = OF_THE_SERVICE) -> None:
        """Set a secret."""
        place = Place(tenant, name)
        ring = await self._sealing()
        if ring is None:
            raise self._no_key(place)
        text = ring.seal(str(place), value)
        await self._database.write(tenant, lambda conn: conn.run(SET, (*place, ring.sealing, text)))

    async def drop(self, name: str, tenant: int = OF_THE_SERVICE) -> None:
        """Forget a secret."""
        await self._database.write(tenant, lambda connection: connection.run(DROP, (tenant, name)))

    async def derived(self, purpose: str) -> bytes:
        """A key for a purpose."""
        return derive(await self.kept(ROOT, new_root()), purpose)

    async def take_over(self, name: str) -> None:
        """Seal a secret that stands in clear, if it does."""
        if await self._in_clear(name) is not None:
            await self.kept(name, b"")

    async def all_keys(self) -> Keyring:
        """The keys as they are now.

        Raises:
            KeyUnknown: there are none, or one that has sealed something is not among them.
        """
        # First what is used: a key is there before it seals anything, so whoever adds one meanwhile is not missed.
        used = await self._database.read(by_key)
        ring = await self._sealing()
        if ring is None:
            raise self._no_key(Place(OF_THE_SERVICE, IN_CLEAR[0]))
        if not used.keys() <= set(ring.ids):
            raise missing(self._database.name, self.source, ring, sorted(used.keys() - set(ring.ids)))
        return ring

    async def are_in_clear(self) -> bool:
        """Whether a version that sealed nothing has left secrets, and no key was given to seal them with."""
        return any([await self._in_clear(name) is not None for name in IN_CLEAR])

    async def _in_clear(self, name: str) -> bytes | None:
        text = await self._database.read_now(lambda connection: tokens.setting(connection, name))
        return None if text is None else bytes.fromhex(text)

    async def _kept_in_clear(self, place: Place, fresh: bytes) -> bytes:
        """Go on in clear, as an earlier version did; where nothing is in clear yet, nothing ever will be."""
        if place.tenant != OF_THE_SERVICE or not await self.are_in_clear():
            raise self._no_key(place)
        text = await self._database.write(
            place.tenant, lambda connection: tokens.keep_setting(connection, place.name, fresh.hex())
        )
        return bytes.fromhex(text)

    def _no_key(self, place: Place) -> KeyUnknown:
        return KeyUnknown(
            f"{self._database.name}: there is no key to seal the secret {place} with; make one with"
            " rollbook key create FILE, name it in ROLLBOOK_KEY_FILE, for every process, and keep a copy elsewhere"
        )

    async def _opened(self, place: Place, text: str) -> bytes:
        """What a sealed value says; the keys are read anew if its key is not known yet."""
        wanted = key_id(text)
        if self._ring is None or wanted not in self._ring.ids:
            self._ring = _ring(await asyncio.to_thread(self.source.present))
        if self._ring is None or wanted not in self._ring.ids:
            raise missing(self._database.name, self.source, self._ring, [wanted])
        return self._ring.open(str(place), text)

    async def _sealing(self) -> Keyring | None:
        """The keys as they are now, made if that is due; None if there are none.

        Raises:
            KeyUnknown: the database has secrets, and all are of other keys: these are the wrong ones.
        """
        used = await self._database.read(by_key)
        ring = _ring(await asyncio.to_thread(self.source.present))
        if used and (ring is None or not used.keys() & set(ring.ids)):
            raise missing(self._database.name, self.source, ring, used)
        if ring is None and self.source.makes and self.source.file is not None:
            if await asyncio.to_thread(make_file, self.source.file, new_key()):
                self.made = self.source.file
            ring = _ring(await asyncio.to_thread(self.source.present))
        self._ring = ring
        return ring


def _ring(keys: tuple[Key, ...]) -> Keyring | None:
    return Keyring(keys) if keys else None


def missing(
    database: str, source: KeySource, ring: Keyring | None, wanted: Sequence[str] | Mapping[str, int]
) -> KeyUnknown:
    """What to say of keys that are wanted and not here."""
    names = ", ".join(name or "of no name" for name in wanted)
    have = f"{source.name} has {', '.join(ring.ids)}" if ring else f"there is none ({source.name})"
    return KeyUnknown(
        f"{database}: its secrets are sealed by key {names}, and {have}. Give the key back: put its file there, or name"
        " it in ROLLBOOK_KEY_FILE. If it is lost for ever: rollbook key forget"
    )


def by_key(connection: Connection) -> dict[str, int]:
    """How many secrets each key has sealed."""
    return {key: int(number) for key, number in connection.all(BY_KEY)}


def _sealed(connection: Connection, place: Place) -> str | None:
    row = connection.one(ONE, place)
    return str(row[0]) if row else None


def _kept(connection: Connection, ring: Keyring, place: Place, value: str) -> str:
    """Add a sealed value unless there is one; the one that holds."""
    connection.run(ADD, (*place, ring.sealing, value))
    return _sealed(connection, place) or value
