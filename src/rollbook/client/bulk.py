"""Many changes in few requests (RFC 7644 §3.7; client.md 9): what goes into one, and what its answer says.

`BulkOperation` and `BulkResult` are what callers give and get; `bulk_run.py` sends.
"""

import re
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self
from urllib.parse import quote, unquote

from rollbook.client.answers import member, one_line
from rollbook.client.changes import for_writing
from rollbook.client.results import is_id, read_location
from rollbook.protocol import urns
from rollbook.protocol.errors import BY_SCIM_TYPE, BY_STATUS, RequestError, ScimError, TargetRefused
from rollbook.protocol.values import JsonObject, JsonValue

_REFERENCE = re.compile(r"bulkId:([^/\"]+)")


@dataclass(frozen=True, slots=True)
class BulkOperation:
    """One change. Data and paths may refer to a resource that another operation creates, as `bulkId:` and its `bulk_id`."""

    method: str
    path: str
    data: JsonObject | None = field(default=None, repr=False)
    bulk_id: str | None = None
    version: str | None = None

    @classmethod
    def create(cls, endpoint: str, document: JsonObject, bulk_id: str | None = None) -> Self:
        """POST; the service's `id` and `meta` are left out. Without a `bulk_id` it gets one when it is sent."""
        return cls("POST", endpoint, for_writing(document), bulk_id)

    @classmethod
    def replace(cls, endpoint: str, id: str, document: JsonObject, version: str | None = None) -> Self:
        """PUT, only onto that version if one is given."""
        return cls("PUT", _path(endpoint, id), for_writing(document), version=version)

    @classmethod
    def patch(
        cls, endpoint: str, id: str, operations: Sequence[JsonObject], version: str | None = None
    ) -> Self:
        """PATCH, as a whole PatchOp message (C-9-02)."""
        message: JsonObject = {"schemas": [urns.PATCH_OP], "Operations": list(operations)}
        return cls("PATCH", _path(endpoint, id), message, version=version)

    @classmethod
    def delete(cls, endpoint: str, id: str, version: str | None = None) -> Self:
        """DELETE."""
        return cls("DELETE", _path(endpoint, id), version=version)

    def references(self) -> set[str]:
        """The bulkIds it speaks of, other than its own."""
        found = set(_REFERENCE.findall(self.path))
        for text in _texts(self.data):
            if text.startswith("bulkId:"):
                found.add(text.removeprefix("bulkId:"))
        return found - {self.bulk_id}

    def resolved(self, ids: Mapping[str, str]) -> "BulkOperation":
        """The same with the ids that are known by now in place of references."""
        path = _REFERENCE.sub(
            lambda found: quote(ids[found[1]], safe="") if found[1] in ids else found[0], self.path
        )
        return replace(self, path=path, data=_replaced(self.data, ids))

    def message(self) -> JsonObject:
        """As it stands in a request."""
        found: JsonObject = {"method": self.method, "path": self.path}
        more = (("bulkId", self.bulk_id), ("version", self.version), ("data", self.data))
        return found | {name: value for name, value in more if value is not None}


@dataclass(frozen=True, slots=True)
class BulkResult:
    """What became of one operation. `error` is None if it was done; `status` None if the service said nothing about it.

    A create whose answer was lost, and that a query found afterwards, has status 200.
    """

    operation: BulkOperation
    status: int | None = None
    id: str | None = None
    location: str | None = None
    version: str | None = None
    body: JsonValue = None
    error: ScimError | None = None

    @property
    def ok(self) -> bool:
        """Whether it was done."""
        return self.error is None


def with_bulk_ids(operations: Iterable[BulkOperation]) -> list[BulkOperation]:
    """The operations, each POST with a bulkId of its own (C-9-02).

    Raises:
        ValueError: one bulkId stands twice.
    """
    listed = list(operations)
    taken = [item.bulk_id for item in listed if item.bulk_id is not None]
    if len(taken) != len(set(taken)):
        raise ValueError("each bulk_id may be given once only")
    free = (name for name in map("o{}".format, range(len(listed) * 2 + 1)) if name not in set(taken))
    return [
        replace(item, bulk_id=next(free)) if item.method == "POST" and item.bulk_id is None else item
        for item in listed
    ]


def in_order(operations: Sequence[BulkOperation]) -> list[int]:
    """Their numbers, those that are referred to before those that refer to them; rings stay as they are (C-9-06)."""
    makers = {item.bulk_id: at for at, item in enumerate(operations) if item.bulk_id is not None}
    order: list[int] = []
    begun: set[int] = set()
    for first in range(len(operations)):
        waiting = [(first, False)]
        while waiting:
            at, ready = waiting.pop()
            if ready:
                order.append(at)
            elif at not in begun:
                begun.add(at)
                waiting.append((at, True))
                needed = sorted(makers[name] for name in operations[at].references() if name in makers)
                waiting += [(other, False) for other in reversed(needed) if other not in begun]
    return order


