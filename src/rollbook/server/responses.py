"""HTTP out: records become bytes, results become status, headers and body.

A stored body is sent as it lies, with id, meta and derived attributes joined to it (architecture §1);
only a projection makes it a document again.
"""

import re
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import quote

import orjson

from rollbook.protocol.catalog import Catalog
from rollbook.protocol.compare import render_date_time
from rollbook.protocol.projection import Projection, join_stored, project
from rollbook.protocol.references import Complete, Reference
from rollbook.protocol.resource import Member
from rollbook.protocol.schema import ResourceType
from rollbook.protocol.values import JsonObject, JsonValue
from rollbook.server.requests import SCIM, Message, Send
from rollbook.storage.base import Record
from rollbook.storage.packed import PackedMembers

_PLAIN = re.compile(r"[A-Za-z0-9-]+\Z", re.ASCII)

Stream: TypeAlias = AsyncGenerator[bytes, None]
"""The parts of a body that is sent while it is made, so that it is never held as a whole."""


@dataclass(slots=True)
class Answer:
    """Status, headers beside Content-Type and Content-Length, and body; no body at all if None.

    A stream is closed whatever happens. What it raises before its first part is answered like any error; later
    it can only cut the connection, so that the client sees a body without its end.
    """

    status: int
    body: bytes | Stream | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    media_type: str | None = None
    """What the body is; None for what the request accepts."""


async def send_answer(send: Send, answer: Answer, media_type: str = SCIM, *, head: bool = False) -> None:
    """Send an answer; to HEAD without its body."""
    body = answer.body
    headers = [*answer.headers]
    if body is not None:
        headers.append((b"content-type", (answer.media_type or media_type).encode()))
    start = {"type": "http.response.start", "status": answer.status, "headers": headers}
    if body is not None and not isinstance(body, bytes):
        async with aclosing(body):
            await _send_stream(send, start, body, head=head)
        return
    if body is not None:
        headers.append((b"content-length", str(len(body)).encode()))
    await send(start)
    await send({"type": "http.response.body", "body": b"" if head or body is None else body})


async def _send_stream(send: Send, start: Message, body: Stream, *, head: bool) -> None:
    part = await anext(body, None)
    await send(start)
    while part is not None and not head:
        await send({"type": "http.response.body", "body": part, "more_body": True})
        part = await anext(body, None)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def dump(value: JsonValue) -> bytes:
    """JSON in the form it is sent in."""
    return orjson.dumps(value)


@dataclass(frozen=True, slots=True)
class Site:
    """Where a tenant is served: the absolute URI issued URIs start with, its catalog, and whether versions are shown."""

    base: str
    catalog: Catalog
    etags: bool = True
    _homes: dict[str, str] = field(default_factory=dict, compare=False, repr=False)

    def location(self, type_name: str, id: str) -> str:
        """The permanent URI of a resource (P-1.3-03)."""
        home = self._homes.get(type_name)
        if home is None:
            resource_type = self.catalog.resource_type(type_name)
            endpoint = resource_type.endpoint if resource_type else "/" + type_name
            home = self._homes[type_name] = f"{self.base}{endpoint}/"
        # Ids are ours and plain; only a foreign one, in another's store, could need an escape.
        return home + (id if _PLAIN.match(id) else quote(id, safe=""))


def resource_headers(record: Record, site: Site) -> tuple[tuple[bytes, bytes], ...]:
    """ETag, Location and Content-Location of an answer about one resource (A-46, P-3.14-02)."""
    uri = site.location(record.resource_type, record.id).encode("ascii")
    where = (b"location", uri), (b"content-location", uri)
    return ((b"etag", record.version.encode("ascii")), *where) if site.etags else where


def resource_bytes(
    record: Record, resource_type: ResourceType, site: Site, *, everything: bool = False
) -> bytes:
    """The resource in default projection, without parsing what is stored; or with `everything` that is joined to that."""
    own = _own(record, resource_type, site, everything=everything)
    if not (record.members or record.groups):
        return own + b"}"
    return b"".join((own, *_joined(record, resource_type, site, everything=everything), b"}"))


def _parts(record: Record, resource_type: ResourceType, site: Site) -> Iterator[bytes]:
    """The same some at a time."""
    yield _own(record, resource_type, site, everything=False)
    yield from _joined(record, resource_type, site, everything=False)
    yield b"}"


def _own(record: Record, resource_type: ResourceType, site: Site, *, everything: bool) -> bytes:
    """What is stored with the resource, id and meta, up to the brace that ends it."""
    body = record.body
    if record.referred and not everything:
        body = resource_type.references.completed(
            body, _completion(record.referred, site, hidden=False), dump
        )
    return b'%b,"id":%b,"meta":%b' % (body[:-1], orjson.dumps(record.id), _meta(record, site))


