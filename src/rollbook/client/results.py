"""What calls return, and reading it liberally (client.md 4)."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from rollbook.client.answers import member
from rollbook.client.ladder import joined, same_origin
from rollbook.protocol.errors import TargetRefused
from rollbook.protocol.values import JsonObject, JsonValue

_PLAIN = re.compile(r"/[A-Za-z0-9/_-]+")


class ScimResource(NamedTuple):
    """A resource as the service showed it: `body` is untouched, unknown attributes included (C-4-06).

    A named tuple, since a page has many and these are made three times faster than frozen dataclasses. `base_url` is that of the service.
    """

    id: str
    version: str | None
    base_url: str | None
    body: JsonObject

    @property
    def location(self) -> str | None:
        """Where the service says that the resource is; None if that is somewhere else than at the service itself."""
        meta = self.body.get("meta") or member(self.body, "meta")
        told = (meta.get("location") or member(meta, "location")) if isinstance(meta, dict) else None
        return None if told is None or self.base_url is None else read_location(told, self.base_url)


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page of results. `start_index` is where it begins, `total` what the service counts in all.

    `next_cursor` leads to the next page of a walk by cursor, None at its end.
    """

    total: int
    start_index: int
    resources: tuple[ScimResource, ...]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Created:
    """What `create_once` ended with. `new` is false for a resource that was there before."""

    resource: ScimResource
    new: bool


def read_resource(document: JsonValue, base_url: str, etag: str | None = None) -> ScimResource:
    """A resource from its JSON; the `etag` of the answer is its version if it names none itself.

    Raises:
        TargetRefused: not an object with an id.
    """
    if not isinstance(document, dict):
        raise TargetRefused("the answer is not a resource: a JSON object is due")
    remote_id = document.get("id")
    if type(remote_id) is not str or not remote_id:
        remote_id = _odd_id(member(document, "id"))
    if not 0 < len(remote_id) <= _LONGEST_ID or "\0" in remote_id:
        raise TargetRefused("the answer is not a resource: its id is longer than any, or holds a zero byte")
    meta = document.get("meta") or member(document, "meta")
    version = (meta.get("version") or member(meta, "version")) if isinstance(meta, dict) else None
    return ScimResource(
        remote_id, version if isinstance(version, str) and version else etag, base_url, document
    )


def _odd_id(value: JsonValue) -> str:
    if not isinstance(value, str | int) or isinstance(value, bool) or value == "":
        raise TargetRefused("the answer is not a resource: it has no id")
    return str(value)


def is_id(text: str) -> bool:
    """Whether a text may be the id of a resource: one that a URL has room for and a database can keep (T-66)."""
    return 0 < len(text) <= _LONGEST_ID and "\0" not in text


_LONGEST_ID = 600  # characters; a row of PostgreSQL's index takes 2,700 bytes


def read_location(text: JsonValue, base_url: str) -> str | None:
    """An absolute Location of the same origin; relative ones are completed, foreign ones dropped (C-4-09)."""
    if not isinstance(text, str):
        return None
    if text.startswith(base_url) and _PLAIN.fullmatch(text, len(base_url)):
        return text  # what most say, and there is one in each resource of a page
    if not text.strip('" '):
        return None
    end = text.find("/", len("https://"))
    if text.startswith("http") and end > 0 and not _together(text[:end], base_url):
        return None
    location = joined(base_url + "/", text.strip('" '))
    return location if same_origin(location, base_url) else None


@lru_cache(maxsize=64)
def _together(origin: str, base_url: str) -> bool:
    return same_origin(origin, base_url)


def read_page(document: JsonValue, base_url: str, asked_from: int) -> ListPage:
    """A page of results from a ListResponse, from a bare array, or from one bare resource (C-2-03, C-4-05).

    Raises:
        TargetRefused: none of these.
    """
    if isinstance(document, list):
        found = tuple(read_resource(item, base_url) for item in document)
        return ListPage(len(found), asked_from, found)
    if not isinstance(document, dict):
        raise TargetRefused("the answer is not a list of resources")
    items = member(document, "Resources")
    total = _whole(member(document, "totalResults"))
    if items is None and total is None:
        if member(document, "id") is None:
            raise TargetRefused("the answer is not a list of resources: no totalResults, no Resources")
        return ListPage(1, asked_from, (read_resource(document, base_url),))
    if not isinstance(items, list | None):
        raise TargetRefused("Resources is not an array")
    found = tuple(read_resource(item, base_url) for item in items or ())
    start = _whole(member(document, "startIndex"))
    cursor = member(document, "nextCursor")
    return ListPage(
        asked_from - 1 + len(found) if total is None else max(total, 0),
        start if start is not None and start > 0 else asked_from,
        found,
        cursor if isinstance(cursor, str) and cursor else None,
    )


def _whole(value: JsonValue) -> int | None:
    """A paging number, also as text; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    readable = isinstance(value, str) and len(value) <= 18 and value.isascii() and value.isdigit()
    return int(value) if readable else None
