"""Formats that the RFC gives to single attributes beyond their type (RFC 7643 §4.1.1, §4.1.2)."""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from rollbook.protocol import urns
from rollbook.protocol.errors import InvalidValue
from rollbook.protocol.quirks import Leniency, Quirk
from rollbook.protocol.values import JsonObject


class Format(NamedTuple):
    """What a base attribute, or a part of its values, must look like, unless leniency lets it pass."""

    attribute: str
    part: str | None
    pattern: re.Pattern[str]
    accepted: str


_TAG = r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*"
_RANGE = rf"(?:{_TAG}|\*)(?:\s*;\s*q=(?:0(?:\.\d{{0,3}})?|1(?:\.0{{0,3}})?))?"


def _whole(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?:{pattern})\Z", re.ASCII)


FORMATS: Mapping[str, tuple[Format, ...]] = {
    urns.USER: (
        Format(
            "preferredLanguage",
            None,
            _whole(rf"{_RANGE}(?:\s*,\s*{_RANGE})*"),
            "languages as in Accept-Language, such as en-US or de, en;q=0.5",
        ),
        Format("locale", None, _whole(_TAG.replace("(?:-", "(?:[-_]")), "a language tag such as en-US"),
        Format("timezone", None, _whole(r"[A-Za-z][A-Za-z0-9+_-]*(?:/[A-Za-z0-9+_-]+){0,2}"),
               "a name of the IANA time zone database such as Europe/Berlin"),
        Format("addresses", "country", _whole(r"[A-Za-z]{2}"), "two letters of ISO 3166-1 such as DE"),
        Format("photos", "value", _whole(r"(?:https?://|data:image/)[!-~]+"), "the URL of an image file"),
    )
}  # fmt: skip
"""Base schema → its formats (S-53, S-58, S-59)."""


def check_formats(document: JsonObject, stored: JsonObject, urn: str, leniency: Leniency) -> None:
    """Refuse values that do not have the format that base schema gives them, unless they are stored so.

    Raises:
        InvalidValue: naming the attribute or part, and what would be accepted.
    """
    for form in FORMATS.get(urn, ()):
        held = document.get(form.attribute)
        if held is None or held == stored.get(form.attribute):
            continue
        for text in _texts(held, form.part):
            if text and not form.pattern.match(text) and not leniency.accepts(Quirk.ANY_FORMAT):
                name = f"{form.attribute}.{form.part}" if form.part else form.attribute
                raise InvalidValue(
                    f"{name}: {text[:60]!r} will not do; send {form.accepted}", quirk=Quirk.ANY_FORMAT
                )


def _texts(held: object, part: str | None) -> Iterator[str]:
    for value in held if isinstance(held, list) else [held]:
        text = value if part is None else value.get(part) if isinstance(value, dict) else None
        if isinstance(text, str):
            yield text
