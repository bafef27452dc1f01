"""Sending many operations: in bulk requests within the service's limits, one by one where it has no Bulk (client.md 9)."""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence

import orjson

from rollbook.client.answers import body_of, check_done, member
from rollbook.client.bulk import (
    BulkOperation,
    BulkResult,
    id_of,
    in_order,
    matched,
    read_result,
    with_bulk_ids,
)
from rollbook.client.discovery import Capabilities
from rollbook.client.ladder import Ladder
from rollbook.client.results import ScimResource, read_location, read_resource
from rollbook.client.retry import may_repeat
from rollbook.client.transport import HttpResponse
from rollbook.protocol import urns
from rollbook.protocol.errors import (
    InvalidValue,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    RequestError,
    ScimError,
    TargetRefused,
    TargetUnavailable,
    Unauthorized,
    UnsupportedFeature,
)
from rollbook.protocol.values import JsonObject, JsonValue

LookUp = Callable[[str, JsonObject], Awaitable[Sequence[ScimResource] | None]]
"""The resources at an endpoint that are what a document describes; None if that cannot be asked."""

NO_BULK = (MethodNotAllowed, UnsupportedFeature, NotFound)


class BulkRun:
    """One list of operations on its way. `has_bulk` is false in the end where the service turned out to have none."""

    def __init__(
        self,
        ladder: Ladder,
        look_up: LookUp,
        capabilities: Capabilities,
        operations: Sequence[BulkOperation],
        fail_on_errors: int | None,
    ) -> None:
        self._ladder = ladder
        self._look_up = look_up
        self._operations = with_bulk_ids(operations)
        self._most = max(1, capabilities.bulk_operations)
        self._bytes = capabilities.bulk_bytes
        self._fail_on_errors = fail_on_errors
        self.has_bulk = capabilities.bulk
        self._waiting = deque(in_order(self._operations))
        self._makers = {item.bulk_id: at for at, item in enumerate(self._operations) if item.bulk_id}
        self._ids: dict[str, str] = {}
        self._results: dict[int, BulkResult] = {}
        self._repeated: set[int] = set()

    async def run(self) -> tuple[BulkResult, ...]:
        """The result of each operation, in the order they were given.

        Raises:
            RequestError, TargetError: the first request was refused as a whole; nothing is done.
        """
        while self._waiting:
            if self._errors_left() == 0:
                self._leave(TargetRefused("not sent: too many errors before it"))
                break
            chunk = self._next()
            if not chunk:
                continue
            try:
                if self.has_bulk:
                    await self._send(chunk)
                else:
                    await self._single(chunk[0])
            except (RequestError, TargetRefused) as error:
                if not self._results:
                    raise
                self._waiting.extendleft(reversed([at for at in chunk if at not in self._results]))
                self._leave(error)
        return tuple(self._results[at] for at in range(len(self._operations)))

    def _next(self) -> list[int]:
        """Take as many of those that wait as fit into one request (C-9-01)."""
        chunk: list[int] = []
        size = len(orjson.dumps(self._envelope([])))
        most = self._most if self.has_bulk else 1
        while self._waiting and len(chunk) < most:
            at = self._waiting[0]
            resolved = self._operations[at].resolved(self._ids)
            missing = resolved.references() - {self._operations[other].bulk_id for other in chunk}
            lost = {name for name in missing if self._makers.get(name) in self._results}
            if lost:
                self._waiting.popleft()
                self._done(at, BulkResult(resolved, error=_unmade(lost)))
                continue
            size += len(orjson.dumps(resolved.message())) + 1
            if chunk and size > self._bytes:
                break
            chunk.append(self._waiting.popleft())
        return chunk

    async def _send(self, chunk: list[int]) -> None:
        """One bulk request. Cases: 1. larger than is taken; 2. no Bulk there; 3. no answer; 4. results."""
        sent = [self._operations[at].resolved(self._ids) for at in chunk]
        body = self._envelope([item.message() for item in sent])
        if len(chunk) == 1 and len(orjson.dumps(body)) > self._bytes:
            await self._single(chunk[0])
            return
        try:
            answer = await self._ladder.call("POST", "/Bulk", body=body)
        except PayloadTooLarge:
            if len(chunk) == 1:
                await self._single(chunk[0])
                return
            self._most = max(1, len(chunk) // 2)
            self._waiting.extendleft(reversed(chunk))
        except NO_BULK:
            if self._results:
                raise
            self.has_bulk = False
            self._waiting.extendleft(reversed(chunk))
        except TargetUnavailable as error:
            await self._unanswered(chunk, error)
        else:
            document = body_of(answer)
            listed = member(document, "Operations") if isinstance(document, dict) else None
            found = matched(sent, listed if isinstance(listed, list) else [])
            for at, item, one in zip(chunk, sent, found, strict=True):
                self._done(at, read_result(item, one, self._ladder.base_url))

    async def _unanswered(self, chunk: list[int], error: TargetUnavailable) -> None:
        """Ask which creates were carried out, and do the rest once more where that does nothing twice (C-9-04)."""
        again: list[int] = []
        for at in chunk:
            item = self._operations[at].resolved(self._ids)
            known = at in self._repeated or error.http_status == 429
            if item.method == "POST" and error.http_status != 429:
                await self._asked(at, item, error, again)
            elif not known and may_repeat(item.method, item.path, item.data):
                again.append(at)
            else:
                self._done(at, BulkResult(item, error=error))
        if any(at in self._repeated for at in chunk) or not again:
            self._waiting.extendleft(reversed(again))
            self._leave(error)
            return
        self._repeated.update(again)
        self._waiting.extendleft(reversed(again))

    async def _asked(self, at: int, item: BulkOperation, error: TargetUnavailable, again: list[int]) -> None:
        try:
            found = await self._look_up(item.path, item.data or {})
        except ScimError:
            found = None
        if found is not None and len(found) == 1:
            one = found[0]
            self._done(at, BulkResult(item, 200, one.id, one.location, one.version, one.body))
        elif found == () and at not in self._repeated:
            again.append(at)
        else:
            self._done(at, BulkResult(item, error=error))

    async def _single(self, at: int) -> None:
        """The request that an operation stands for."""
        item = self._operations[at].resolved(self._ids)
        if item.references():
            self._done(at, BulkResult(item, error=_unmade(item.references())))
            return
        headers = {} if item.version is None else {"if-match": item.version}
        try:
            answer = await self._ladder.call(item.method, item.path, body=item.data, headers=headers)
            check_done(answer)
            document, etag = body_of(answer), answer.headers.get("etag")
        except TargetUnavailable as error:
            again: list[int] = []
            if item.method == "POST" and error.http_status != 429:
                await self._asked(at, item, error, again)
            if at not in self._results:
                self._done(at, BulkResult(item, error=error))
            if not self._results[at].ok:
                self._leave(error)
        except ScimError as error:
            self._done(at, BulkResult(item, error.status, error=error))
            if isinstance(error, Unauthorized):
                self._leave(error)
        else:
            self._done(at, self._shown(item, answer, document, etag))

    def _shown(
        self, item: BulkOperation, answer: HttpResponse, document: JsonValue, etag: str | None
    ) -> BulkResult:
        """What a single request was answered; one about another resource is no answer (T-66)."""
        location = read_location(answer.headers.get("location"), self._ladder.base_url)
        own_id = id_of(item, location, document)
        if isinstance(document, dict) and member(document, "id") is not None:
            try:
                shown = read_resource(document, self._ladder.base_url, etag)
            except TargetRefused as error:
                return BulkResult(item, answer.status, error=error)
            if shown.id != own_id:
                other = TargetRefused("asked about one resource, the answer is about another")
                return BulkResult(item, answer.status, error=other)
            etag, location = shown.version, shown.location or location
        return BulkResult(item, answer.status, own_id, location, etag, document)

    def _envelope(self, messages: list[JsonObject]) -> JsonObject:
        body: JsonObject = {"schemas": [urns.BULK_REQUEST], "Operations": messages}
        left = self._errors_left()
        return body if left is None else {**body, "failOnErrors": left}

    def _errors_left(self) -> int | None:
        if self._fail_on_errors is None:
            return None
        return max(0, self._fail_on_errors - sum(not one.ok for one in self._results.values()))

    def _done(self, at: int, result: BulkResult) -> None:
        self._results[at] = result
        if result.ok and result.id is not None and result.operation.bulk_id is not None:
            self._ids[result.operation.bulk_id] = result.id

    def _leave(self, error: ScimError) -> None:
        """Send nothing more."""
        for at in self._waiting:
            self._results[at] = BulkResult(self._operations[at], error=error)
        self._waiting.clear()


def _unmade(names: set[str]) -> InvalidValue:
    return InvalidValue(f"not sent: it refers to {', '.join(sorted(names))}, which is not there")
