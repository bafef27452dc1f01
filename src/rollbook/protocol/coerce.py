"""One value → its canonical form, or a refusal: the types of RFC 7643 §2.3.

Knows an attribute and a value, never a whole resource. Every refusal names the attribute, what was sent and
what would be accepted, and the switched-off quirk that would have accepted it, if there is one.
"""

import base64
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from rollbook.protocol import elements
from rollbook.protocol.attributes import Mutability, Returned, Type, Uniqueness
from rollbook.protocol.compare import decode_binary, parse_date_time, render_date_time
from rollbook.protocol.errors import InvalidSyntax, InvalidValue, TooMany
from rollbook.protocol.quirks import Leniency, Quirk
from rollbook.protocol.schema import AttributePath
from rollbook.protocol.values import Inexact, JsonObject, JsonValue

MAX_TEXT = 65_536
"""Characters of a string: beyond any name, note or address, and small enough to index and log."""

MAX_BLOB = 1_048_576
"""Characters of a binary or a reference: certificates, and photos sent as data URIs."""

MAX_VALUES = 10_000
"""Values of one multi-valued attribute; memberships are rows and have a limit of their own."""

MAX_UNKNOWN = 100_000
"""Names of a request that are passed over: each costs some microseconds, in which nobody else has a turn (T-53)."""

_Reader: TypeAlias = Callable[[AttributePath, JsonValue, Leniency], JsonValue]

_NOT_TEXT = re.compile("[\x00\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff\U000e0000-\U000e0fff]"
)
"""Controls, bidirectional overrides and characters of no width: two names that look alike (A-64, T-54)."""

_UNIQUE = frozenset({Uniqueness.SERVER, Uniqueness.GLOBAL})
_READ_ONLY = Mutability.READ_ONLY
_WORDS = {"true": True, "false": False}
_MIN_INTEGER, _MAX_INTEGER = -(2**63), 2**63 - 1


def read_attribute(path: AttributePath, value: JsonValue, leniency: Leniency) -> JsonValue:
    """What is sent for an attribute or part, in canonical form; None if that leaves it unassigned (S-05).

    Raises:
        InvalidValue: the value does not fit the attribute.
        InvalidSyntax: a part no schema defines, a part named twice, or characters that are not text.
    """
    if value is None:
        return None
    leaf = path[2] or path[1]
    if leaf.multi_valued:
        return read_values(path, value, leniency) or None
    if isinstance(value, list):
        value = only(path.text, value, leniency)
        if value is None:
            return None
    return _READERS[leaf.type](path, value, leniency)


def read_values(path: AttributePath, value: JsonValue, leniency: Leniency) -> list[JsonValue]:
    """The values sent for a multi-valued attribute: duplicates merged, at most one primary (S-30, S-32).

    Raises:
        InvalidValue, InvalidSyntax: as for `read_attribute`.
    """
    leaf = path[2] or path[1]
    read = _READERS[leaf.type]
    found = []
    for item in as_list(path, value, leniency):
        if item is None:
            raise refuse(path, item, "values only, and leave null out of the array")
        one = read(path, item, leniency)
        if one is not None and elements.is_significant(leaf, one):
            found.append(one)
    merged = elements.merge_duplicates(leaf, found)
    if len(merged) > 1 and len(elements.primaries(merged)) > 1:
        raise InvalidValue(
            f"{path.text}: several values are primary; at most one may be (RFC 7643 section 2.4)"
        )
    return merged


def as_list(path: AttributePath, value: JsonValue, leniency: Leniency) -> list[JsonValue]:
    """The array that is due here, made of the one value sent if leniency allows (A-26)."""
    if not isinstance(value, list):
        if not leniency.accepts(Quirk.SINGLE_AS_LIST):
            raise refuse(path, value, "an array, also for one value", quirk=Quirk.SINGLE_AS_LIST)
        return [value]
    if len(value) > MAX_VALUES:
        raise InvalidValue(f"{path.text}: {len(value)} values are too many; at most {MAX_VALUES} are kept")
    return value


def only(where: str, value: list[JsonValue], leniency: Leniency) -> JsonValue:
    """The one value of an array sent where a single value is due; None for an empty array (A-26, S-05)."""
    if not value:
        return None
    if len(value) > 1 or isinstance(value[0], list):
        raise InvalidValue(
            f"{where}: one value is due here, not an array of {len(value)}, nor one in another"
        )
    if not leniency.accepts(Quirk.SINGLE_AS_LIST):
        raise InvalidValue(f"{where}: send the value without an array round it", quirk=Quirk.SINGLE_AS_LIST)
    return value[0]


