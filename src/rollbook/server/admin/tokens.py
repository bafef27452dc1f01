"""Tokens of a tenant at /admin/v1: listed, made, rotated, revoked; secrets are shown once, when they are made."""

from typing import Any

from rollbook.operations.administration import check_grant
from rollbook.operations.rights import rights_of
from rollbook.operations.token_care import Wish, grant, token_of
from rollbook.operations.tokens import YEAR, rotate, state, token_id
from rollbook.operations.tokens import revoke as revoke_token
from rollbook.protocol.compare import parse_date_time, render_date_time
from rollbook.protocol.errors import InvalidCursor, InvalidValue
from rollbook.server.admin.rows import TENANT, Made, Row, Visit
from rollbook.server.admin.shapes import IssuedToken, NewToken, Rotation, Token, TokenList
from rollbook.storage.base import TokenRecord


async def list_tokens(visit: Visit) -> Made:
    """GET the tokens, ended ones too."""
    every = await visit.desk.store.tokens(visit.tenant.number)
    start = 0
    if visit.cursor:
        places = {token.id: place for place, token in enumerate(every)}
        if visit.cursor not in places:
            raise InvalidCursor("this cursor is none of this list; begin again without one")
        start = places[visit.cursor] + 1
    found = every[start : start + visit.limit]
    more = found[-1].id if found and len(every) > start + len(found) else None
    at = visit.desk.now()
    return Made(TokenList(tokens=[Token(**_values(each, at)) for each in found], next_cursor=more))


async def create(visit: Visit) -> Made:
    """POST a new one, with rights no wider than those of whoever asks (T-09)."""
    asked: NewToken = visit.body
    author = visit.author()
    at = author.at
    wish = Wish(
        asked.name,
        end_of(asked.expires, at),
        tuple(asked.scopes),
        asked.within,
        asked.profile,
        asked.user,
        tuple(asked.without),
        tuple(asked.hold),
        asked.own,
    )
    text = await grant(
        visit.desk.store, visit.tenant.number, wish, author, lambda rights: check_grant(visit.who, rights)
    )
    return await _issued(visit, text, at)


async def show(visit: Visit) -> Made:
    """GET one."""
    found = await token_of(visit.desk.store, visit.tenant.number, visit.path["id"])
    return Made(Token(**_values(found, visit.desk.now())))


async def renew(visit: Visit) -> Made:
    """POST: another with the same name and rights; the former one goes on for a while."""
    asked: Rotation = visit.body
    store, author = visit.desk.store, visit.author()
    at = author.at
    former = await token_of(store, visit.tenant.number, visit.path["id"])
    check_grant(visit.who, rights_of(former.rights))
    until = at + asked.overlap_seconds * 1000
    text = await rotate(store, former, now=at, expires=end_of(asked.expires, at), until=until, author=author)
    return await _issued(visit, text, at)


async def revoke(visit: Visit) -> Made:
    """DELETE: it ends at once; that it was is remembered."""
    store, author = visit.desk.store, visit.author()
    found = await token_of(store, visit.tenant.number, visit.path["id"])
    await revoke_token(store, found, author)
    ended = await token_of(store, visit.tenant.number, found.id)
    return Made(Token(**_values(ended, author.at)))


async def _issued(visit: Visit, text: str, at: int) -> Made:
    made = await token_of(visit.desk.store, visit.tenant.number, text)
    where = f"/admin/v1/tenants/{visit.tenant.name}/tokens/{token_id(text)}"
    return Made(IssuedToken(**_values(made, at), token=text), ((b"location", where.encode()),))


def end_of(text: str | None, now: int) -> int:
    """When what is made now ends: as is said, or in a year.

    Raises:
        InvalidValue: that is no time to come.
    """
    if text is None:
        return now + YEAR
    try:
        end = parse_date_time(text)
    except ValueError:
        end = 0
    if end <= now:
        raise InvalidValue("expires: write a time to come, such as 2027-06-30T00:00:00Z")
    return end


def _values(record: TokenRecord, now: int) -> dict[str, Any]:
    rights = rights_of(record.rights)
    return {
        "id": record.id,
        "name": record.name,
        "state": state(record, now).value,
        "scopes": rights.scopes,
        **rights.bounds,
        "profile": rights.profile,
        "user": record.user,
        "created": render_date_time(record.created),
        "expires": render_date_time(record.expires) if record.expires else None,
        "used": render_date_time(record.used) if record.used else None,
    }


_GROUP = "Tokens"
_EVERY, _ONE = f"{TENANT}/tokens", f"{TENANT}/tokens/{{id}}"

ROWS = (
    Row("GET", _EVERY, "listTokens", _GROUP, "List tokens, ended ones too", list_tokens, answer=TokenList, is_paged=True),
    Row("POST", _EVERY, "createToken", _GROUP, "Make a token; it is shown this once", create, NewToken, IssuedToken, 201),
    Row("GET", _ONE, "readToken", _GROUP, "Show a token, without its secret", show, answer=Token),
    Row("POST", f"{_ONE}/rotate", "rotateToken", _GROUP, "Make a token in the place of another, which ends after a while", renew, Rotation, IssuedToken, 201, refusals=(409,)),
    Row("DELETE", _ONE, "revokeToken", _GROUP, "End a token at once", revoke, answer=Token),
)  # fmt: skip
