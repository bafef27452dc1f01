"""HTTP out: records become bytes, results become status, headers and body.

A stored body is sent as it lies, with id, meta and derived attributes joined to it (architecture §1);
only a projection makes it a document again.
"""

import re
from dataclasses import dataclass
from urllib.parse import quote

import orjson

from rollbook.protocol.catalog import Catalog
from rollbook.protocol.compare import render_date_time
from rollbook.protocol.projection import Projection, join_stored, project
from rollbook.protocol.resource import Member
from rollbook.protocol.schema import ResourceType
from rollbook.protocol.values import JsonObject, JsonValue
from rollbook.server.requests import SCIM, Send
from rollbook.storage.base import Record

_PLAIN = re.compile(r"[A-Za-z0-9-]+\Z", re.ASCII)


@dataclass(slots=True)
class Answer:
    """Status, headers beside Content-Type and Content-Length, and body; no body at all if None."""

    status: int
    body: bytes | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    media_type: str | None = None
    """What the body is; None for what the request accepts."""


async def send_answer(send: Send, answer: Answer, media_type: str = SCIM, *, head: bool = False) -> None:
    """Send an answer; to HEAD without its body."""
    body = answer.body
    headers = [*answer.headers]
    if body is not None:
        headers += [
            (b"content-type", (answer.media_type or media_type).encode()),
            (b"content-length", str(len(body)).encode()),
        ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head or body is None else body})


def dump(value: JsonValue) -> bytes:
    """JSON in the form it is sent in."""
    return orjson.dumps(value)


@dataclass(frozen=True, slots=True)
class Site:
    """Where a tenant is served: the absolute URI issued URIs start with, its catalog, and whether versions are shown."""

    base: str
    catalog: Catalog
    etags: bool = True

    def location(self, type_name: str, id: str) -> str:
        """The permanent URI of a resource (P-1.3-03)."""
        resource_type = self.catalog.resource_type(type_name)
        endpoint = resource_type.endpoint if resource_type else "/" + type_name
        # Ids are ours and plain; only a foreign one, in another's store, could need an escape.
        return f"{self.base}{endpoint}/{id if _PLAIN.match(id) else quote(id, safe='')}"


def resource_headers(record: Record, site: Site) -> tuple[tuple[bytes, bytes], ...]:
    """ETag, Location and Content-Location of an answer about one resource (A-46, P-3.14-02)."""
    uri = site.location(record.resource_type, record.id).encode("ascii")
    where = (b"location", uri), (b"content-location", uri)
    return ((b"etag", record.version.encode("ascii")), *where) if site.etags else where


def resource_bytes(
    record: Record, resource_type: ResourceType, site: Site, *, labels: bool | None = None
) -> bytes:
    """The resource in default projection, without parsing what is stored; `labels` says whether with `display`."""
    labels = resource_type.shows_labels if labels is None else labels
    parts = [record.body[:-1], b',"id":', orjson.dumps(record.id), b',"meta":', _meta(record, site)]
    if record.members:
        parts += [
            b',"',
            str(resource_type.memberships).encode(),
            b'":',
            _members(record.members, site, labels),
        ]
    if record.groups:
        parts += [b',"', str(resource_type.derived).encode(), b'":', _groups(record.groups, site, labels)]
    parts.append(b"}")
    return b"".join(parts)


def resource_document(record: Record, resource_type: ResourceType, site: Site) -> JsonObject:
    """The resource with everything stored of it, as a document: what projection and filters look at."""
    document: JsonObject = orjson.loads(resource_bytes(record, resource_type, site, labels=True))
    if record.extra is not None:
        document = join_stored(document, orjson.loads(record.extra))
    return document


def projected_bytes(
    record: Record,
    resource_type: ResourceType,
    site: Site,
    projection: Projection,
    written: frozenset[str] = frozenset(),
) -> bytes:
    """The resource as the projection wants it; `written` are paths this request wrote (A-78)."""
    if projection.is_default and not (written and record.extra is not None):
        return resource_bytes(record, resource_type, site)
    document = resource_document(record, resource_type, site)
    return orjson.dumps(project(document, resource_type, projection, written))


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


def _members(members: tuple[Member, ...], site: Site, labels: bool) -> bytes:
    return orjson.dumps([_reference(member, site, labels) | {"type": member.type} for member in members])


def _groups(groups: tuple[Member, ...], site: Site, labels: bool) -> bytes:
    return orjson.dumps([_reference(group, site, labels) | {"type": "direct"} for group in groups])


def _reference(member: Member, site: Site, labels: bool) -> JsonObject:
    out: JsonObject = {"value": member.value, "$ref": site.location(member.type or "", member.value)}
    if labels and member.display is not None:
        out["display"] = member.display
    return out