def as_object(path: AttributePath, value: JsonValue, leniency: Leniency) -> JsonObject | None:
    """The object that is due for a single complex value; None if it is sent as empty (A-26, A-79)."""
    attribute = path.attribute
    if isinstance(value, list) and not attribute.multi_valued:
        value = only(path.text, value, leniency)
    if value is None or isinstance(value, dict):
        return value
    if isinstance(value, str) and attribute.sub("value") and not attribute.multi_valued:
        if not leniency.accepts(Quirk.MANAGER_AS_STRING):
            wanted = f'an object such as {{"value": {_shown(path, value)}}}'
            raise refuse(path, value, wanted, quirk=Quirk.MANAGER_AS_STRING)
        return {"value": value} if value else None
    raise refuse(path, value, f"an object with {_parts_of(path)}")


def read_parts(path: AttributePath, value: JsonObject, leniency: Leniency, *, keep_empty: bool) -> JsonObject:
    """The parts of one complex value by their defined names, readOnly ones left out (P-3.3-02).

    With `keep_empty`, parts sent as null or empty are there with None.

    Raises:
        InvalidValue: also for a reference by `$ref` alone, which is the server's to make (A-69).
    """
    urn, attribute, _ = path
    refers, uri = attribute.refers, None
    parts: JsonObject = {}
    for name, item in value.items():
        sub = attribute.sub(name)
        if sub is None:
            drop_unknown(f"{path.text}.{name[:80]}", _names_of(path), leniency)
            continue
        if name != sub.name:
            check_not_repeated(name, value, path.text)
        if sub.mutability is _READ_ONLY:
            continue
        if refers and sub.name == "$ref":
            uri = item
            continue
        # The usual part, without the calls: half the time of validating a user.
        if sub.takes_any_text and isinstance(item, str) and 0 < len(item) <= MAX_TEXT and item.isprintable():
            parts[sub.name] = item
            continue
        one = read_attribute(AttributePath(urn, attribute, sub), item, leniency)
        if one is not None or keep_empty:
            parts[sub.name] = one
    if uri and "value" not in parts:
        raise InvalidValue(
            f"{path.text}: send the id of a resource as value; $ref is set by the server and not looked at (A-69)"
        )
    return parts


def check_not_repeated(name: str, value: JsonObject, where: str) -> None:
    """Refuse an object that has `name` in two spellings (A-56)."""
    if sum(other.lower() == name.lower() for other in value) > 1:
        raise InvalidSyntax(f"{where}: {name} is there twice; names ignore case (RFC 7643 section 2.1)")


def drop_unknown(name: str, known: Iterable[str], leniency: Leniency) -> None:
    """Pass over a name no schema defines, or refuse it (A-03). There may be very many: `known` is read for a refusal only."""
    if not leniency.accepts(Quirk.UNKNOWN_ATTRIBUTES):
        raise InvalidSyntax(
            f"{name} is not defined by any schema of this resource; known are {', '.join(known)}",
            quirk=Quirk.UNKNOWN_ATTRIBUTES,
        )
    leniency.unknown += 1
    if leniency.unknown > MAX_UNKNOWN:
        raise TooMany(f"more than {MAX_UNKNOWN} names that no schema defines; leave them out")


def refuse(
    path: AttributePath, value: JsonValue, accepted: str, *, quirk: Quirk | None = None
) -> InvalidValue:
    """The refusal of one value."""
    return InvalidValue(
        f"{path.text}: {_shown(path, value)} is not of type {path.leaf.type}; send {accepted}",
        quirk=quirk,
    )


def _shown(path: AttributePath, value: JsonValue) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "an array"
    if Returned.NEVER in {path.attribute.returned, path.leaf.returned}:
        return "what was sent"
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 128:
        return "a number of that size"
    if isinstance(value, Inexact):
        return value.text if len(value.text) <= 40 else f"{value.text[:40]}…"
    return json.dumps(value[:60] if isinstance(value, str) else value)


def _parts_of(path: AttributePath) -> str:
    return ", ".join(_names_of(path))


def _names_of(path: AttributePath) -> Iterator[str]:
    return (sub.name for sub in path.attribute.sub_attributes)


