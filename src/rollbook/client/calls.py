"""One call of each kind, with what a client learns on the way: what the service has, wants and refuses."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rollbook.client.answers import body_of
from rollbook.client.changes import for_writing
from rollbook.client.discovery import Adjust, Capabilities, Discovery
from rollbook.client.ladder import Ladder
from rollbook.client.results import Created, ScimResource, read_location, read_resource
from rollbook.client.transport import HttpResponse
from rollbook.protocol import urns
from rollbook.protocol.errors import (
    InvalidFilter,
    InvalidPath,
    InvalidSyntax,
    MethodNotAllowed,
    NoTarget,
    NotFound,
    PreconditionRequired,
    ScimError,
    Sensitive,
    TargetRefused,
    TargetUnavailable,
    UnsupportedFeature,
)
from rollbook.protocol.values import JsonObject

NOT_OFFERED = (MethodNotAllowed, UnsupportedFeature)
OTHER_FORM = (InvalidPath, NoTarget, InvalidSyntax)
_DOUBTFUL = (*NOT_OFFERED, *OTHER_FORM, InvalidFilter)


class Calls:
    """Calls to one service."""

    def __init__(
        self,
        ladder: Ladder,
        capabilities: Capabilities | Adjust | None,
        *,
        search_by_post: bool,
        respond_async: bool,
    ) -> None:
        self.ladder = ladder
        self._fixed = capabilities if isinstance(capabilities, Capabilities) else None
        adjust: Adjust = capabilities if callable(capabilities) else lambda found: found
        self._discovery = Discovery(lambda path, headers: self.call("GET", path, headers=headers), adjust)
        self._by_post = search_by_post
        self._no_dot_search = False
        self._writing = {"prefer": "respond-async"} if respond_async else {}

    async def capabilities(self, *, again: bool = False) -> Capabilities:
        """What the service can do."""
        return self._fixed or await self._discovery.capabilities(again=again)

    async def call(self, method: str, path: str, **more: Any) -> HttpResponse:
        """The answer of success; one that does not fit what is known of the service makes it be asked again (C-2-01)."""
        try:
            return await self.ladder.call(method, path, **more)
        except ScimError as error:
            if isinstance(error, _DOUBTFUL) or (
                isinstance(error, TargetRefused) and error.http_status == 404
            ):
                self._discovery.doubt()
            raise

    async def query(self, endpoint: str, message: JsonObject) -> HttpResponse:
        """The answer to a query: by GET, or by POST .search after the service has asked for that, or if it was chosen (C-1-07)."""
        if self._by_post and not self._no_dot_search:
            body = _search_request(message)
            try:
                return await self.call("POST", f"{endpoint}/.search", body=body)
            except (*NOT_OFFERED, NotFound):
                self._no_dot_search = True
            except TargetRefused as error:
                if error.http_status != 404:
                    raise
                self._no_dot_search = True
        try:
            query = {name: str(value) for name, value in message.items()}
            return await self.call("GET", endpoint, query=query)
        except Sensitive:
            if self._no_dot_search:
                raise
            self._by_post = True
        return await self.query(endpoint, message)

    async def get(
        self, path: str, query: Mapping[str, str] | None = None, known: ScimResource | None = None
    ) -> ScimResource:
        """A resource; `known` itself if it has not changed."""
        headers = {"if-none-match": known.version} if known is not None and known.version else {}
        answer = await self.call("GET", path, query=query, headers=headers)
        if answer.status == 304 and known is not None:
            return known
        return read_resource(body_of(answer), self.ladder.base_url, answer.headers.get("etag"))

    async def create(self, endpoint: str, document: JsonObject) -> Created:
        """One POST; 200 says that the service took one that was there (C-5-04)."""
        answer = await self.call("POST", endpoint, body=for_writing(document), headers=self._writing)
        created = self.resource(answer)
        if created is None:
            location = read_location(answer.headers.get("location"), self.ladder.base_url)
            if location is None or not location.startswith(self.ladder.base_url + "/"):
                raise TargetUnavailable("created, but the answer does not say under which id")
            created = await self.get(location.removeprefix(self.ladder.base_url))
        return Created(created, new=answer.status != 200)

    async def write(
        self, method: str, path: str, body: JsonObject | None, if_match: str | None
    ) -> HttpResponse:
        """A change of one resource; where the service wants to be told which version is meant, that is looked up (428)."""
        headers = self._writing if if_match is None else {**self._writing, "if-match": if_match}
        try:
            return await self.call(method, path, body=body, headers=headers)
        except PreconditionRequired:
            if if_match is not None:
                raise
            self.learn(etag=True)
            version = (await self.get(path)).version
            if version is None:
                raise
        return await self.write(method, path, body, version)

    def learn(self, **found: bool) -> None:
        """Remember what a service turned out to be, whatever it said (C-2-05)."""

        def change(known: Capabilities) -> Capabilities:
            return replace(known, **found)  # type: ignore[arg-type]  # names of flags

        if self._fixed is not None:
            self._fixed = change(self._fixed)
        self._discovery.learn(change)

    def resource(self, answer: HttpResponse) -> ScimResource | None:
        """The resource that an answer shows, if it shows one."""
        document = body_of(answer)
        if document is None:
            return None
        return read_resource(document, self.ladder.base_url, answer.headers.get("etag"))


def _search_request(message: JsonObject) -> JsonObject:
    """A query as the body of POST .search: lists are lists there (RFC 7644 §3.4.3)."""
    listed = {"attributes", "excludedAttributes"}
    parts = {name: value.split(",") if name in listed else value for name, value in message.items()}
    return {"schemas": [urns.SEARCH_REQUEST], **parts}
