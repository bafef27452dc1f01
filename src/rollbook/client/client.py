"""ScimClient: the operations of RFC 7644 as methods.

Raises the error classes the server answers with; never repeats a call by itself.
"""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

from rollbook.client.answers import body_of, check_done, member
from rollbook.client.authentication import Authentication, Bearer
from rollbook.client.discovery import Capabilities, discover
from rollbook.client.ladder import Ladder
from rollbook.client.paging import CursorWalk, Walk
from rollbook.client.results import ListPage, ScimResource, read_location, read_page, read_resource
from rollbook.client.transport import DEFAULT_LIMITS, HttpResponse, Limits, PyqwestTransport, Transport
from rollbook.protocol import urns
from rollbook.protocol.compare import prepare
from rollbook.protocol.errors import NotFound, Sensitive, TargetRefused, TargetUnavailable
from rollbook.protocol.filters import And, Compare, Filter, Name, Operator, render
from rollbook.protocol.values import JsonObject, JsonValue

_FIND_COUNT = 10  # more than one match is already one too many
_MOST_LOOKED_THROUGH = (
    10_000  # resources of a service that ignores filters: for one person a hundred pages are enough
)
_R = TypeVar("_R", bound=ScimResource | None)


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
    ) -> None:
        """`authentication` given as text is a bearer token.

        Raises:
            ValueError: the base URL is not one that credentials may be sent to.
        """
        if isinstance(authentication, str):
            authentication = Bearer(authentication)
        self._ladder = Ladder(
            base_url, authentication, transport or PyqwestTransport(limits), insecure_http=insecure_http
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of all connections."""
        await self._ladder.close()

    async def discover(self) -> Capabilities:
        """What the service can do; missing and broken answers are stepped over (C-2-03)."""
        return await discover(self._read)

    async def create(self, endpoint: str, document: JsonObject) -> ScimResource:
        """Create a resource (RFC 7644 §3.3).

        Raises:
            Uniqueness: there is one like it.
            TargetUnavailable: also when it was created without a word about its id: look it up (C-4-07).
        """
        answer = await self._ladder.call("POST", endpoint, body=document)
        created = self._resource(answer)
        if created is not None:
            return created
        location = read_location(answer.headers.get("location"), self._ladder.base_url)
        if location is None or not location.startswith(self._ladder.base_url + "/"):
            raise TargetUnavailable("created, but the answer does not say under which id")
        return await self._get(location.removeprefix(self._ladder.base_url))

    async def get(
        self,
        endpoint: str,
        id: str,
        *,
        attributes: Sequence[str] = (),
        excluded_attributes: Sequence[str] = (),
    ) -> ScimResource:
        """Read a resource (RFC 7644 §3.4.1); give at most one of the two lists (C-3-07).

        Raises:
            NotFound: the service says, in a SCIM Error, that there is none.
            TargetRefused: the answer is another resource.
        """
        found = await self._get(_path(endpoint, id), _projection(attributes, excluded_attributes))
        return _same(found, id)

    async def replace(
        self, endpoint: str, id: str, document: JsonObject, *, if_match: str | None = None
    ) -> ScimResource | None:
        """Replace a resource (RFC 7644 §3.5.1); what it is now, if the service says so."""
        headers = _if_match(if_match)
        answer = await self._ladder.call("PUT", _path(endpoint, id), body=document, headers=headers)
        return _same(self._resource(answer), id)

    async def patch(
        self, endpoint: str, id: str, operations: Sequence[JsonObject], *, if_match: str | None = None
    ) -> ScimResource | None:
        """Change a resource by PATCH operations (RFC 7644 §3.5.2); what it is now, if the service says so."""
        message = {"schemas": [urns.PATCH_OP], "Operations": list(operations)}
        headers = _if_match(if_match)
        answer = await self._ladder.call("PATCH", _path(endpoint, id), body=message, headers=headers)
        return _same(self._resource(answer), id)

    async def delete(self, endpoint: str, id: str, *, if_match: str | None = None) -> None:
        """Delete a resource (RFC 7644 §3.6)."""
        check_done(await self._ladder.call("DELETE", _path(endpoint, id), headers=_if_match(if_match)))

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
        query = {name: str(value) for name, value in (place | {"count": count}).items()}
        text = filter if isinstance(filter, str | None) else render(filter)
        if text is not None:
            query["filter"] = text
        query |= _projection(attributes, excluded_attributes)
        try:
            answer = await self._ladder.call("GET", endpoint, query=query)
        except Sensitive:
            message = _search_request(text, place | {"count": count}, attributes, excluded_attributes)
            answer = await self._ladder.call("POST", f"{endpoint}/.search", body=message)
        return read_page(body_of(answer), self._ladder.base_url, start_index)

    def iterate(
        self,
        endpoint: str,
        filter: Filter | str | None = None,
        *,
        page_size: int = 100,
        cursor: bool = False,
        attributes: Sequence[str] = (),
        excluded_attributes: Sequence[str] = (),
    ) -> Walk | CursorWalk:
        """All matches, page by page; ask the walk afterwards whether it was complete (C-7-01 to C-7-03, C-7-05).

        By `cursor` nothing shifts meanwhile, and no page costs more than another; `Capabilities.cursor` tells whether a service has them.
        """
        more: dict[str, Any] = {"attributes": attributes, "excluded_attributes": excluded_attributes}

        async def by_index(start_index: int) -> ListPage:
            return await self.search(endpoint, filter, start_index=start_index, count=page_size, **more)

        async def by_cursor(place: str) -> ListPage:
            return await self.search(endpoint, filter, cursor=place, count=page_size, **more)

        return CursorWalk(by_cursor, by_index) if cursor else Walk(by_index)

    async def find(
        self,
        endpoint: str,
        wanted: Mapping[str, str],
        *,
        exact: bool = False,
        excluded_attributes: Sequence[str] = (),
    ) -> tuple[ScimResource, ...]:
        """The resources whose top-level text attributes have the wanted values, at most ten.

        Only `eq` and `and` are asked for, and each hit is looked at again: some services ignore a filter they
        do not understand and answer with everybody (C-5-03). Then all of them are looked through. `exact` says
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
        return await self._look_through(endpoint, condition, wanted, exact, excluded_attributes)

    async def _look_through(
        self,
        endpoint: str,
        condition: Filter,
        wanted: Mapping[str, str],
        exact: bool,
        excluded_attributes: Sequence[str],
    ) -> tuple[ScimResource, ...]:
        """The same where the first page holds others than asked for: whoever it does not show may stand on the next."""
        hits: list[ScimResource] = []
        walk, seen = self.iterate(endpoint, condition, excluded_attributes=excluded_attributes), 0
        async for found in walk:
            seen += 1
            if seen > _MOST_LOOKED_THROUGH:
                raise TargetRefused(f"a search was answered with more than {_MOST_LOOKED_THROUGH} others")
            if _has(found.body, wanted, exact=exact) and len(hits) < _FIND_COUNT:
                hits.append(found)
        if not walk.complete:
            raise TargetRefused("a search was answered with others than asked for, and not with all")
        return tuple(hits)

    async def _read(self, path: str) -> JsonValue:
        return body_of(await self._ladder.call("GET", path))

    async def _get(self, path: str, query: Mapping[str, str] | None = None) -> ScimResource:
        answer = await self._ladder.call("GET", path, query=query)
        return read_resource(body_of(answer), self._ladder.base_url)

    def _resource(self, answer: HttpResponse) -> ScimResource | None:
        document = body_of(answer)
        return None if document is None else read_resource(document, self._ladder.base_url)


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


def _if_match(version: str | None) -> dict[str, str]:
    return {} if version is None else {"if-match": version}


def _projection(attributes: Sequence[str], excluded: Sequence[str]) -> dict[str, str]:
    if attributes:
        return {"attributes": ",".join(attributes)}
    return {"excludedAttributes": ",".join(excluded)} if excluded else {}


def _search_request(
    text: str | None, place: JsonObject, attributes: Sequence[str], excluded: Sequence[str]
) -> JsonObject:
    message: JsonObject = {"schemas": [urns.SEARCH_REQUEST], **place}
    if text is not None:
        message["filter"] = text
    if attributes:
        message["attributes"] = list(attributes)
    elif excluded:
        message["excludedAttributes"] = list(excluded)
    return message


def _has(document: JsonObject, wanted: Mapping[str, str], *, exact: bool) -> bool:
    return all(_equal(member(document, name), value, exact=exact) for name, value in wanted.items())


def _equal(present: JsonValue, value: str, *, exact: bool) -> bool:
    if not isinstance(present, str):
        return False
    return present == value if exact else prepare(present) == prepare(value)
