"""A list query: filter and page, clamped to what the server allows (RFC 7644 §3.4.2.4)."""

import re
from dataclasses import dataclass

from rollbook.protocol.errors import InvalidValue
from rollbook.protocol.resolved import ResolvedFilter
from rollbook.protocol.schema import ResourceType

_NUMBER = re.compile(r"([+-]?)0*([0-9]+)\Z", re.ASCII)


@dataclass(frozen=True)
class Page:
    """A window on the results: `start_index` counts from 1, `count` is the most to return."""

    start_index: int
    count: int


@dataclass(frozen=True)
class Query:
    """What to list: one resource type, matching `filter` (None: all), ordered by creation (A-44)."""

    resource_type: ResourceType
    filter: ResolvedFilter | None
    page: Page


def parse_page(start_index: str | None, count: str | None, *, default: int, most: int) -> Page:
    """The page that two query parameters ask for; out-of-range numbers are brought into range.

    Raises:
        InvalidValue: not a whole number (P-3.4.2.4-10).
    """
    start = 1 if start_index is None else _whole("startIndex", start_index)
    size = default if count is None else _whole("count", count)
    return Page(max(start, 1), min(max(size, 0), most))


def _whole(name: str, text: str) -> int:
    found = _NUMBER.match(text)
    if found is None:
        raise InvalidValue(f"{name} must be a whole number such as 1 or 100, not {text[:40]!r}")
    digits = found[2] if len(found[2]) <= 18 else "9" * 18  # beyond any page, and within 64 bits
    return int(found[1] + digits)
