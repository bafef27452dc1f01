"""What a service says it can do, read with patience (RFC 7644 §4; client.md 2)."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from rollbook.client.answers import body_of, member
from rollbook.client.transport import HttpResponse
from rollbook.protocol.errors import RequestError, TargetError, TargetRefused
from rollbook.protocol.values import JsonObject, JsonValue

_USUAL_ENDPOINTS: dict[str, str] = {"User": "/Users", "Group": "/Groups"}


@dataclass(frozen=True)
class Capabilities:
    """Features of a service. What it did not say is as most services are: PATCH and filters, no more.

    `endpoints` maps resource type names to paths with a leading slash. `attributes` maps lower-case schema
    URNs to lower-case attribute names; empty if the service does not tell. `problems` says what could not
    be read, for people.
    """

    patch: bool = True
    filter: bool = True
    filter_max_results: int | None = None
    bulk: bool = False
    bulk_operations: int = 50
    """Most operations in one bulk request. Where that or the next is not said, little is taken to be allowed (C-2-04)."""
    bulk_bytes: int = 256 * 1024
    """Most bytes of one bulk request."""
    sort: bool = False
    etag: bool = False
    cursor: bool = False
    """Pages by cursor (RFC 9865)."""
    async_request: str = "none"
    """Who decides that a request is answered before it is done: `none`, `long` (the service) or `request` (RFC 9967 §2.5.1)."""
    endpoints: Mapping[str, str] = field(default_factory=lambda: dict(_USUAL_ENDPOINTS))
    attributes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


Read = Callable[[str], Awaitable[JsonValue]]
"""The JSON under a path."""

Fetch = Callable[[str, Mapping[str, str]], Awaitable[HttpResponse]]
"""The answer under a path, with some headers."""

Adjust = Callable[[Capabilities], Capabilities]
"""What is known better than the service says it."""

FRESH_SECONDS = 24 * 3600.0
"""How long what was read is used before it is asked for again (C-2-01)."""

DOUBT_SECONDS = 600.0
"""How long it is used at least, also where an answer does not fit it."""


class Discovery:
    """What one service says, kept with its ETags and read again after a day, or when an answer did not fit (C-2-01)."""

    def __init__(self, fetch: Fetch, adjust: Adjust, now: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._adjust = adjust
        self._now = now
        self._found: Capabilities | None = None
        self._read_at = 0.0
        self._doubted = False
        self._kept: dict[str, tuple[str | None, JsonValue]] = {}
        self._asking = asyncio.Lock()

    async def capabilities(self, *, again: bool = False) -> Capabilities:
        """What the service can do.

        Raises:
            TargetUnavailable: there was no answer, and nothing is known from before.
        """
        if self._found is not None and not again and not self._is_old():
            return self._found
        async with self._asking:
            if self._found is None or again or self._is_old():
                self._found = self._adjust(await discover(self._read))
                self._read_at, self._doubted = self._now(), False
            return self._found

    def doubt(self) -> None:
        """An answer did not fit what is known."""
        self._doubted = True

    def learn(self, change: Adjust) -> None:
        """Remember what was found out until it is read anew (C-2-05)."""
        if self._found is not None:
            self._found = change(self._found)

    def _is_old(self) -> bool:
        age = self._now() - self._read_at
        return age >= FRESH_SECONDS or (self._doubted and age >= DOUBT_SECONDS)

    async def _read(self, path: str) -> JsonValue:
        """The document, or the one from before if it has not changed or cannot be had now."""
        etag, known = self._kept.get(path, (None, None))
        try:
            answer = await self._fetch(path, {"if-none-match": etag} if etag else {})
            if answer.status == 304:
                return known
            found = body_of(answer)
        except (RequestError, TargetError):
            if known is None:
                raise
            return known
        self._kept[path] = answer.headers.get("etag"), found
        return found


async def discover(read: Read) -> Capabilities:
    """What the three discovery endpoints say; what is missing or broken stays at its usual value (C-2-03).

    Raises:
        TargetUnavailable: there was no answer.
    """
    problems: list[str] = []
    config = _as_object(await _tolerant(read, "/ServiceProviderConfig", problems))
    types = _as_list(await _tolerant(read, "/ResourceTypes", problems))
    schemas = _as_list(await _tolerant(read, "/Schemas", problems))
    usual = Capabilities()
    return Capabilities(
        patch=_supported(config, "patch", usual=usual.patch),
        filter=_supported(config, "filter", usual=usual.filter),
        filter_max_results=_limit(config, "filter", "maxResults"),
        bulk=_supported(config, "bulk", usual=usual.bulk),
        bulk_operations=_limit(config, "bulk", "maxOperations") or usual.bulk_operations,
        bulk_bytes=_limit(config, "bulk", "maxPayloadSize") or usual.bulk_bytes,
        sort=_supported(config, "sort", usual=usual.sort),
        etag=_supported(config, "etag", usual=usual.etag),
        cursor=_has_cursors(config),
        async_request=_async_request(config),
        endpoints={**_USUAL_ENDPOINTS, **_endpoints(types)},
        attributes=_attributes(schemas),
        problems=tuple(problems),
    )


async def _tolerant(read: Read, path: str, problems: list[str]) -> JsonValue:
    try:
        return await read(path)
    except (RequestError, TargetRefused) as error:
        problems.append(f"{path}: {error.detail}")
        return None


def _as_object(value: JsonValue) -> JsonObject:
    """The object itself, or the only one of a list."""
    items = _as_list(value)
    return items[0] if len(items) == 1 else {}


def _as_list(value: JsonValue) -> list[JsonObject]:
    """The objects of a ListResponse, of a bare array, or the bare object."""
    if isinstance(value, dict):
        resources = member(value, "Resources")
        value = resources if isinstance(resources, list) else [value]
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _supported(config: JsonObject, feature: str, *, usual: bool) -> bool:
    section = member(config, feature)
    told = member(section, "supported") if isinstance(section, dict) else None
    return told if isinstance(told, bool) else usual


def _has_cursors(config: JsonObject) -> bool:
    section = member(config, "pagination")
    return isinstance(section, dict) and member(section, "cursor") is True


def _async_request(config: JsonObject) -> str:
    section = member(config, "securityEvents")
    told = member(section, "asyncRequest") if isinstance(section, dict) else None
    known = told.lower() if isinstance(told, str) else ""
    return known if known in {"long", "request"} else "none"


def _limit(config: JsonObject, feature: str, name: str) -> int | None:
    # A limit that is not named is unknown, not absent (C-2-04).
    section = member(config, feature)
    told = member(section, name) if isinstance(section, dict) else None
    return told if isinstance(told, int) and not isinstance(told, bool) and told > 0 else None


def _endpoints(types: list[JsonObject]) -> dict[str, str]:
    pairs = ((member(item, "name"), member(item, "endpoint")) for item in types)
    return {
        name: "/" + endpoint.strip("/")
        for name, endpoint in pairs
        if isinstance(name, str) and isinstance(endpoint, str) and _is_path(endpoint)
    }


def _is_path(endpoint: str) -> bool:
    return endpoint.strip("/") != "" and "//" not in endpoint and not set(endpoint) & set("?#\\ ")


def _attributes(schemas: list[JsonObject]) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for schema in schemas:
        urn, attributes = member(schema, "id"), member(schema, "attributes")
        if isinstance(urn, str) and isinstance(attributes, list):
            names = (member(item, "name") for item in attributes if isinstance(item, dict))
            found[urn.lower()] = frozenset(name.lower() for name in names if isinstance(name, str))
    return found