def matched(sent: Sequence[BulkOperation], answers: Sequence[JsonValue]) -> list[JsonObject | None]:
    """The result of each operation: by bulkId, else by method and place, else by position; None for those without (C-9-03)."""
    found: list[JsonObject | None] = [None] * len(sent)
    left = {at: item for at, item in enumerate(answers) if isinstance(item, dict)}
    by_id = {item.bulk_id: at for at, item in enumerate(sent) if item.bulk_id is not None}
    places: dict[tuple[str, str], deque[int]] = defaultdict(deque)
    for at, item in enumerate(sent):
        if item.bulk_id is None:
            places[item.method, _place(item.path)].append(at)
    for number, answer in list(left.items()):
        told = member(answer, "bulkId")
        place = by_id.get(told) if isinstance(told, str) else None
        if place is None:
            place = _placed(answer, places)
        if place is not None and found[place] is None:
            found[place] = left.pop(number)
    for number, answer in left.items():
        same = number < len(sent) and found[number] is None and not _names_another(answer, sent[number])
        if same:
            found[number] = answer
    return found


def read_result(operation: BulkOperation, answer: JsonObject | None, base_url: str) -> BulkResult:
    """What a service says about one operation; no answer means that it was not done (C-4-04, C-9-05)."""
    if answer is None:
        return BulkResult(operation, error=TargetRefused("not done: the service stopped before it"))
    status = _status(member(answer, "status"))
    body, location = member(answer, "response"), read_location(member(answer, "location"), base_url)
    version = member(answer, "version")
    good = status is not None and 200 <= status < 300
    return BulkResult(
        operation,
        status,
        id_of(operation, location, body if good else None),
        location,
        version if isinstance(version, str) else None,
        body,
        None if good else _error(status, body),
    )


def _error(status: int | None, body: JsonValue) -> ScimError:
    detail = member(body, "detail") if isinstance(body, dict) else None
    scim_type = member(body, "scimType") if isinstance(body, dict) else None
    words = one_line(detail) if isinstance(detail, str) and detail else f"status {status}"
    if status is None or (status >= 500 and status != 501):
        return TargetRefused(words, http_status=status)
    known = BY_SCIM_TYPE.get(scim_type) if isinstance(scim_type, str) else None
    if known is None or known.status != status:
        known = BY_STATUS.get(status, RequestError)
    return known(words)


def _status(value: JsonValue) -> int | None:
    if isinstance(value, dict):
        value = member(value, "code")
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) == 3:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _placed(answer: JsonObject, places: Mapping[tuple[str, str], deque[int]]) -> int | None:
    """The operation that an answer names by its path, or by its location."""
    method = str(member(answer, "method")).upper()
    for told in (member(answer, "path"), member(answer, "location")):
        waiting = places.get((method, _place(told))) if isinstance(told, str) else None
        if waiting:
            return waiting.popleft()
    return None


def _place(text: str) -> str:
    """The end of a path or URL: endpoint and id."""
    return "/".join(text.rstrip("/").split("/")[-2:])


def _names_another(answer: JsonObject, operation: BulkOperation) -> bool:
    method, bulk_id, place = (member(answer, name) for name in ("method", "bulkId", "location"))
    return (
        (isinstance(method, str) and method.upper() != operation.method)
        or (bulk_id is not None and bulk_id != operation.bulk_id)
        or (isinstance(place, str) and _has_id(operation) and _last(place) != _last(operation.path))
    )


def id_of(operation: BulkOperation, location: str | None, body: JsonValue) -> str | None:
    """The id of a resource: of a new one as the service says it, of others as we said it."""
    if _has_id(operation):
        return unquote(operation.path.rpartition("/")[2])
    shown = member(body, "id") if isinstance(body, dict) else None
    told = str(shown) if isinstance(shown, str | int) else _last(location)
    return told if told is not None and is_id(told) else None


def _has_id(operation: BulkOperation) -> bool:
    return operation.method != "POST" and "bulkId:" not in operation.path


def _last(location: str | None) -> str | None:
    return unquote(location.rstrip("/").rpartition("/")[2]) if location else None


def _path(endpoint: str, id: str) -> str:
    if id in {"", ".", ".."}:
        raise ValueError(f"{id!r} cannot be the id of a resource")
    return f"{endpoint}/{id if id.startswith('bulkId:') else quote(id, safe='')}"


def _texts(value: JsonValue) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)


def _replaced(value: JsonValue, ids: Mapping[str, str]) -> JsonValue:
    if isinstance(value, str) and value.startswith("bulkId:"):
        return ids.get(value.removeprefix("bulkId:"), value)
    if isinstance(value, dict):
        return {name: _replaced(part, ids) for name, part in value.items()}
    if isinstance(value, list):
        return [_replaced(part, ids) for part in value]
    return value
