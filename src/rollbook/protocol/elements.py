"""Values of multi-valued attributes: when two are the same, which count, which is primary (RFC 7643 §2.4).

Works on canonical values; reads no bodies and knows no operations.
"""

from collections.abc import Hashable, Iterable, Sequence

from rollbook.protocol import compare
from rollbook.protocol.attributes import Attribute, Type
from rollbook.protocol.errors import InvalidValue
from rollbook.protocol.values import JsonObject, JsonValue

_LABELS = frozenset({"type", "primary"})
"""Parts that say something about a value and are none themselves."""


def is_significant(attribute: Attribute, value: JsonValue) -> bool:
    """Whether one value of a multi-valued attribute says more than its type and that it is primary (A-29)."""
    if not attribute.is_complex:
        return True
    return not value.keys() <= _LABELS or not _has_more(attribute)


def _has_more(attribute: Attribute) -> bool:
    return any(sub.name not in _LABELS for sub in attribute.sub_attributes)


def primaries(values: Iterable[JsonValue]) -> list[JsonValue]:
    """The values marked primary."""
    return [value for value in values if isinstance(value, dict) and value.get("primary") is True]


def merge_duplicates(attribute: Attribute, values: Sequence[JsonValue]) -> list[JsonValue]:
    """The values with those of the same `type` and `value` merged, later parts winning (S-32, A-89).

    A value without `value` is merged with its exact copies only. Values that stay are the same objects.
    """
    if len(values) < 2 or _plainly_differ(attribute, values):
        return list(values)
    found: dict[Hashable, JsonValue] = {}
    is_plain = all(_is_plain(attribute.sub(name)) for name in ("value", "type"))
    for value in values:
        key = (_plain_identity(value) if is_plain else None) or _identity(attribute, value)
        known = found.get(key)
        if known is None:
            found[key] = value
        elif attribute.is_complex and not same_value(attribute, known, value):
            found[key] = {**known, **value}
    return list(found.values())


def same_value(attribute: Attribute, one: JsonValue, other: JsonValue) -> bool:
    """Whether two canonical values are equal by type and case rules; lists in their order (A-06, A-25)."""
    if one == other:
        return True
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(
            same_value(attribute, a, b) for a, b in zip(one, other, strict=True)
        )
    if not attribute.is_complex:
        return (
            one is not None and other is not None and _compare(attribute, one) == _compare(attribute, other)
        )
    return (
        isinstance(one, dict) and isinstance(other, dict) and _key(attribute, one) == _key(attribute, other)
    )


class Contents:
    """The values an attribute has, arranged so that finding those with given parts is quick (A-25)."""

    def __init__(self, attribute: Attribute, values: Sequence[JsonValue]) -> None:
        self._attribute = attribute
        self._places: dict[Hashable, set[int]] = {}
        for place, value in enumerate(values):
            for part in _key(attribute, value):
                self._places.setdefault(part, set()).add(place)

    def places(self, sent: JsonValue) -> set[int]:
        """The places of the values that are equal on all parts sent; primary false counts as not sent."""
        parts = sorted((self._places.get(part, set()) for part in _key(self._attribute, sent)), key=len)
        return set.intersection(*parts) if parts else set()


def _plainly_differ(attribute: Attribute, values: Sequence[JsonValue]) -> bool:
    """Whether all have a text as `value` and these differ in more than case: the usual case, found cheaply."""
    leaf = attribute.sub("value") if attribute.is_complex else attribute
    if leaf is None or leaf.type is not Type.STRING:
        return False
    texts = [value.get("value") if isinstance(value, dict) else value for value in values]
    plain = {text.lower() for text in texts if isinstance(text, str) and text.isascii()}
    return len(plain) == len(values)


def _is_plain(sub: Attribute | None) -> bool:
    return sub is not None and sub.type is Type.STRING and not sub.compares_exactly and not sub.multi_valued


def _plain_identity(value: JsonObject) -> tuple[bytes, bytes | None] | None:
    """As `_identity` would have it, found cheaply; None if `value` or `type` needs more: each step of a patch comes here."""
    text, kind = value.get("value"), value.get("type")
    if not (isinstance(text, str) and text.isascii()):
        return None
    if kind is None:
        return text.lower().encode(), None
    return (
        (text.lower().encode(), kind.lower().encode()) if isinstance(kind, str) and kind.isascii() else None
    )


def _identity(attribute: Attribute, value: JsonValue) -> Hashable:
    if not attribute.is_complex:
        return _compare(attribute, value)
    if value.get("value") is None:
        return frozenset(
            (name, tuple(part) if isinstance(part, list) else part) for name, part in value.items()
        )
    return tuple(_label(attribute, value, name) for name in ("value", "type"))


def _label(attribute: Attribute, value: JsonObject, name: str) -> Hashable:
    sub, part = attribute.sub(name), value.get(name)
    return None if sub is None or part is None or sub.multi_valued else _compare(sub, part)


def _key(attribute: Attribute, value: JsonValue) -> frozenset[Hashable]:
    """Every part with its comparison key; a part that is false and called primary is left out (S-30)."""
    if not attribute.is_complex:
        return frozenset({_compare(attribute, value)})
    return frozenset(_parts(attribute, value))


def _parts(attribute: Attribute, value: JsonObject) -> Iterable[Hashable]:
    for name, part in value.items():
        sub = attribute.sub(name)
        if sub is None or (name == "primary" and part is False):
            continue
        for one in part if isinstance(part, list) else (part,):
            yield name, _compare(sub, one)


def _compare(attribute: Attribute, value: JsonValue) -> Hashable:
    try:
        return compare.key(attribute, value)
    except InvalidValue:
        return repr(value)  # stored before its attribute changed type: equal to its copies only
