"""/Bulk: the answer is sent while the operations are carried out (RFC 7644 §3.7)."""

from contextlib import aclosing
from urllib.parse import quote

from rollbook.operations import bulk
from rollbook.operations.bulk import Bulk, Outcome
from rollbook.operations.context import Context
from rollbook.protocol import urns
from rollbook.protocol.bulk_plan import Plan
from rollbook.protocol.messages import error_body
from rollbook.protocol.values import JsonObject
from rollbook.server.errors import as_scim_error
from rollbook.server.exchange import Exchange
from rollbook.server.refusals import refused
from rollbook.server.requests import Most, Scope
from rollbook.server.responses import Answer, Site, Stream, dump

_HEAD, _END = dump({"schemas": [urns.BULK_RESPONSE], "Operations": []})[:-2], b"]}"

_LONGEST_PATH = 1000
"""A path that leads nowhere is repeated in the answer if it is not longer."""


async def send_bulk(exchange: Exchange) -> Answer:
    """POST a BulkRequest: 200 with what became of each operation (P-3.7-08)."""
    context, site = exchange.context, exchange.site
    body = await exchange.json(Most(context.limits.bulk_bytes, "maxPayloadSize"))
    scope = exchange.request.scope
    return Answer(200, _response(context, await bulk.read(context, body, site.base), site, scope))


async def _response(context: Context, request: Bulk, site: Site, scope: Scope) -> Stream:
    yield _HEAD
    separator = b""
    async with aclosing(bulk.outcomes(context, request)) as groups:
        async for group in groups:
            if group:
                yield separator + b",".join([dump(_entry(outcome, site, scope)) for outcome in group])
                separator = b","
    yield _END


def _entry(outcome: Outcome, site: Site, scope: Scope) -> JsonObject:
    """One operation of the BulkResponse (RFC 7644 §3.7.3)."""
    sent, entry = outcome.plan.sent, JsonObject()
    location = _location(outcome, site)
    if location is not None:
        entry["location"] = location
    entry["method"] = sent.method
    if sent.bulk_id is not None:
        entry["bulkId"] = sent.bulk_id
    if outcome.version is not None and site.etags:
        entry["version"] = outcome.version
    if outcome.error is None:
        return entry | {"status": str(outcome.status)}
    error = as_scim_error(outcome.error, method=sent.method, operation=sent.place)
    refused(scope, error)
    return entry | {"status": str(error.status), "response": error_body(error)}


def _location(outcome: Outcome, site: Site) -> str | None:
    """The URI of the resource; only a POST that failed has none (P-3.7-13)."""
    sent, target = outcome.plan.sent, outcome.plan.target
    if outcome.error is not None and sent.method == "POST":
        return None
    if target is not None:
        return site.location(target.resource_type.name, target.id)
    return _nowhere(outcome.plan, site)


def _nowhere(plan: Plan, site: Site) -> str | None:
    """The URI that a path stands for which leads to nothing here; none for what is not below the base."""
    path = plan.sent.path
    if not isinstance(path, str) or len(path) > _LONGEST_PATH:
        return None
    below = path.removeprefix(f"{site.base}/").lstrip("/")
    return None if "://" in below else f"{site.base}/{quote(below, safe='/:')}"
