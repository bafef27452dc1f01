"""A SCIM service to test clients against: in memory, with faults on demand, recording every request.

Written apart from `rollbook.server` and `rollbook.protocol.patch`, so that a mistake there does not hide a
mistake of the client. Knows the strict forms of RFC 7644 only, which is what our client sends.
"""

import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs

import orjson

from rollbook.protocol import urns
from rollbook.protocol.values import JsonObject, JsonValue
from rollbook.testing.asgi_transport import Message

_TERM = re.compile(r'(?P<name>[\w:.]+?) eq (?P<value>"(?:[^"\\]|\\.)*")')
_PATH = re.compile(
    r'(?:(?P<urn>urn:[\w:.]+):)?(?P<name>\w+)(?:\[value eq (?P<value>"[^"]*")\])?(?:\.(?P<sub>\w+))?\Z'
)
_UNIQUE = {"Users": "userName", "Groups": "displayName"}


@dataclass(frozen=True)
class Recorded:
    """One request as it arrived."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: JsonValue
    raw: bytes

    @property
    def writes(self) -> bool:
        """Whether it could change anything."""
        return self.method != "GET" and not self.path.endswith("/.search")


@dataclass(frozen=True)
class Answer:
    """What the service sends: JSON, or text as it is."""

    status: int
    body: JsonValue = None
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str | None = None


@dataclass
class Fault:
    """An answer in place of the true one, for the next `times` requests of `method` whose path fits.

    `answer` None means no answer at all. `commits` says that the request is carried out nonetheless.
    """

    method: str
    path: str = ""
    answer: Answer | None = None
    commits: bool = False
    times: int = 1


@dataclass(frozen=True)
class Profile:
    """What the service can do, and in which ways it is not as others are."""

    patch: bool = True
    tells_patch: bool = True
    filters: frozenset[str] = frozenset({"userName", "externalId", "displayName"})
    ignores_filters: bool = False
    page_limit: int = 100
    token: str | None = None
    unique: bool = True
    """Whether it refuses a userName or displayName that is taken."""
    silent_create: bool = False
    """Answers 201 without a body."""
    forgets: frozenset[str] = frozenset()
    """Attributes it takes without an error and does not keep."""
    etags: bool = False
    """Counts versions, shows them, and looks at If-Match and If-None-Match."""
    wants_match: bool = False
    """Refuses changes without If-Match."""
    dot_search: bool = False
    bulk_operations: int = 0
    """How many it takes in one bulk request; none means that it has no Bulk."""
    bulk_bytes: int = 1_000_000


class ScriptedTarget:
    """The service: an ASGI application with `/Users`, `/Groups` and discovery under `/v2`."""

    def __init__(self, profile: Profile = Profile()) -> None:
        self.profile = profile
        self.resources: dict[str, dict[str, JsonObject]] = {"Users": {}, "Groups": {}}
        self.requests: list[Recorded] = []
        self.faults: list[Fault] = []
        self.before: Callable[[Recorded], None] = lambda _: None
        """Called with each request before it is carried out; may raise."""
        self.after: Callable[[Recorded], None] = lambda _: None
        """Called when it has been carried out and the answer is not sent yet; may raise."""
        self.hidden: set[str] = set()
        """The ids of resources that no list shows yet."""
        self.versions: dict[str, int] = {}
        self._number = 0

    def add(self, endpoint: str, document: JsonObject) -> str:
        """Put a resource there behind the client's back; returns its id."""
        self._number += 1
        new_id = f"remote-{self._number}"
        self.resources[endpoint][new_id] = {"id": new_id, **deepcopy(document)}
        return new_id

    def named(self, endpoint: str, name: str) -> JsonObject:
        """The resource of that userName or displayName."""
        (found,) = [item for item in self.resources[endpoint].values() if item.get(_UNIQUE[endpoint]) == name]
        return found

    @property
    def writes(self) -> list[Recorded]:
        """The requests so far that could change something."""
        return [request for request in self.requests if request.writes]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The ASGI interface."""
        raw = await _read(receive)
        query = {
            name: values[0]
            for name, values in parse_qs(scope["query_string"].decode(), keep_blank_values=True).items()
        }
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        request = Recorded(
            scope["method"],
            scope["path"].removeprefix("/v2"),
            query,
            headers,
            orjson.loads(raw) if raw else None,
            raw,
        )
        self.requests.append(request)
        self.before(request)
        answer = self._faulty(request)
        self.after(request)
        await _write(send, answer)

    def _faulty(self, request: Recorded) -> Answer:
        fault = next((f for f in self.faults if f.method == request.method and f.path in request.path), None)
        if fault is None:
            return self._answer(request)
        fault.times -= 1
        if fault.times == 0:
            self.faults.remove(fault)
        if fault.commits:
            self._answer(request)
        if fault.answer is None:
            raise ConnectionError("scripted")
        return fault.answer

    def _answer(self, request: Recorded) -> Answer:
        token = self.profile.token
        if token is not None and request.headers.get("authorization") != f"Bearer {token}":
            return error(401, "no such token")
        segments = request.path.strip("/").split("/")
        if segments == ["ServiceProviderConfig"]:
            return self._configuration()
        if segments == ["Bulk"] and self.profile.bulk_operations:
            return self._bulk(request)
        if segments[0] not in self.resources:
            return error(404, f"no endpoint {request.path}")
        if len(segments) == 1:
            return (
                self._create(segments[0], request)
                if request.method == "POST"
                else self._list(segments[0], request)
            )
        if segments[1] == ".search" and self.profile.dot_search:
            query = {name: str(value) for name, value in request.body.items() if name != "schemas"}
            return self._list(segments[0], replace(request, query=query))
        present = self.resources[segments[0]].get(segments[1])
        if present is None:
            return error(404, f"no resource {segments[1]}")
        return self._conditional(segments[0], present, request)

    def _configuration(self) -> Answer:
        if not self.profile.tells_patch:
            return error(404, "not here")
        supported = {"supported": True}
        most, size = self.profile.bulk_operations, self.profile.bulk_bytes
        bulk = {"supported": most > 0, "maxOperations": most, "maxPayloadSize": size}
        patch = {"supported": self.profile.patch}
        return Answer(200, {"patch": patch, "filter": supported, "etag": supported, "bulk": bulk})

    def _conditional(self, endpoint: str, present: JsonObject, request: Recorded) -> Answer:
        """As `_on_resource`, if versions allow it."""
        own_id = present["id"]
        version = f'W/"{self.versions.get(own_id, 0)}"'
        changes, wanted = request.method != "GET", request.headers.get("if-match")
        if self.profile.wants_match and changes and wanted is None:
            return error(428, "say which version")
        if self.profile.etags and changes and wanted not in {None, version}:
            return error(412, f"it is {version}")
        if self.profile.etags and request.headers.get("if-none-match") == version:
            return Answer(304)
        answer = self._on_resource(endpoint, present, request)
        if changes and answer.status == 200:
            self.versions[own_id] = self.versions.get(own_id, 0) + 1
        if self.profile.etags and answer.status == 200:
            meta = {"version": f'W/"{self.versions.get(own_id, 0)}"'}
            return replace(answer, body={**answer.body, "meta": meta})
        return answer

    def _bulk(self, request: Recorded) -> Answer:
        """Each operation as the request it stands for, in order; references to those before it are known."""
        if len(request.raw) > self.profile.bulk_bytes:
            return error(413, "too many bytes")
        if len(request.body["Operations"]) > self.profile.bulk_operations:
            return error(413, "too many operations")
        ids: dict[str, str] = {}
        results: list[JsonObject] = []
        errors = 0
        for item in request.body["Operations"]:
            raw = orjson.dumps(item)
            for name, own_id in ids.items():
                raw = raw.replace(f"bulkId:{name}".encode(), own_id.encode())
            one = orjson.loads(raw)
            headers = {"if-match": one["version"]} if "version" in one else {}
            part = replace(
                request, method=one["method"], path=one["path"], headers=headers, body=one.get("data")
            )
            answer = self._answer(replace(part, headers={**request.headers, **headers}))
            result = {name: one[name] for name in ("method", "bulkId") if name in one}
            result["status"] = str(answer.status)
            if answer.status < 300:
                own_id = (answer.body or {}).get("id", one["path"].rpartition("/")[2])
                ids |= {one["bulkId"]: own_id} if "bulkId" in one else {}
                result["location"] = f"/v2/{one['path'].split('/')[1]}/{own_id}"
            else:
                result["response"] = answer.body
                errors += 1
            results.append(result)
            if errors and errors == request.body.get("failOnErrors"):
                break
        return Answer(200, {"schemas": [urns.BULK_RESPONSE], "Operations": results})

    def _list(self, endpoint: str, request: Recorded) -> Answer:
        found = [item for own, item in self.resources[endpoint].items() if own not in self.hidden]
        text = request.query.get("filter")
        if text is not None and not self.profile.ignores_filters:
            terms = [(m["name"], orjson.loads(m["value"])) for m in _TERM.finditer(text)]
            if not all(name in self.profile.filters for name, _ in terms):
                return error(400, "cannot filter by that", "invalidFilter")
            found = [item for item in found if all(_matches(item, *term) for term in terms)]
        start = int(request.query.get("startIndex", 1))
        count = min(int(request.query.get("count", 100)), self.profile.page_limit)
        page = found[start - 1 : start - 1 + count]
        return Answer(
            200,
            {
                "schemas": [urns.LIST_RESPONSE],
                "totalResults": len(found),
                "startIndex": start,
                "Resources": page,
            },
        )

    def _create(self, endpoint: str, request: Recorded) -> Answer:
        document = self._kept(request.body)
        if self._taken(endpoint, document, None):
            return error(409, f"{_UNIQUE[endpoint]} is in use", "uniqueness")
        new_id = self.add(endpoint, document)
        if self.profile.silent_create:
            return Answer(201)
        return Answer(201, self.resources[endpoint][new_id], {"location": f"/v2/{endpoint}/{new_id}"})

    def _on_resource(self, endpoint: str, present: JsonObject, request: Recorded) -> Answer:
        own_id = present["id"]
        match request.method:
            case "GET":
                return Answer(200, _without(present, request.query.get("excludedAttributes", "").split(",")))
            case "DELETE":
                del self.resources[endpoint][own_id]
                self._leave_groups(own_id)
                return Answer(204)
            case "PUT":
                changed = {"id": own_id, **self._kept(request.body)}
            case "PATCH" if self.profile.patch:
                changed = deepcopy(present)
                try:
                    for operation in request.body["Operations"]:
                        apply_operation(changed, operation)
                except ValueError as reason:
                    return error(400, str(reason), "invalidPath")
                changed = self._kept(changed)
            case _:
                return error(501, f"{request.method} is not offered")
        if self._taken(endpoint, changed, own_id):
            return error(409, f"{_UNIQUE[endpoint]} is in use", "uniqueness")
        self.resources[endpoint][own_id] = changed
        return Answer(200, changed)

    def _kept(self, document: JsonObject) -> JsonObject:
        return _without(document, self.profile.forgets)

    def _taken(self, endpoint: str, document: JsonObject, own_id: str | None) -> bool:
        name = _UNIQUE[endpoint]
        return self.profile.unique and any(
            other != own_id and str(item.get(name)).lower() == str(document.get(name)).lower()
            for other, item in self.resources[endpoint].items()
        )

    def _leave_groups(self, id: str) -> None:
        for group in self.resources["Groups"].values():
            group["members"] = [item for item in group.get("members", []) if item["value"] != id]


def error(status: int, detail: str, scim_type: str | None = None) -> Answer:
    """A SCIM Error."""
    body: JsonObject = {"schemas": [urns.ERROR], "status": str(status), "detail": detail}
    return Answer(status, body | ({"scimType": scim_type} if scim_type else {}))


def html(status: int, headers: Mapping[str, str] | None = None) -> Answer:
    """A page for people where SCIM is due."""
    return Answer(status, None, {"content-type": "text/html", **(headers or {})}, "<html>sorry</html>")


def apply_operation(document: JsonObject, operation: JsonObject) -> None:
    """Carry out one PATCH operation in strict form.

    Raises:
        ValueError: not in a form that is known here.
    """
    found = _PATH.match(operation.get("path", ""))
    if found is None or operation["op"] not in {"add", "replace", "remove"}:
        raise ValueError(f"cannot read {operation.get('op')} {operation.get('path')!r}")
    holder = document.setdefault(found["urn"], {}) if found["urn"] else document
    name = found["name"]
    if found["value"]:
        wanted = orjson.loads(found["value"])
        holder[name] = [item for item in holder.get(name, []) if item["value"] != wanted]
        return
    if found["sub"]:
        holder = holder.setdefault(name, {})
        name = found["sub"]
    if operation["op"] == "remove":
        holder.pop(name, None)
    elif operation["op"] == "add" and isinstance(operation["value"], list):
        present = holder.setdefault(name, [])
        present.extend(item for item in operation["value"] if item not in present)
    else:
        holder[name] = operation["value"]


def _matches(document: JsonObject, name: str, value: str) -> bool:
    return str(document.get(name, "")).lower() == value.lower()


def _without(document: JsonObject, names: Any) -> JsonObject:
    return {name: value for name, value in document.items() if name not in set(names)}


async def _read(receive: Any) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)


async def _write(send: Any, answer: Answer) -> None:
    content = b""
    if answer.text is not None:
        content = answer.text.encode()
    elif answer.body is not None:
        content = orjson.dumps(answer.body)
    headers = {"content-type": "application/scim+json", **answer.headers}
    pairs = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    start: Message = {"type": "http.response.start", "status": answer.status, "headers": pairs}
    await send(start)
    await send({"type": "http.response.body", "body": content})
