"""Outside issuers of access tokens at /admin/v1: listed, taken, told otherwise, taken no more.

Who adds one decides whose tokens open a tenant, and an issuer with an audience is known once in the whole server: so that is for whoever
runs it. A tenant's own administrator says what its tokens may do, up to their own rights.
"""

import re
from collections.abc import Awaitable
from functools import partial
from typing import Any, TypeVar

import orjson

from rollbook.operations import issuer_care as care
from rollbook.operations.administration import check_grant, check_server
from rollbook.operations.issuer_care import IssuerWish
from rollbook.operations.issuers import Issuer
from rollbook.operations.oauth_clients import key_set
from rollbook.protocol.errors import Conflict, InvalidValue, NotFound
from rollbook.server.admin import shapes_oauth as shapes
from rollbook.server.admin.rows import TENANT, Made, Row, Visit
from rollbook.server.admin.shapes_oauth import IssuerChange, IssuerList, NewIssuer

T = TypeVar("T")


async def list_issuers(visit: Visit) -> Made:
    """GET those of the tenant, by name."""
    found = [
        each
        for each in await care.issuers_of(visit.desk.store, visit.tenant.number)
        if each.name > visit.cursor
    ]
    page = found[: visit.limit]
    more = page[-1].name if len(found) > len(page) else None
    return Made(IssuerList(issuers=[_shown(each) for each in page], next_cursor=more))


async def create(visit: Visit) -> Made:
    """POST: its tokens are taken from now on."""
    asked: NewIssuer = visit.body
    adding = care.add(
        visit.desk.store, visit.tenant.number, asked.name, _wish(asked), visit.author(), _allow(visit)
    )
    made = await _in_members(adding)
    where = f"/admin/v1/tenants/{visit.tenant.name}/issuers/{made.name}"
    return Made(_shown(made), ((b"location", where.encode()),))


async def show(visit: Visit) -> Made:
    """GET one."""
    return Made(_shown(await _issuer(visit)))


async def change(visit: Visit) -> Made:
    """PATCH what is said of one; what is not named stays."""
    asked: IssuerChange = visit.body
    if (asked.url, asked.audience, asked.private) != (None, None, None):
        check_server(visit.who)
    found = await _issuer(visit)
    check_grant(visit.who, found.rights)
    telling = care.tell(visit.desk.store, found, _wish(asked), visit.author(), _allow(visit))
    return Made(_shown(await _in_members(telling)))


async def delete(visit: Visit) -> Made:
    """DELETE: its tokens are taken no more."""
    await care.remove(visit.desk.store, await _issuer(visit), visit.author())
    return Made()


def _allow(visit: Visit) -> care.Allow:
    return partial(check_grant, visit.who)


async def _issuer(visit: Visit) -> Issuer:
    try:
        return await care.issuer_called(visit.desk.store, visit.tenant.number, visit.path["name"])
    except NotFound:
        raise NotFound("this tenant takes no tokens of an issuer of that name") from None


def _wish(asked: IssuerChange) -> IssuerWish:
    said: dict[str, Any] = {name: getattr(asked, name) for name in _SAME}
    words = None if asked.words is None else [f"{word}={meant}" for word, meant in asked.words.items()]
    keys = None if asked.jwks is None else key_set(orjson.dumps(asked.jwks).decode())
    return IssuerWish(**said, jwks=asked.jwks_url, keys=keys, words=words)


_SAME = (
    "url", "audience", "algorithms", "types", "scopes", "within", "without", "hold", "own", "profile", "claims", "user_claim",
    "user_attribute", "private",
)  # fmt: skip

_MEMBERS = {
    "--typ": "types", "--algorithm": "algorithms", "--jwks-file": "jwks", "--jwks-url": "jwksUrl", "--map": "words",
    "--url": "url", "--audience": "audience", "--user-attribute": "userAttribute",
}  # fmt: skip
_OPTION = re.compile("|".join(_MEMBERS))


async def _in_members(work: Awaitable[T]) -> T:
    """What refuses in the words of a command's options does so in those of members."""
    try:
        return await work
    except InvalidValue as error:
        raise InvalidValue(_OPTION.sub(lambda found: _MEMBERS[found[0]], error.detail)) from None
    except Conflict as error:
        raise Conflict(error.detail.partition(";")[0]) from None


def _shown(issuer: Issuer) -> shapes.Issuer:
    rights = issuer.rights
    return shapes.Issuer(
        name=issuer.name,
        url=issuer.url,
        audience=issuer.audience,
        jwks_url=issuer.jwks,
        keys="given" if issuer.keys is not None else "url" if issuer.jwks is not None else "metadata",
        algorithms=list(issuer.algorithms),
        types=list(issuer.types),
        scopes=rights.scopes,
        **rights.bounds,
        profile=rights.profile,
        claims=list(issuer.claims),
        words=dict(issuer.words),
        user_claim=issuer.user_claim,
        user_attribute=issuer.user_attribute,
        private=issuer.private,
    )


_GROUP = "Issuers"
_EVERY, _ONE = f"{TENANT}/issuers", f"{TENANT}/issuers/{{name}}"

ROWS = (
    Row("GET", _EVERY, "listIssuers", _GROUP, "List outside issuers whose access tokens are taken", list_issuers, answer=IssuerList, is_paged=True),
    Row("POST", _EVERY, "createIssuer", _GROUP, "Take an issuer's access tokens from now on", create, NewIssuer, shapes.Issuer, 201, for_server=True, refusals=(409,)),
    Row("GET", _ONE, "readIssuer", _GROUP, "Show what was said of an issuer", show, answer=shapes.Issuer),
    Row("PATCH", _ONE, "changeIssuer", _GROUP, "Change what was said of an issuer", change, IssuerChange, shapes.Issuer, refusals=(409,)),
    Row("DELETE", _ONE, "deleteIssuer", _GROUP, "Take an issuer's tokens no more", delete, status=204),
)  # fmt: skip
