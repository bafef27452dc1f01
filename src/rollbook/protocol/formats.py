"""Formats that the RFC gives to single attributes beyond their type (RFC 7643 §4.1.2)."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from rollbook.protocol import urns
from rollbook.protocol.errors import InvalidValue
from rollbook.protocol.quirks import Leniency, Quirk
from rollbook.protocol.values import JsonObject


class Format(NamedTuple):
    """What a part of the values of a base attribute must look like, unless leniency lets it pass."""

    attribute: str
    part: str
    pattern: re.Pattern[str]
    accepted: str
    quirk: Quirk


FORMATS: Mapping[str, tuple[Format, ...]] = {
    urns.USER: (
        Format(
            "addresses",
            "country",
            re.compile(r"[A-Za-z]{2}\Z", re.ASCII),
            "two letters of ISO 3166-1 such as DE",
            Quirk.ANY_COUNTRY,
        ),
    )
}
"""Base schema → its formats (S-59)."""


def check_formats(document: JsonObject, stored: JsonObject, urn: str, leniency: Leniency) -> None:
    """Refuse values that do not have the format that base schema gives them, unless they are stored so.

    Raises:
        InvalidValue: naming the part and what would be accepted.
    """
    for attribute, part, pattern, accepted, quirk in FORMATS.get(urn, ()):
        values = document.get(attribute) or ()
        for value in () if values == stored.get(attribute) else values:
            text = value.get(part)
            if text and not pattern.match(text) and not leniency.accepts(quirk):
                raise InvalidValue(
                    f"{attribute}.{part}: {text[:60]!r} will not do; send {accepted}", quirk=quirk
                )
