"""The types of JSON as this package passes them around."""

from typing import Any, Self, TypeAlias

JsonValue: TypeAlias = Any
"""One JSON value: str, int, float, bool, None, list or dict. Any, because it is checked by SCIM schemas."""

JsonObject: TypeAlias = dict[str, JsonValue]
"""One JSON object."""


HEAVY = 500
"""Values in a body, or in what is stored, from which on work on it takes more than a moment."""


def is_heavy(value: JsonValue) -> bool:
    """Whether a JSON value has `HEAVY` values in it, or more; looks at no more than these."""
    number, left = 0, [value] if isinstance(value, dict | list) else []
    while left:
        one = left.pop()
        number += len(one)
        if number >= HEAVY:
            return True
        left += [
            each for each in (one.values() if isinstance(one, dict) else one) if isinstance(each, dict | list)
        ]
    return False


class Inexact(float):
    """A number of a document that a binary one of 64 bits does not hold exactly; `text` is how it was sent."""

    def __new__(cls, text: str) -> Self:
        """The nearest number that can be held."""
        made = super().__new__(cls, text)
        made.text = text
        return made

    text: str
