"""Equality and order of values, per attribute type: one table of keys (RFC 7644 §3.4.2.2; A-64).

A key is bytes. Two values are equal when their keys are equal, and ordered as their keys are. `co`, `sw` and
`ew` look into the searched text, which is the key too wherever `searches_key` says so. The matcher, the value
index and the uniqueness check all use these functions, so that they cannot disagree.
"""

import base64
import binascii
import json
import math
import re
import struct
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from rollbook.protocol.attributes import Attribute, Type
from rollbook.protocol.errors import InvalidValue
from rollbook.protocol.values import JsonValue

_DATE_TIME = re.compile(
    r"(-?\d{4,})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)?\Z", re.ASCII | re.IGNORECASE
)
_MIN_INTEGER, _MAX_INTEGER = -(2**63), 2**63 - 1


def prepare(text: str) -> str:
    """The form in which names compare without case: NFKC, full case folding, NFKC, until it stays (A-64)."""
    if text.isascii():
        return text.lower()
    prepared = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    # A few characters fold to sequences that fold again; the key of a key is the key (T-55).
    return prepared if prepared == text else prepare(prepared)


def text_key(text: str, *, exact: bool) -> bytes:
    """The key of a text: composed if case counts, prepared if not."""
    if exact:
        return (text if text.isascii() else unicodedata.normalize("NFC", text)).encode()
    return prepare(text).encode()


def key(attribute: Attribute, value: JsonValue) -> bytes:
    """The comparison key of one value of a simple attribute.

    Raises:
        InvalidValue: the value is not of the attribute's type; says what would be accepted.
    """
    return _KEYS[attribute.type](attribute, value)


def searched_text(attribute: Attribute, value: JsonValue) -> bytes:
    """What `co`, `sw` and `ew` look into: the text as it compares, for a dateTime its UTC form (A-15).

    Raises:
        InvalidValue: the value is not of the attribute's type, or the type has no text.
    """
    if attribute.type is Type.DATE_TIME:
        moment = int.from_bytes(_date_time_key(attribute, value), "big") + _MIN_INTEGER
        return render_date_time(moment).encode()
    if attribute.type not in _TEXTS:
        raise InvalidValue(f"{attribute.name}: type {attribute.type} has no text to search in")
    return _string_key(attribute, value)


def searches_key(attribute: Attribute) -> bool:
    """Whether the key of a value is also its searched text, so that an index of keys serves `co`, `sw`, `ew`."""
    return attribute.type is Type.STRING or (
        attribute.type is Type.REFERENCE and not attribute.leads_to_resource
    )


def parse_date_time(text: str) -> int:
    """Milliseconds since 1970 of an xsd:dateTime; without a zone it is UTC (S-24, A-72).

    Raises:
        ValueError: not a dateTime, or a moment that the years 1 to 9999 do not have.
    """
    found = _DATE_TIME.match(text)
    if found is None or len(found[1]) > 4:
        raise ValueError(text)
    year, month, day, hour, minute, second = (int(found[i]) for i in range(1, 7))
    fraction = int((found[7] or "").ljust(6, "0")[:6])
    moment = datetime(year, month, day, hour, minute, second, fraction, tzinfo=UTC)
    return (moment - _EPOCH) // _MILLISECOND - _offset_minutes(found[8]) * 60_000


def render_date_time(milliseconds: int) -> str:
    """Milliseconds since 1970 as `YYYY-MM-DDThh:mm:ss.sssZ` (A-72)."""
    second, rest = divmod(milliseconds, 1000)
    return f"{_render_second(second)}.{rest:03d}Z"


@lru_cache(4096)
def _render_second(second: int) -> str:
    """Resources are made and changed many in a second, and looked at together."""
    return (_EPOCH_OF_UTC + timedelta(seconds=second)).isoformat(timespec="seconds")


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_OF_UTC = _EPOCH.replace(tzinfo=None)  # naive: its isoformat ends where our Z begins
_MILLISECOND = datetime.resolution * 1000


