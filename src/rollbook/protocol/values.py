"""The types of JSON as this package passes them around."""

from typing import Any, Self, TypeAlias

JsonValue: TypeAlias = Any
"""One JSON value: str, int, float, bool, None, list or dict. Any, because it is checked by SCIM schemas."""

JsonObject: TypeAlias = dict[str, JsonValue]
"""One JSON object."""


class Inexact(float):
    """A number of a document that a binary one of 64 bits does not hold exactly; `text` is how it was sent."""

    def __new__(cls, text: str) -> Self:
        """The nearest number that can be held."""
        made = super().__new__(cls, text)
        made.text = text
        return made

    text: str
