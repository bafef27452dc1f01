"""Messages of webhooks: who signed them, and what records are in them. Pure.

Signed as Standard Webhooks says (standardwebhooks.com): HMAC-SHA-256 over id, timestamp and body.
"""

import base64
import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rollbook.protocol.errors import InvalidSyntax, InvalidValue
from rollbook.protocol.values import JsonObject, JsonValue
from rollbook.provisioning.sources.flat import flat
from rollbook.provisioning.sources.spool import unusable
from rollbook.storage.arrivals import Arrival

TOLERANCE = 300
"""Seconds that a sender's clock may differ from ours, either way."""

MOST_RECORDS = 1_000
"""Records and deletions in one message."""

_MOST_SIGNATURES = 10
_LONGEST_ID = 256
_LONGEST_KEY = 1_000


@dataclass(frozen=True)
class Hook:
    """What is known of the sender of a source: the column that is the key, and the secrets it may sign with."""

    key: str
    secrets: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True)
class Signed:
    """The headers of a message."""

    id: str
    timestamp: str
    signatures: str

    def is_in_time(self, now: int) -> bool:
        """Whether it was sent about now (milliseconds since 1970): a message that was seen by others is of no use later."""
        if not (self.timestamp.isascii() and self.timestamp.isdigit() and len(self.timestamp) <= _DIGITS):
            return False
        return 0 < len(self.id) <= _LONGEST_ID and abs(int(self.timestamp) - now // 1000) <= TOLERANCE

    def is_by(self, secrets: Sequence[bytes], body: bytes) -> bool:
        """Whether one of the secrets has signed it."""
        content = f"{self.id}.{self.timestamp}.".encode() + body
        right = [base64.b64encode(hmac.digest(secret, content, "sha256")) for secret in secrets]
        given = [
            one[3:].encode() for one in self.signatures.split()[:_MOST_SIGNATURES] if one.startswith("v1,")
        ]
        matches = [hmac.compare_digest(one, other) for one in given for other in right]
        return any(matches)  # all were compared, so that time tells nothing


_DIGITS = 12


def arrivals(document: JsonValue, key: str) -> list[Arrival]:
    """The records of a message: `{"records": [...], "deleted": [key, ...]}`, or one record.

    Raises:
        InvalidSyntax, InvalidValue: says which record cannot be used, and why.
    """
    if not isinstance(document, dict):
        raise InvalidSyntax('a message is a JSON object: one record, or {"records": [...], "deleted": [...]}')
    found: dict[str, Arrival] = {}
    for place, one in _each(document, key):
        if one.key in found:
            raise InvalidValue(f"{place}: {one.key[:100]!r} is there twice; say one thing of it")
        if len(one.key) > _LONGEST_KEY or "\0" in one.key:
            raise InvalidValue(f"{place}: the key is too long, or has a zero byte in it")
        found[one.key] = one
    if len(found) > MOST_RECORDS:
        raise InvalidValue(f"{len(found)} records; at most {MOST_RECORDS} go into a message")
    return list(found.values())


def _each(document: JsonObject, key: str) -> Iterator[tuple[str, Arrival]]:
    if not {"records", "deleted"} & document.keys():
        yield "the record", _arrival("the record", document, key)
        return
    others = document.keys() - {"records", "deleted"}
    if others:
        raise InvalidValue(f'{min(others)[:100]!r} is not known beside "records" and "deleted"')
    for index, record in enumerate(_list(document, "records")):
        place = f"records[{index}]"
        yield place, _arrival(place, record, key)
    for index, gone in enumerate(_list(document, "deleted")):
        place = f"deleted[{index}]"
        if not isinstance(gone, str) or not gone.strip():
            raise InvalidValue(f"{place}: a key is text that is not empty")
        yield place, Arrival(gone.strip(), None)


def _list(document: JsonObject, name: str) -> list[JsonValue]:
    values = document.get(name, [])
    if not isinstance(values, list):
        raise InvalidValue(f"{name} must be a list")
    return values


def _arrival(place: str, record: JsonValue, key: str) -> Arrival:
    if not isinstance(record, dict):
        raise InvalidValue(f"{place}: a record is a JSON object")
    try:
        fields = flat(record)
    except ValueError as error:
        raise InvalidValue(f"{place}: {error}") from None
    own = fields.get(key, "").strip()
    if not own:
        raise InvalidValue(f'{place}: nothing in "{key}", by which it is known whose it is')
    reason = unusable(fields)
    if reason is not None:
        raise InvalidValue(f"{place} ({own[:100]}): {reason}")
    return Arrival(own, dict(fields))
