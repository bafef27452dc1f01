"""OAuth clients of a tenant at /admin/v1: listed, made, given other secrets or keys, ended; secrets are shown once."""

from functools import partial
from typing import Any

import orjson

from rollbook.operations import client_care as care
from rollbook.operations.administration import check_grant
from rollbook.operations.client_care import ClientWish
from rollbook.operations.oauth_clients import key_set
from rollbook.operations.rights import rights_of
from rollbook.protocol.compare import render_date_time
from rollbook.protocol.errors import InvalidCursor, NotFound
from rollbook.server.admin import shapes_oauth as shapes
from rollbook.server.admin.rows import TENANT, Made, Row, Visit
from rollbook.server.admin.shapes_oauth import ClientList, ClientRotation, IssuedClient, NewClient
from rollbook.server.admin.tokens import end_of
from rollbook.storage.oauth_clients import ClientRecord


async def list_clients(visit: Visit) -> Made:
    """GET those of the tenant, oldest first."""
    every = await care.clients_of(visit.desk.store, visit.tenant.number)
    start = 0
    if visit.cursor:
        places = {client.id: place for place, client in enumerate(every)}
        if visit.cursor not in places:
            raise InvalidCursor("this cursor is none of this list; begin again without one")
        start = places[visit.cursor] + 1
    page = every[start : start + visit.limit]
    more = page[-1].id if page and len(every) > start + len(page) else None
    return Made(ClientList(clients=[shapes.Client(**_values(each)) for each in page], next_cursor=more))


async def create(visit: Visit) -> Made:
    """POST a new one, whose tokens may do no more than whoever asks."""
    asked: NewClient = visit.body
    author = visit.author()
    wish = ClientWish(
        asked.name,
        end_of(asked.expires, author.at),
        asked.scopes,
        asked.within,
        asked.profile,
        asked.seconds,
        _keys(asked.jwks),
        asked.without,
        asked.hold,
        asked.own,
    )
    client, secret = await care.add(
        visit.desk.store, visit.tenant.number, wish, author, partial(check_grant, visit.who)
    )
    where = f"/admin/v1/tenants/{visit.tenant.name}/clients/{client.id}"
    return Made(IssuedClient(**_values(client), secret=secret), ((b"location", where.encode()),))


async def show(visit: Visit) -> Made:
    """GET one."""
    return Made(shapes.Client(**_values(await _client(visit))))


async def rotate(visit: Visit) -> Made:
    """POST: it is given a new secret, or other keys."""
    asked: ClientRotation = visit.body
    author = visit.author()
    client, secret = await care.rotate(
        visit.desk.store,
        await _client(visit),
        author,
        expires=end_of(asked.expires, author.at),
        until=author.at + asked.overlap_seconds * 1000,
        keys=_keys(asked.jwks),
        allow=partial(check_grant, visit.who),
    )
    return Made(IssuedClient(**_values(client), secret=secret))


async def delete(visit: Visit) -> Made:
    """DELETE: it ends with all tokens it has."""
    await care.remove(visit.desk.store, await _client(visit), visit.author())
    return Made()


async def _client(visit: Visit) -> ClientRecord:
    try:
        return await care.client_of(visit.desk.store, visit.tenant.number, visit.path["id"])
    except NotFound:
        raise NotFound("there is no such client here") from None


def _keys(jwks: dict[str, Any] | None) -> str | None:
    return None if jwks is None else key_set(orjson.dumps(jwks).decode())


def _values(client: ClientRecord) -> dict[str, Any]:
    rights = rights_of(client.rights)
    return {
        "id": client.id,
        "name": client.name,
        "shows": "secret" if client.keys is None else "assertion",
        "jwks": None if client.keys is None else orjson.loads(client.keys),
        "scopes": rights.scopes,
        **rights.bounds,
        "profile": rights.profile,
        "seconds": client.seconds,
        "created": render_date_time(client.created),
        "expires": render_date_time(client.expires) if client.expires else None,
    }


_GROUP = "Clients"
_EVERY, _ONE = f"{TENANT}/clients", f"{TENANT}/clients/{{id}}"

ROWS = (
    Row("GET", _EVERY, "listClients", _GROUP, "List programs that fetch short-lived tokens", list_clients, answer=ClientList, is_paged=True),
    Row("POST", _EVERY, "createClient", _GROUP, "Make a client; its secret is shown this once", create, NewClient, IssuedClient, 201),
    Row("GET", _ONE, "readClient", _GROUP, "Show a client, without its secret", show, answer=shapes.Client),
    Row("POST", f"{_ONE}/rotate", "rotateClient", _GROUP, "Give a client a new secret, while the former goes on for a while; or other keys, at once", rotate, ClientRotation, IssuedClient),
    Row("DELETE", _ONE, "deleteClient", _GROUP, "End a client and all tokens it has", delete, status=204),
)  # fmt: skip
