"""The `schemas` member of resources and messages (RFC 7643 §3; RFC 7644 §3.1; A-01, A-02)."""

from collections.abc import Container, Iterable

from rollbook.protocol import urns
from rollbook.protocol.coerce import MAX_VALUES
from rollbook.protocol.errors import InvalidSyntax, InvalidValue
from rollbook.protocol.quirks import Leniency, Quirk
from rollbook.protocol.values import JsonObject, JsonValue

_BASES = (urns.USER, urns.GROUP, urns.SERVICE_PROVIDER_CONFIG, urns.RESOURCE_TYPE, urns.SCHEMA)

FOREIGN = frozenset(urn.lower() for urn in (*_BASES, *urns.MESSAGES))
"""URNs that say what a body is, in lower case: one of them alone means that the body is something else."""


def member(body: JsonObject, name: str) -> JsonValue:
    """The member of that name in any case, None if there is none (RFC 7643 §2.1).

    Raises:
        InvalidSyntax: it is there in two spellings (A-56).
    """
    found = [key for key in body if key.lower() == name.lower()]
    if len(found) > 1:
        raise InvalidSyntax(f"{name} is there twice, as {' and '.join(found[:3])}; names ignore case (A-56)")
    return body[found[0]] if found else None


def check_schemas(
    sent: JsonValue,
    expected: str,
    known: Container[str],
    leniency: Leniency,
    foreign: Container[str] = FOREIGN,
) -> None:
    """Check what a body says it is: `expected`, with any of `known` (lower case) beside it.

    Raises:
        InvalidSyntax: it says nothing, something else, or names what is not known here.
        InvalidValue: one string where an array is due.
    """
    listed = _listed(sent, leniency)
    if expected.lower() not in listed:
        other = next((urn for low, urn in listed.items() if low in foreign and low not in known), None)
        if other:
            raise InvalidSyntax(f"schemas: {other[:200]} is not what belongs here; send {expected} (A-02)")
        if not leniency.accepts(Quirk.MISSING_SCHEMAS):
            raise InvalidSyntax(f"schemas must list {expected}", quirk=Quirk.MISSING_SCHEMAS)
    strange = next((urn for low, urn in listed.items() if low not in known), None)
    if strange is not None and not leniency.accepts(Quirk.UNKNOWN_SCHEMAS):
        raise InvalidSyntax(
            f"schemas: {strange[:200]} is not a schema of this resource; leave it out",
            quirk=Quirk.UNKNOWN_SCHEMAS,
        )


def check_listed(sent: JsonValue, known: Container[str], leniency: Leniency) -> Iterable[str]:
    """The URNs, in lower case, of a `schemas` value inside a PATCH: all must be known (A-04)."""
    listed = _listed(sent, leniency)
    for low, urn in listed.items():
        if low not in known and not leniency.accepts(Quirk.UNKNOWN_SCHEMAS):
            raise InvalidValue(
                f"schemas: {urn[:200]} is not a schema of this resource type", quirk=Quirk.UNKNOWN_SCHEMAS
            )
    return [low for low in listed if low in known]


def _listed(sent: JsonValue, leniency: Leniency) -> dict[str, str]:
    if isinstance(sent, str):
        if not leniency.accepts(Quirk.SINGLE_AS_LIST):
            raise InvalidValue("schemas must be an array, also for one URN", quirk=Quirk.SINGLE_AS_LIST)
        sent = [sent]
    if sent is None:
        return {}
    if not isinstance(sent, list) or not all(isinstance(urn, str) for urn in sent):
        raise InvalidSyntax("schemas must be an array of URNs (RFC 7643 section 3)")
    if len(sent) > MAX_VALUES:
        raise InvalidSyntax(
            f"schemas: {len(sent)} URNs are too many; a resource has a few (RFC 7643 section 3)"
        )
    return {urn.lower(): urn for urn in sent}
