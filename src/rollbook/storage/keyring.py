"""Keys that are kept outside the database, and what they seal (I-32).

A sealed value is a JWE in compact form (RFC 7516: `dir`, A256GCM). Its protected header has the id of the key, and
the place that the value belongs to: moved to another place, or another tenant, it does not open.

Most have no use for this module but for `Secrets` of a store (`rollbook.storage.secrets`), which seals by it, and whose
values are sealed anew when the key changes: keep a secret there and in no other table. There is no key to derive others
from here on purpose: it would change with each rotation. `Secrets.derived` gives one that never does.
"""

import base64
import binascii
import hashlib
import json
import secrets
import zlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from rollbook.protocol.errors import StoreUnavailable

if TYPE_CHECKING:
    from joserfc.jwe import JWERegistry

PREFIX = "rb_key_"
"""How a key begins, so that scanners for leaked secrets find it; it ends in a checksum."""

_BYTES, _SUM = 32, 4


class KeyUnknown(StoreUnavailable):
    """The keys at hand are not those that are needed; the words say which are, and what to do."""


@dataclass(frozen=True)
class Key:
    """256 random bits."""

    secret: bytes = field(repr=False)

    @cached_property
    def id(self) -> str:
        """What the key is called: it tells nothing of it."""
        return base64.b32encode(hashlib.sha256(b"rollbook key id" + self.secret).digest())[:8].decode()

    @property
    def text(self) -> str:
        """The key as a line of a file."""
        whole = self.secret + zlib.crc32(self.secret).to_bytes(_SUM, "big")
        return PREFIX + base64.urlsafe_b64encode(whole).decode()


def new_key() -> Key:
    """A fresh key."""
    return Key(secrets.token_bytes(_BYTES))


def read_keys(text: str, name: str) -> tuple[Key, ...]:
    """The keys of a text, one a line or with spaces between them; from `#` on a line is a remark.

    Raises:
        KeyUnknown: something is none, or there are none; says where (`name`), and repeats nothing of it.
    """
    found = [
        _key(word, f"{name}, line {number}")
        for number, line in enumerate(text.splitlines(), 1)
        for word in line.partition("#")[0].split()
    ]
    if not found:
        raise KeyUnknown(f"{name}: there is no key in it; make one with: rollbook key create")
    return tuple(found)


def _key(text: str, where: str) -> Key:
    try:
        whole = base64.b64decode(text.removeprefix(PREFIX), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        whole = b""
    key = Key(whole[:_BYTES])
    if len(whole) != _BYTES + _SUM or key.text != text:
        raise KeyUnknown(
            f"{where}: this is no whole key; one begins with {PREFIX} and is made by: rollbook key create"
        )
    return key


@dataclass(frozen=True)
class Keyring:
    """Keys, at least one: each opens what it has sealed, the last one seals."""

    keys: tuple[Key, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        """What they are called."""
        return tuple(key.id for key in self.keys)

    @property
    def sealing(self) -> str:
        """The id of the key that seals."""
        return self.keys[-1].id

    def seal(self, place: str, value: bytes) -> str:
        """The value as text that nobody can read without the key, for that place only."""
        from joserfc import jwe
        from joserfc.jwk import OctKey

        key = self.keys[-1]
        header = {"alg": "dir", "enc": "A256GCM", "kid": key.id, "place": place}
        sealed: str = jwe.encrypt_compact(header, value, OctKey.import_key(key.secret), registry=_registry())
        return sealed

    def open(self, place: str, text: str) -> bytes:
        """What was sealed for that place.

        Raises:
            KeyUnknown: it was sealed by a key that is not here, for another place, or was altered.
        """
        from joserfc import jwe
        from joserfc.errors import JoseError
        from joserfc.jwk import OctKey

        wanted = key_id(text) or "that cannot be told"
        key = next((each for each in self.keys if each.id == wanted), None)
        if key is None:
            raise KeyUnknown(f"the secret {place} is sealed by key {wanted}, which is not here")
        try:
            opened = jwe.decrypt_compact(text, OctKey.import_key(key.secret), registry=_registry())
        except (JoseError, ValueError):
            opened = None
        if opened is None or opened.plaintext is None or opened.headers().get("place") != place:
            raise KeyUnknown(
                f"the secret {place} does not open: it was altered, or moved there from another place;"
                " restore a backup"
            )
        plain: bytes = opened.plaintext
        return plain


def key_id(text: str) -> str:
    """The id of the key that sealed a value; empty if the text is no sealed value."""
    head = text.partition(".")[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except ValueError:
        return ""
    found = header.get("kid") if isinstance(header, dict) else None
    return found if isinstance(found, str) else ""


def derive(secret: bytes, purpose: str) -> bytes:
    """A key of 32 bytes for one purpose: whoever has it learns neither the secret nor those for other purposes."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

    derived: bytes = HKDFExpand(SHA256(), 32, f"rollbook {purpose}".encode()).derive(secret)
    return derived


def _registry() -> "JWERegistry":
    """What a header may say: these algorithms, nothing compressed, and the place must be there."""
    from joserfc.jwe import JWERegistry
    from joserfc.registry import HeaderParameter

    place = HeaderParameter("The place that the value belongs to", "str", required=True)
    return JWERegistry(header_registry={"place": place}, algorithms=["dir", "A256GCM"])