def _text(path: AttributePath, value: JsonValue, leniency: Leniency, most: int) -> str | None:
    """The checks that all types sent as JSON strings share; None for "" if leniency lets it clear (A-93)."""
    if not isinstance(value, str):
        raise refuse(path, value, "a JSON string")
    if not value:
        return None if leniency.accepts(Quirk.EMPTY_STRING_CLEARS) else value
    if len(value) > most:
        raise InvalidValue(f"{path.text}: {len(value)} characters are too many; at most {most} are kept")
    if not value.isprintable() and _NOT_TEXT.search(value):
        raise InvalidSyntax(f"{path.text}: NUL and lone surrogates are not text; leave them out (S-20)")
    return value


def _string(path: AttributePath, value: JsonValue, leniency: Leniency) -> JsonValue:
    plain = isinstance(value, str) and 0 < len(value) <= MAX_TEXT and value.isprintable()
    text = value if plain else _text(path, value, leniency, MAX_TEXT)
    leaf = path[2] or path[1]
    if text and leaf.uniqueness in _UNIQUE and _INVISIBLE.search(text):
        raise InvalidValue(
            f"{path.text}: control, zero-width and text-direction characters are not accepted in a value that"
            " must be unique, since two values could look alike; leave them out"
        )
    return text


def _reference(path: AttributePath, value: JsonValue, leniency: Leniency) -> JsonValue:
    text = _text(path, value, leniency, MAX_BLOB)
    if text and not text.isprintable() and _CONTROL.search(text):
        raise refuse(path, value, "a URI, without control characters or line breaks")
    return text


def _boolean(path: AttributePath, value: JsonValue, leniency: Leniency) -> JsonValue:
    if isinstance(value, bool):
        return value
    word = _WORDS.get(value.lower()) if isinstance(value, str) else None
    if word is None:
        raise refuse(path, value, "true or false")
    if not leniency.accepts(Quirk.STRING_BOOLEANS):
        raise refuse(path, value, "true or false, without quotes", quirk=Quirk.STRING_BOOLEANS)
    return word


def _integer(path: AttributePath, value: JsonValue, leniency: Leniency) -> JsonValue:
    del leniency  # numbers are never converted
    if isinstance(value, bool) or not isinstance(value, int) or not _MIN_INTEGER <= value <= _MAX_INTEGER:
        raise refuse(path, value, "a whole number of at most 64 bits, without fraction or exponent")
    return value


def _decimal(path: AttributePath, value: JsonValue, leniency: Leniency) -> JsonValue:
    del leniency
    if isinstance(value, Inexact):
        raise InvalidValue(
            f"{path.text}: {_shown(path, value)} would not be kept exactly; send at most 15 digits, between 1e-307"
            " and 1e308"
        )
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and _MIN_INTEGER <= value <= _MAX_INTEGER:
        return value
    raise refuse(path, value, "a JSON number; whole ones may have at most 64 bits")


def _date_time(path: AttributePath, value: JsonValue, leniency: Leniency) -> JsonValue:
    if value == "":
        if leniency.accepts(Quirk.EMPTY_STRING_CLEARS):
            return None
        raise refuse(path, value, "null to clear it", quirk=Quirk.EMPTY_STRING_CLEARS)
    try:
        return render_date_time(parse_date_time(value))
    except (TypeError, ValueError, OverflowError):
        raise refuse(path, value, "a date and time such as 2026-11-23T09:30:00Z") from None


def _binary(path: AttributePath, value: JsonValue, leniency: Leniency) -> JsonValue:
    text = _text(path, value, leniency, MAX_BLOB)
    if text is None:
        return None
    try:
        return base64.b64encode(decode_binary(text)).decode("ascii")
    except ValueError:
        raise refuse(path, value, "base64 text") from None


def _complex(path: AttributePath, value: JsonValue, leniency: Leniency) -> JsonValue:
    if not isinstance(value, dict):
        value = as_object(path, value, leniency)
        if value is None:
            return None
    return read_parts(path, value, leniency, keep_empty=False) or None


_READERS: dict[Type, _Reader] = {
    Type.STRING: _string,
    Type.REFERENCE: _reference,
    Type.BOOLEAN: _boolean,
    Type.INTEGER: _integer,
    Type.DECIMAL: _decimal,
    Type.DATE_TIME: _date_time,
    Type.BINARY: _binary,
    Type.COMPLEX: _complex,
}
