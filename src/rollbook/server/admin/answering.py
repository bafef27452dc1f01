"""A request of somebody who administers: its row, what it asks with, and the answer."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pydantic import ValidationError
from starlette.routing import Match, Route

from rollbook.operations.administration import Administrator, check_server, check_there, check_write
from rollbook.operations.context import Tenant
from rollbook.operations.tenant_settings import Limits
from rollbook.protocol.errors import InvalidValue, MethodNotAllowed, NotFound, PreconditionRequired
from rollbook.protocol.versions import if_match
from rollbook.server.admin.desk import PREFIX, Desk
from rollbook.server.admin.rows import MOST, PAGE, TENANT, Made, Row, Visit
from rollbook.server.admin.shapes import Shape
from rollbook.server.admin.table import ROWS, document
from rollbook.server.requests import Most, Receive, Request, Scope, Send, parameters, read_json
from rollbook.server.responses import Answer, dump
from rollbook.server.watching import note_route


async def _nothing(_: Scope, _receive: Receive, _send: Send) -> None:
    """Stands for an operation where only its path is looked at."""


def _routes() -> list[tuple[Route, dict[str, Row]]]:
    paths: dict[str, dict[str, Row]] = {}
    for row in ROWS:
        paths.setdefault(row.path, {})[row.method] = row
    return [(Route(path, _nothing), rows) for path, rows in paths.items()]


_PATHS = _routes()


async def answered(
    desk: Desk, request: Request, who: Administrator, own: Tenant, follow: Callable[[], Awaitable[object]]
) -> Answer:
    """Answer a request of an administrator, who is of the tenant `own`."""
    scope, path = request.scope, request.scope["path"].removeprefix(PREFIX)
    method = "GET" if scope["method"] == "HEAD" else scope["method"]
    if path in {"/openapi.json", "/docs"} and method == "GET":
        note_route(scope, f"{PREFIX}{path}", own.name)
        described = document(desk.address.sites(PREFIX, None).base(scope))
        if path == "/docs":
            from rollbook.server.docs import HEADERS, HTML, render

            return Answer(200, render(described, "openapi.json"), HEADERS, HTML)
        return Answer(200, dump(described))
    rows, values = _at(path)
    record = None
    if "tenant" in values:
        record = who.reach(await desk.care.tenants.by_name(values["tenant"][:64]))
    if method == "OPTIONS":
        return Answer(204, headers=((b"allow", ", ".join((*rows, "OPTIONS")).encode()),))
    row = rows.get(method)
    if row is None:
        offered = (*rows, "OPTIONS")
        raise MethodNotAllowed(f"{method} is not offered here, only {', '.join(offered)}", allow=offered)
    note_route(scope, f"{PREFIX}{row.path}", own.name)
    _check(row, who)
    if record is not None and row.path != TENANT:
        check_there(record)
    visit = Visit(desk, who, scope, values, record, **await _asked(request, row, own.settings.limits))
    made = await row.handler(visit)
    if row.needs_write:
        await follow()
    return _answer(row, made)


def _at(path: str) -> tuple[dict[str, Row], Mapping[str, str]]:
    for route, rows in _PATHS:
        match, found = route.matches({"type": "http", "path": path, "method": "GET"})
        if match is not Match.NONE and all(value.isprintable() for value in found["path_params"].values()):
            return rows, found["path_params"]
    raise NotFound(f"there is no endpoint {path[:100]!r} here; {PREFIX}/openapi.json says what there is")


async def _asked(request: Request, row: Row, limits: Limits) -> dict[str, Any]:
    said: dict[str, Any] = {}
    given = parameters(request, limits)
    for name, text in given.items():
        if not row.is_paged or name not in {"cursor", "limit"}:
            raise InvalidValue(f"there is no parameter {name[:40]!r} here")
        if not text.isprintable():
            raise InvalidValue(f"{name}: write printable characters")
        said[name] = _limit(text) if name == "limit" else text[:4_000]
    if row.is_conditional:
        said["condition"] = if_match(request.header(b"if-match"))
        if row.needs_match and said["condition"] is None:
            raise PreconditionRequired("this needs If-Match with the ETag of what was looked at")
    if row.body is not None:
        most = Most(min(limits.body_bytes, limits.administration_bytes))
        said["body"] = _read(row.body, await read_json(request, limits, most))
    return said


def _check(row: Row, who: Administrator) -> None:
    if row.needs_write:
        check_write(who)
    if row.for_server:
        check_server(who)


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:9]) <= MOST):
        raise InvalidValue(f"limit: write a whole number from 1 to {MOST}; {PAGE} if nothing is said")
    return int(text)


def _read(shape: type[Shape], body: object) -> Shape:
    try:
        return shape.model_validate(body)
    except ValidationError as error:
        every = error.errors(include_url=False, include_input=False, include_context=False)
        found = next((each for each in every if each["type"] == "extra_forbidden"), every[0])
        place = ".".join(map(str, found["loc"])) or "the body"
        if found["type"] == "extra_forbidden":
            raise InvalidValue(
                f"there is no member {place[:80]!r} here; there are {_members(shape)}"
            ) from None
        raise InvalidValue(f"{place[:200]}: {found['msg']}") from None


def _members(shape: type[Shape]) -> str:
    return ", ".join(each.alias or name for name, each in shape.model_fields.items())


def _answer(row: Row, made: Made) -> Answer:
    if made.value is None:
        return Answer(204, headers=made.headers)
    return Answer(row.status, made.value.model_dump_json(by_alias=True).encode(), made.headers)