def _joined(record: Record, resource_type: ResourceType, site: Site, *, everything: bool) -> Iterator[bytes]:
    """The members and groups of a record as JSON members, each behind a comma."""
    for name, others, render in (
        (resource_type.memberships, record.members, _members),
        (resource_type.derived, record.groups, _groups),
    ):
        path = resource_type.find(name) if others and name else None
        if others and path and (everything or not path.attribute.is_hidden):
            shown = path.attribute.parts if everything else path.attribute.open_parts
            yield b',"%b":' % path.attribute.name.encode()
            yield from render(others, shown, site)


def resource_document(record: Record, resource_type: ResourceType, site: Site) -> JsonObject:
    """The resource with everything stored of it, as a document: what projection and filters look at."""
    document: JsonObject = orjson.loads(resource_bytes(record, resource_type, site, everything=True))
    if record.extra is not None:
        document = join_stored(document, orjson.loads(record.extra))
    if record.referred:
        resource_type.references.complete(document, _completion(record.referred, site, hidden=True))
    return document


def projected_bytes(
    record: Record,
    resource_type: ResourceType,
    site: Site,
    projection: Projection,
    written: frozenset[str] = frozenset(),
) -> bytes:
    """The resource as the projection wants it; `written` are paths this request wrote (A-78)."""
    if _is_sent_as_it_lies(record, resource_type, projection, written):
        return resource_bytes(record, resource_type, site)
    document = resource_document(record, resource_type, site)
    return orjson.dumps(project(document, resource_type, projection, written))


def _is_sent_as_it_lies(
    record: Record, resource_type: ResourceType, projection: Projection, written: frozenset[str]
) -> bool:
    return projection.is_default and not (
        written and (record.extra is not None or resource_type.hides_members)
    )


def projected_parts(
    record: Record,
    resource_type: ResourceType,
    site: Site,
    projection: Projection,
    written: frozenset[str] = frozenset(),
) -> Iterator[bytes]:
    """The bytes of `projected_bytes` some at a time, for what is too large to be made at once."""
    if _is_sent_as_it_lies(record, resource_type, projection, written):
        yield from _parts(record, resource_type, site)
    else:
        yield projected_bytes(record, resource_type, site, projection, written)


def is_large(record: Record) -> bool:
    """Whether a resource is sent in parts."""
    return isinstance(record.members, PackedMembers)


async def stream(parts: Iterator[bytes]) -> Stream:
    """A body of those parts; each is made when those before it are on their way."""
    for part in parts:
        yield part


def _completion(referred: Mapping[str, Member], site: Site, *, hidden: bool) -> Complete:
    """What the server makes of an id in a reference: where the resource is, and what labels it."""

    def complete(reference: Reference, identifier: str) -> JsonObject:
        found = referred.get(identifier)
        if found is None or found.type is None or found.type not in reference.types:
            return {}
        made = {"$ref": site.location(found.type, found.value), reference.label: found.display}
        shown = reference.path.attribute.parts if hidden else reference.path.attribute.open_parts
        return {name: part for name, part in made.items() if name in shown and part is not None}

    return complete


def _meta(record: Record, site: Site) -> bytes:
    created = render_date_time(record.created)
    is_new = record.modified == record.created
    meta = {
        "resourceType": record.resource_type,
        "created": created,
        "lastModified": created if is_new else render_date_time(record.modified),
        "location": site.location(record.resource_type, record.id),
    }
    if site.etags:
        meta["version"] = record.version
    return orjson.dumps(meta)


def _members(members: Sequence[Member], parts: frozenset[str], site: Site) -> Iterator[bytes]:
    if not isinstance(members, PackedMembers):
        yield orjson.dumps([_reference(member, member.type, parts, site) for member in members])
        return
    before = b"["
    for page in members.pages():
        yield before + orjson.dumps([_reference(member, member.type, parts, site) for member in page])[1:-1]
        before = b","
    yield b"]"


def _groups(groups: Sequence[Member], parts: frozenset[str], site: Site) -> Iterator[bytes]:
    yield orjson.dumps([_reference(group, group.way, parts, site) for group in groups])


def _reference(member: Member, type: str | None, parts: frozenset[str], site: Site) -> JsonObject:
    """A member or group with those of the parts that are shown."""
    out: JsonObject = {"value": member.value}
    if member.type is None:  # outside the caller's bound: nothing is told but the id that stands here (T-19)
        return out
    if "$ref" in parts:
        out["$ref"] = site.location(member.type, member.value)
    if "display" in parts and member.display is not None:
        out["display"] = member.display
    if "type" in parts:
        out["type"] = type
    return out