def _offset_minutes(zone: str | None) -> int:
    if zone is None or zone in "Zz":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[4:6])
    if hours * 60 + minutes > 14 * 60 or minutes > 59:  # XML Schema ends at 14:00
        raise ValueError(zone)
    return (hours * 60 + minutes) * (-1 if zone[0] == "-" else 1)


def _refuse(attribute: Attribute, value: JsonValue, accepted: str) -> InvalidValue:
    shown = type(value).__name__ if isinstance(value, dict | list) else _shown(value)
    return InvalidValue(f"{attribute.name}: {shown} is not of type {attribute.type}; send {accepted}")


def _shown(value: JsonValue) -> str:
    return (repr(value[:60]) if isinstance(value, str) else json.dumps(value))[:80]


def _string_key(attribute: Attribute, value: JsonValue) -> bytes:
    if not isinstance(value, str):
        raise _refuse(attribute, value, "a JSON string")
    if value.isascii():  # as `text_key` would have it; every value that is written comes here
        return (value if attribute.compares_exactly else value.lower()).encode()
    try:
        return text_key(value, exact=attribute.compares_exactly)
    except UnicodeEncodeError:
        raise _refuse(attribute, "\\ud800…", "text without lone surrogates") from None


def _reference_key(attribute: Attribute, value: JsonValue) -> bytes:
    """References to resources compare by their last two segments, `Users/2819c223`.

    Thereby relative and absolute forms, and those of other API versions, are equal (RFC 7643 §2.4).
    """
    text = _string_key(attribute, value)
    return b"/".join(text.rstrip(b"/").rsplit(b"/", 2)[-2:]) if attribute.leads_to_resource else text


_TEXTS = {Type.STRING, Type.REFERENCE}


def _boolean_key(attribute: Attribute, value: JsonValue) -> bytes:
    if not isinstance(value, bool):
        raise _refuse(attribute, value, "true or false")
    return b"\x01" if value else b"\x00"


def _integer_key(attribute: Attribute, value: JsonValue) -> bytes:
    if isinstance(value, bool) or not isinstance(value, int) or not _MIN_INTEGER <= value <= _MAX_INTEGER:
        raise _refuse(attribute, value, "a whole number of at most 64 bits, without fraction or exponent")
    return (value - _MIN_INTEGER).to_bytes(8, "big")


def _decimal_key(attribute: Attribute, value: JsonValue) -> bytes:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _refuse(attribute, value, "a JSON number")
    try:
        number = value + 0.0  # makes -0.0 equal to 0.0
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _refuse(attribute, value, "a JSON number that fits 64 bits")
    (bits,) = struct.unpack(">Q", struct.pack(">d", number))
    # IEEE 754 doubles order like integers once the sign bit of positives and all bits of negatives flip.
    flipped = bits ^ (0xFFFFFFFFFFFFFFFF if bits >> 63 else 0x8000000000000000)
    return struct.pack(">Q", flipped)


def _date_time_key(attribute: Attribute, value: JsonValue) -> bytes:
    if isinstance(value, str):
        try:
            return (parse_date_time(value) - _MIN_INTEGER).to_bytes(8, "big")
        except ValueError:
            pass
    raise _refuse(attribute, value, "a date and time such as 2026-11-23T09:30:00Z")


def decode_binary(text: str) -> bytes:
    """The bytes of base64 text, either alphabet, padded or not (S-25).

    Raises:
        ValueError: not base64.
    """
    plain = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise ValueError(text) from error


def _binary_key(attribute: Attribute, value: JsonValue) -> bytes:
    if isinstance(value, str):
        try:
            return decode_binary(value)
        except ValueError:
            pass
    raise _refuse(attribute, value, "base64 text")


def _complex_key(attribute: Attribute, value: JsonValue) -> bytes:
    raise _refuse(attribute, value, "one of its sub-attributes")


_KEYS: dict[Type, Callable[[Attribute, JsonValue], bytes]] = {
    Type.STRING: _string_key,
    Type.REFERENCE: _reference_key,
    Type.BOOLEAN: _boolean_key,
    Type.INTEGER: _integer_key,
    Type.DECIMAL: _decimal_key,
    Type.DATE_TIME: _date_time_key,
    Type.BINARY: _binary_key,
    Type.COMPLEX: _complex_key,
}
