"""Values of the membership attribute: from a body to `Member`, and back to values that filters can look at.

Memberships are rows (architecture §3): they never appear in a document.
"""

from collections.abc import Iterable

from rollbook.protocol.coerce import (
    as_object,
    check_not_repeated,
    drop_unknown,
    read_attribute,
    refuse,
)
from rollbook.protocol.errors import InvalidValue
from rollbook.protocol.quirks import Leniency, Quirk
from rollbook.protocol.resource import Member
from rollbook.protocol.schema import AttributePath
from rollbook.protocol.values import JsonObject, JsonValue

MAX_MEMBERS = 500_000
"""Members one request may name."""

_COMPUTED = frozenset({"$ref", "display"})
"""Parts the server fills; what clients send for them is not looked at (A-69)."""


def read_members(path: AttributePath, value: JsonValue, leniency: Leniency) -> tuple[Member, ...]:
    """The members sent, each id once (A-25).

    Raises:
        InvalidValue: not an array of objects with `value`, or too many (S-72).
    """
    if value is None:
        return ()
    if not isinstance(value, list):
        if not leniency.accepts(Quirk.SINGLE_AS_LIST):
            raise refuse(path, value, "an array, also for one member", quirk=Quirk.SINGLE_AS_LIST)
        value = [value]
    if len(value) > MAX_MEMBERS:
        raise InvalidValue(
            f"{path.text}: {len(value)} values are too many; at most {MAX_MEMBERS} per request"
        )
    return unique(path, (read_member(path, item, leniency) for item in value))


def read_member(path: AttributePath, value: JsonValue, leniency: Leniency) -> Member:
    """One member: its id, and its type if one is named; the rest is the server's (A-69)."""
    sent = value if isinstance(value, dict) else as_object(path, value, leniency)
    if sent is None:
        raise refuse(path, value, 'an object such as {"value": "<id>"}')
    return to_member(path, read_member_parts(path, sent, leniency))


def read_member_parts(path: AttributePath, sent: JsonObject, leniency: Leniency) -> JsonObject:
    """The parts of a member that a client decides, by their defined names."""
    parts: JsonObject = {}
    for name, item in sent.items():
        sub = path.attribute.sub(name)
        if sub is None:
            drop_unknown(f"{path.text}.{name[:80]}", sorted(path.attribute.parts), leniency)
            continue
        if name != sub.name:
            check_not_repeated(name, sent, path.text)
        if sub.name not in _COMPUTED:
            one = read_attribute(AttributePath(path.urn, path.attribute, sub), item, leniency)
            if one is not None:
                parts[sub.name] = one
    return parts


def to_member(path: AttributePath, parts: JsonObject) -> Member:
    """The member that has those parts; its id is required here (S-72)."""
    value = parts.get("value")
    if not value:
        raise InvalidValue(
            f'{path.text}: each value needs the id of a resource, as in {{"value": "<id>"}} (S-72)'
        )
    return Member(value, parts.get("type"))


def unique(path: AttributePath, members: Iterable[Member]) -> tuple[Member, ...]:
    """The members with each id once, in order (A-25).

    Raises:
        InvalidValue: one id with two types.
    """
    found: dict[str, Member] = {}
    for member in members:
        known = found.setdefault(member.value, member)
        if known is not member:
            found[member.value] = same_member(path, known, member)
    return tuple(found.values())


def same_member(path: AttributePath, known: Member, sent: Member) -> Member:
    """The known member, with the type sent if it had none.

    Raises:
        InvalidValue: both have a type and these differ: an id has one (A-69).
    """
    if known.type and sent.type and known.type.lower() != sent.type.lower():
        raise InvalidValue(
            f"{path.text}: {sent.value} is a {known.type}, not a {sent.type[:40]}; leave type out"
        )
    return known if known.type or not sent.type else sent


def as_value(member: Member) -> JsonObject:
    """The member as a value that filters and part operations can look at."""
    parts = {"value": member.value, "type": member.type, "display": member.display}
    return {name: part for name, part in parts.items() if part is not None}
