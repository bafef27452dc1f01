"""Cursors of RFC 9865: opaque to clients, good for one query of one caller, and for a limited time (§5.2).

A cursor is a position in authenticated encryption. What it is good for is not in it but bound to it: another
tenant, caller or query opens it no more than a forged one.
"""

import base64
import binascii
import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rollbook.protocol.errors import ExpiredCursor, InvalidCount, InvalidCursor

KEY_BYTES = 64
"""AES-256-SIV: safe without a number used once, however many cursors one key makes."""

_MOST = 4096
"""Characters of a cursor of ours, and more."""

_HEAD = struct.Struct(">BQIQ?")
_FORM, _UNCOUNTED = 1, 2**64 - 1


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a walk goes on: the store's position, which way, how many at a time, and the total if counted."""

    position: bytes
    count: int
    total: int | None = None
    backwards: bool = False


@dataclass(frozen=True)
class Cursors:
    """Makes and reads cursors with one key."""

    key: bytes

    def seal(self, cursor: Cursor, bound: Sequence[str], expires: int) -> str:
        """The cursor as text of unreserved characters, good until `expires` (P-9865-2-02, -20)."""
        total = _UNCOUNTED if cursor.total is None else cursor.total
        plain = _HEAD.pack(_FORM, expires, cursor.count, total, cursor.backwards) + cursor.position
        sealed: bytes = self._cipher().encrypt(plain, [_digest(bound)])
        return _text(sealed)

    def open(self, text: str, bound: Sequence[str], count: int | None, now: int) -> Cursor:
        """What a cursor says, for the query it was made for; `count` is that of the request, None if it has none.

        Raises:
            InvalidCursor: not made here for this caller and query; does not say which (P-9865-2-21).
            ExpiredCursor: too old. InvalidCount: another page size than the walk began with (A-39).
        """
        plain = self._opened(text, bound)
        if len(plain) < _HEAD.size or plain[0] != _FORM:
            raise _invalid()
        _, expires, began_with, total, backwards = _HEAD.unpack_from(plain)
        if now >= expires:
            raise ExpiredCursor(
                "the cursor has expired; begin again with an empty cursor (RFC 9865 section 2.1)"
            )
        if count is not None and count != began_with:
            raise InvalidCount(
                f"count changed during the walk; go on with count={began_with}, or begin again"
            )
        counted = None if total == _UNCOUNTED else total
        return Cursor(plain[_HEAD.size :], began_with, counted, backwards)

    def _opened(self, text: str, bound: Sequence[str]) -> bytes:
        from cryptography.exceptions import InvalidTag

        if len(text) > _MOST or not text.isascii():
            raise _invalid()
        try:
            sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            if _text(sealed) != text:  # base64 has several texts for the same bytes; one is ours
                raise _invalid()
            plain: bytes = self._cipher().decrypt(sealed, [_digest(bound)])
        except (binascii.Error, InvalidTag, ValueError):
            raise _invalid() from None
        return plain

    def _cipher(self) -> Any:
        from cryptography.hazmat.primitives.ciphers.aead import AESSIV

        return AESSIV(self.key)


def _text(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def _digest(bound: Sequence[str]) -> bytes:
    """One value for all a cursor is bound to; each part with its length, so that none runs into another."""
    return hashlib.sha256(b"".join(f"{len(part)}:{part}".encode() for part in bound)).digest()


def _invalid() -> InvalidCursor:
    return InvalidCursor(
        "the cursor is not one for this request; send it as it was received, with the other parameters unchanged,"
        " or begin again with an empty cursor (RFC 9865 section 2.1)"
    )
