"""ScimClient: the operations of RFC 7644 as methods.

Raises the error classes the server answers with. Repeats a call only by the `Retry` it is given, and where doing it twice does no harm.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

from rollbook.client.answers import body_of, check_done, member
from rollbook.client.authentication import Authentication, Bearer
from rollbook.client.bulk import BulkOperation, BulkResult
from rollbook.client.bulk_run import BulkRun
from rollbook.client.calls import NOT_OFFERED, OTHER_FORM, Calls
from rollbook.client.changes import for_writing, member_operations, patch_operations
from rollbook.client.discovery import Adjust, Capabilities
from rollbook.client.ladder import MEDIA_TYPE, Ladder
from rollbook.client.once import create_once, look_up
from rollbook.client.paging import CursorWalk, Walk
from rollbook.client.results import (
    Created,
    ListPage,
    ScimResource,
    read_page,
)
from rollbook.client.retry import Retry, Retrying
from rollbook.client.transport import DEFAULT_LIMITS, Limits, PyqwestTransport, Transport
from rollbook.protocol import urns
from rollbook.protocol.compare import prepare
from rollbook.protocol.errors import (
    Conflict,
    NotFound,
    PreconditionFailed,
    TargetRefused,
    TooMany,
    Uniqueness,
)
from rollbook.protocol.filters import And, Compare, Filter, Name, Operator, render
from rollbook.protocol.values import JsonObject, JsonValue

_FIND_COUNT = 10  # more than one match is already one too many
_MOST_LOOKED_THROUGH = (
    10_000  # resources of a service that ignores filters: for one person a hundred pages are enough
)
_R = TypeVar("_R", bound=ScimResource | None)
_MEMBERS_PER_CALL = 100  # what the narrowest well-known service takes (C-6-07)
_LOST_RACES = 3  # C-6-11

MATCH_BY = ("externalId", "userName", "displayName")
"""What a resource is looked for by before it is created, in order."""

Change = Callable[[JsonObject], JsonObject]
"""The wanted document of the present one, which it may alter and give back."""


class ScimClient:
    """A client of one SCIM service, given by its base URL; an asynchronous context manager.

    `endpoint` arguments are paths such as `/Users`; `Capabilities.endpoints` tells those of a service.
    """

    def __init__(
        self,
        base_url: str,
        authentication: Authentication | str | None = None,
        *,
        transport: Transport | None = None,
        limits: Limits = DEFAULT_LIMITS,
        insecure_http: bool = False,
        retry: Retry | None = None,
        capabilities: Capabilities | Adjust | None = None,
        media_type: str = MEDIA_TYPE,
        search_by_post: bool = False,
        respond_async: bool = False,
    ) -> None:
        """`authentication` given as text is a bearer token. Nothing is tried again without a `retry`.

        `capabilities` are what is known of the service, which is then not asked, or a function of what it says that
        corrects it. With `search_by_post` no query goes into a URL, where the service has `.search` (C-1-07); with `respond_async` it
        may carry out changes later, and such calls raise `TargetPending` (RFC 9967 §2.5.1).

        Raises:
            ValueError: the base URL is not one that credentials may be sent to.
        """
        if isinstance(authentication, str):
            authentication = Bearer(authentication)
        ladder = Ladder(
            base_url,
            authentication,
            transport or PyqwestTransport(limits),
            insecure_http=insecure_http,
            media_type=media_type,
            retrying=None if retry is None else Retrying(retry),
        )
        self._calls = Calls(ladder, capabilities, search_by_post=search_by_post, respond_async=respond_async)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of all connections."""
        await self._calls.ladder.close()

    async def discover(self, *, again: bool = False) -> Capabilities:
        """What the service can do; missing and broken answers are stepped over (C-2-03).

        It is asked once a day (C-2-01), sooner after answers that did not fit, and at once if `again` is said.
        """
        return await self._calls.capabilities(again=again)

    async def create(self, endpoint: str, document: JsonObject) -> ScimResource:
        """Create a resource (RFC 7644 §3.3); its `id` and `meta` are the service's to say and are left out (C-3-03).

        Raises:
            Uniqueness: there is one like it.
            TargetUnavailable: also when it was created without a word about its id: look it up (C-4-07).
        """
        return (await self._calls.create(endpoint, document)).resource

    async def create_once(
        self, endpoint: str, document: JsonObject, *, by: Sequence[str] = MATCH_BY
    ) -> Created:
        """The resource that a document describes, which is there once afterwards, whatever happens on the way (client.md 5).

        Looks for it by each of `by` in turn before it creates it, and again if the service says that there is one like it, or says
        nothing. One that was there is given back as it is: whether it may be taken over is for the caller to say.

        Raises:
            Conflict: several are like it; or one is, and no query shows it.
            TargetUnavailable: no answer, and no way to find out what became of it.
        """
        return await create_once(
            self._finder(endpoint), lambda: self._calls.create(endpoint, document), document, by
        )

    async def get(
        self,
        endpoint: str,
        id: str,
        *,
        attributes: Sequence[str] = (),
        excluded_attributes: Sequence[str] = (),
        known: ScimResource | None = None,
    ) -> ScimResource:
        """Read a resource (RFC 7644 §3.4.1); give at most one of the two lists (C-3-07).

        `known` is given back itself if it has not changed since: then nothing was sent but that (RFC 7644 §3.14).

        Raises:
            NotFound: the service says, in a SCIM Error, that there is none.
            TargetRefused: the answer is another resource.
        """
        query = _projection(attributes, excluded_attributes)
        return _same(await self._calls.get(_path(endpoint, id), query, known), id)

    async def replace(
        self, endpoint: str, id: str, document: JsonObject, *, if_match: str | None = None
    ) -> ScimResource | None:
        """Replace a resource (RFC 7644 §3.5.1); what it is now, if the service says so."""
        return await self._change("PUT", endpoint, id, for_writing(document), if_match)

    async def patch(
        self, endpoint: str, id: str, operations: Sequence[JsonObject], *, if_match: str | None = None
    ) -> ScimResource | None:
        """Change a resource by PATCH operations (RFC 7644 §3.5.2); what it is now, if the service says so."""
        message: JsonObject = {"schemas": [urns.PATCH_OP], "Operations": list(operations)}
        return await self._change("PATCH", endpoint, id, message, if_match)

    async def update(self, endpoint: str, id: str, change: Change) -> ScimResource:
        """Read a resource, let `change` say what it should be, and send the difference, if there is one.

        By PATCH where the service has it, by PUT otherwise (C-6-01); where it has ETags only onto the version that was read. If
        somebody else was quicker, it is read and changed again, three times at most (C-6-11): `change` may be called several times.

        Raises:
            PreconditionFailed, Conflict: others were quicker each time.
        """
        for lost in range(_LOST_RACES + 1):
            present = await self.get(endpoint, id)
            wanted = change(deepcopy(present.body))
            try:
                return await self._bring(endpoint, present, wanted)
            except Uniqueness:
                raise
            except (PreconditionFailed, Conflict):
                if lost == _LOST_RACES:
                    raise
        raise AssertionError  # the last round returns or raises

    async def change_members(
        self, endpoint: str, id: str, *, add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> None:
        """Add and remove members of a group by id, a hundred in one request at most (C-6-07)."""
        for at in range(0, len(remove), _MEMBERS_PER_CALL):
            await self.patch(endpoint, id, member_operations((), remove[at : at + _MEMBERS_PER_CALL]))
        for at in range(0, len(add), _MEMBERS_PER_CALL):
            await self.patch(endpoint, id, member_operations(add[at : at + _MEMBERS_PER_CALL], ()))

    async def delete(self, endpoint: str, id: str, *, if_match: str | None = None) -> int:
        """Delete a resource (RFC 7644 §3.6); the status of the answer: 204, or another one of success that says less."""
        answer = await self._calls.write("DELETE", _path(endpoint, id), None, if_match)
        check_done(answer)
        return answer.status

    async def bulk(
        self, operations: Iterable[BulkOperation], *, fail_on_errors: int | None = None
    ) -> tuple[BulkResult, ...]:
        """Carry out many operations in few requests (RFC 7644 §3.7; client.md 9); look at each result.

        They are split by what the service takes, and go one by one where it has no Bulk. After `fail_on_errors` errors the rest is left out.
        Where an answer is lost, creates are looked for before they are sent again, and what cannot be repeated has an error.

        Raises:
            RequestError, TargetError: the first request was refused as a whole, and nothing was done.
            ValueError: a bulk_id stands twice.
        """
        capabilities = await self.discover()
        run = BulkRun(self._calls.ladder, self._like, capabilities, list(operations), fail_on_errors)
        results = await run.run()
        if capabilities.bulk and not run.has_bulk:
            self._calls.learn(bulk=False)
        return results

    async def search(
        self,
        endpoint: str,
        filter: Filter | str | None = None,
        *,
        start_index: int = 1,
        cursor: str | None = None,
        count: int = 100,
        attributes: Sequence[str] = (),
        excluded_attributes: Sequence[str] = (),
    ) -> ListPage:
        """One page of matches (RFC 7644 §3.4.2); by POST if the service finds the query too personal (C-1-07).

        With a `cursor`, empty for the first page, the page it leads to (RFC 9865 §2).
        """
        place: JsonObject = {"startIndex": start_index} if cursor is None else {"cursor": cursor}
        message = {**place, "count": count, **_projection(attributes, excluded_attributes)}
        if filter is not None:
            message["filter"] = filter if isinstance(filter, str) else render(filter)
        return read_page(
            body_of(await self._calls.query(endpoint, message)), self._calls.ladder.base_url, start_index
        )

    def iterate(
        self,
        endpoint: str,
        filter: Filter | str | None = None,
        *,
        page_size: int = 100,
        cursor: bool = False,
        restarts: int = 0,
        attributes: Sequence[str] = (),
        excluded_attributes: Sequence[str] = (),
    ) -> Walk | CursorWalk:
        """All matches, page by page; ask the walk afterwards whether it was complete (C-7-01 to C-7-05).

        By `cursor` nothing shifts meanwhile, and no page costs more than another; `Capabilities.cursor` tells whether a service has them.
        Where a page is too much for the service, smaller ones are asked for (C-7-06). With `restarts` a walk that breaks begins again.
        """
        more: dict[str, Any] = {"attributes": attributes, "excluded_attributes": excluded_attributes}

        size = page_size

        async def page(**place: Any) -> ListPage:
            nonlocal size
            while True:
                try:
                    return await self.search(endpoint, filter, count=size, **place, **more)
                except TooMany:  # within a walk by cursor the size has to stay (RFC 9865 §2)
                    if size == 1 or place.get("cursor"):
                        raise
                    size = max(1, size // 4)

        async def by_index(start_index: int) -> ListPage:
            return await page(start_index=start_index)

        async def by_cursor(cursor: str) -> ListPage:
            return await page(cursor=cursor)

        return CursorWalk(by_cursor, by_index, restarts) if cursor else Walk(by_index, restarts=restarts)

    async def find(
        self,
        endpoint: str,
        wanted: Mapping[str, str],
        *,
        exact: bool = False,
        excluded_attributes: Sequence[str] = (),
        page_size: int = 100,
    ) -> tuple[ScimResource, ...]:
        """The resources whose top-level text attributes have the wanted values, at most ten.

        Only `eq` and `and` are asked for, and each hit is looked at again: some services ignore a filter they
        do not understand and answer with everybody (C-5-03). Then all of them are looked through, by pages of `page_size`. `exact` says
        whether case counts. A SCIM 404 on the list means nobody (C-4-08).

        Raises:
            TargetRefused: the answer is others than asked for, and too many, or not all that there are.
        """
        terms = tuple(Compare(Name(name), Operator.EQ, value) for name, value in wanted.items())
        condition: Filter = terms[0] if len(terms) == 1 else And(terms)
        try:
            page = await self.search(
                endpoint, condition, count=_FIND_COUNT, excluded_attributes=excluded_attributes
            )
        except NotFound:
            return ()
        hits = {found.id: found for found in page.resources if _has(found.body, wanted, exact=exact)}
        if page.total <= len(page.resources) or all(found.id in hits for found in page.resources):
            return tuple(hits.values())
        return await self._look_through(
            self.iterate(endpoint, condition, page_size=page_size, excluded_attributes=excluded_attributes),
            wanted,
            exact,
        )

    async def _look_through(
        self, walk: Walk | CursorWalk, wanted: Mapping[str, str], exact: bool
    ) -> tuple[ScimResource, ...]:
        """The same where the first page holds others than asked for: whoever it does not show may stand on the next."""
        hits: list[ScimResource] = []
        seen = 0
        async for found in walk:
            seen += 1
            if seen > _MOST_LOOKED_THROUGH:
                raise TargetRefused(f"a search was answered with more than {_MOST_LOOKED_THROUGH} others")
            if _has(found.body, wanted, exact=exact) and len(hits) < _FIND_COUNT:
                hits.append(found)
        if not walk.complete:
            raise TargetRefused("a search was answered with others than asked for, and not with all")
        return tuple(hits)

    async def _bring(self, endpoint: str, present: ScimResource, wanted: JsonObject) -> ScimResource:
        """Send the difference between two pictures of a resource."""
        changes = patch_operations(present.body, wanted)
        if not changes:
            return present
        capabilities = await self.discover()
        version = present.version if capabilities.etag else None
        if capabilities.patch:
            try:
                changed = await self.patch(endpoint, present.id, changes, if_match=version)
            except NOT_OFFERED:
                self._calls.learn(patch=False)
            except OTHER_FORM:
                pass
            else:
                return changed or present._replace(version=None, body=wanted)
        changed = await self.replace(endpoint, present.id, wanted, if_match=version)
        return changed or present._replace(version=None, body=wanted)

    async def _change(
        self, method: str, endpoint: str, id: str, body: JsonObject, if_match: str | None
    ) -> ScimResource | None:
        answer = await self._calls.write(method, _path(endpoint, id), body, if_match)
        return _same(self._calls.resource(answer), id)

    def _finder(self, endpoint: str) -> Callable[[str, str, bool], Any]:
        async def find(name: str, value: str, exact: bool) -> tuple[ScimResource, ...]:
            return await self.find(endpoint, {name: value}, exact=exact)

        return find

    async def _like(self, endpoint: str, document: JsonObject) -> tuple[ScimResource, ...] | None:
        return await look_up(self._finder(endpoint), document, MATCH_BY)


def _same(found: _R, id: str) -> _R:
    # Or what is decided by somebody else's data would be written to somebody else's account (T-66).
    if found is not None and found.id != id:
        raise TargetRefused("asked about one resource, the answer is about another")
    return found


def _path(endpoint: str, id: str) -> str:
    # "." and ".." would be folded into the path by every HTTP library, percent-encoded or not.
    if id in {"", ".", ".."}:
        raise NotFound(f"{id!r} cannot be the id of a resource")
    return f"{endpoint}/{quote(id, safe='')}"


def _projection(attributes: Sequence[str], excluded: Sequence[str]) -> dict[str, str]:
    if attributes:
        return {"attributes": ",".join(attributes)}
    return {"excludedAttributes": ",".join(excluded)} if excluded else {}


def _has(document: JsonObject, wanted: Mapping[str, str], *, exact: bool) -> bool:
    return all(_equal(member(document, name), value, exact=exact) for name, value in wanted.items())


def _equal(present: JsonValue, value: str, *, exact: bool) -> bool:
    if not isinstance(present, str):
        return False
    return present == value if exact else prepare(present) == prepare(value)
