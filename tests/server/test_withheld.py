"""Attributes held back from a token: some are not there for it, others stay as they are, in every operation (T-26, T-30)."""

import json
import re
from functools import partial
from typing import Any

import pytest
from tests.server.test_bounds import Ask, bulk, patch
from tests.server.test_many_tenants import traced

from rollbook.app import Application, now
from rollbook.operations import tokens
from rollbook.operations.issuers import Issuer
from rollbook.operations.rights import ALL, Rights, meet, read_rights, rights_of
from rollbook.operations.token_endpoint import wanted
from rollbook.protocol import urns
from rollbook.protocol.catalog import core_catalog
from rollbook.protocol.errors import InvalidValue
from rollbook.testing.asgi import AsgiCaller

pytestmark = pytest.mark.anyio

BASE = "/scim/v2"
WORK = urns.ENTERPRISE_USER
ANN: dict[str, Any] = {
    "schemas": [urns.USER, WORK],
    "userName": "ann",
    "externalId": "open-7",
    "displayName": "Secret Label",
    "name": {"givenName": "Open", "familyName": "Secret Family"},
    "title": "Secret Title",
    "userType": "staff",
    "active": False,
    "roles": [{"value": "Secret Role"}],
    "entitlements": [{"value": "open right"}],
    "password": "Secret passphrase 1",
    WORK: {"department": "Secret Department"},
}
HIDDEN = ("roles", "title,name.familyName", "department", "displayName", "active", "password")
HELD = ("userName", "roles", "name.familyName", f"{WORK}:department", "active")
SECRETS = (b"Secret", b'"active"', b'"roles"', b'"title"', b'"familyName"', WORK.encode() + b'"')


async def having(server: Application, rights: Rights = ALL, user: str | None = None) -> Ask:
    """Sends requests to the default tenant with a token that has these rights."""
    text = await tokens.issue(server.store, 1, "t", now=now(), expires=None, rights=rights, user=user)
    call = AsgiCaller(server.asgi, text)
    return lambda method, path, body=None: call(method, f"{BASE}{path}", body)


def apart(*without: str, hold: tuple[str, ...] = ()) -> Rights:
    """Rights that lack nothing but these attributes."""
    return read_rights([], None, None, core_catalog(), without=without, hold=hold)


async def made(full: Ask, path: str, body: dict[str, Any]) -> str:
    """The id of a new resource."""
    answer = await full("POST", path, body)
    assert answer.status == 201, answer.body
    return str(answer.json["id"])


READS: list[tuple[str, str, Any]] = [
    ("GET", "/Users/{ann}", None),
    ("GET", "/Users", None),
    ("GET", "/Users?cursor&count=1", None),
    ("GET", "", None),
    ("GET", f"/Users/{{ann}}?attributes=roles,title,name,displayName,active,password,{WORK},{WORK}:department", None),
    ("GET", "/Users?attributes=name.familyName,roles.value,schemas", None),
    ("GET", "/Users?excludedAttributes=userName", None),
    ("GET", '/Users/{ann}?filter=userName eq "ann"', None),
    ("GET", "/Groups/{team}", None),
    ("GET", "/Groups?attributes=members.display", None),
    ("POST", "/.search", {"schemas": [urns.SEARCH_REQUEST], "attributes": ["displayName", "roles", "members"]}),
    ("POST", "/Users/.search", {"schemas": [urns.SEARCH_REQUEST], "sortBy": "userName"}),
    ("PUT", "/Users/{ann}", {"schemas": [urns.USER], "userName": "ann", "name": {"givenName": "Open"}}),
    ("PATCH", "/Users/{ann}?attributes=roles,title,nickName", patch("replace", "nickName", "A")),
    ("PATCH", "/Users/{ann}?excludedAttributes=id", patch("replace", "nickName", "B")),
    ("POST", "/Bulk", bulk({"method": "PATCH", "path": "/Users/{ann}", "data": patch("add", "nickName", "C")})),
]  # fmt: skip


async def test_t_30_what_is_hidden_is_in_no_answer(server: Application) -> None:
    """Neither values nor names, labels in groups, and URNs of extensions that hold nothing else; and writes leave it."""
    full = await having(server)
    ids = {"ann": await made(full, "/Users", ANN)}
    ids["bea"] = await made(
        full, "/Users", {"schemas": [urns.USER], "userName": "bea", WORK: {"manager": {"value": ids["ann"]}}}
    )
    ids["team"] = await made(
        full,
        "/Groups",
        {"schemas": [urns.GROUP], "displayName": "Secret team", "members": [{"value": ids["ann"]}]},
    )
    before = (await full("GET", "/Users/{ann}".format(**ids))).json
    hiding = await having(server, apart(*HIDDEN))
    for method, path, body in READS:
        text = json.dumps(body).replace("{ann}", ids["ann"])
        answer = await hiding(method, path.format(**ids), json.loads(text))
        assert answer.status in {200, 204}, (path, answer.body)
        for secret in SECRETS if ids["bea"] not in answer.body.decode() else SECRETS[:-1]:
            assert secret not in answer.body, (method, path, secret)
    after = (await full("GET", "/Users/{ann}".format(**ids))).json
    gone = {"externalId", "userType", "entitlements"}  # seen, and left out of the PUT
    assert {**before, "nickName": "C", "meta": 0} == {
        **{name: before[name] for name in gone},
        **after,
        "meta": 0,
    }
    assert gone.isdisjoint(after)
    own = await having(server, apart(*HIDDEN), user=ids["ann"])
    await full("PATCH", "/Users/{ann}".format(**ids), patch("replace", "active", True))
    me = await own("GET", "/Me")
    assert me.status == 200
    assert all(secret not in me.body for secret in SECRETS)


ASKED = [
    'roles.value eq "{}"', 'roles[value co "{}"]', "not (roles pr)", 'title sw "{}"', 'name.familyName eq "{}"',
    "name pr", 'name[familyName eq "{}"]', f'{WORK}:department eq "{{}}"', f'schemas eq "{WORK}"', "schemas pr",
    'displayName eq "{}" or userName eq "ann"', "active eq true", "active ne true", "not (title eq null)",
]  # fmt: skip
ORDERS = ("title", "name.familyName", "displayName", f"{WORK}:department", "roles.value", "active", "roles")


async def test_t_30_hidden_values_are_no_oracle(server: Application) -> None:
    """Filters and orders by them are refused, right and wrong ones in the same words; also in brackets of a PATCH."""
    full = await having(server)
    ann = await made(full, "/Users", ANN)
    hiding = await having(server, apart(*HIDDEN))
    for text in ASKED:
        for path in ("/Users", "", f"/Users/{ann}"):
            answers = [
                await hiding("GET", f"{path}?filter={text.format(guess)}") for guess in ("Secret Role", "x")
            ]
            assert {answer.status for answer in answers} == {403}, (text, path, answers[0].body)
            assert answers[0].body == answers[1].body
    for name in ORDERS:
        answer = await hiding("POST", "/Users/.search", {"schemas": [urns.SEARCH_REQUEST], "sortBy": name})
        assert answer.status == 403, name
    labels = [
        await hiding("GET", f'/Groups?filter=members.display eq "{one}"') for one in ("Secret Label", "x")
    ]
    assert {answer.status for answer in labels} == {400}
    open_one = await hiding(
        "GET", '/Users?filter=name.givenName eq "Open" and userType eq "staff"&sortBy=userName'
    )
    assert open_one.json["totalResults"] == 1


PATH_LESS = {"roles": [{"value": "admin"}]}
CHANGES: list[tuple[str, str, Any]] = [
    ("roles", "PUT", {"schemas": [urns.USER], "userName": "ann", "roles": [{"value": "admin"}]}),
    ("roles", "PATCH", patch("add", "roles", [{"value": "admin"}])),
    ("roles", "PATCH", patch("replace", "ROLES", [{"value": "admin"}])),
    ("roles", "PATCH", patch("remove", "roles")),
    ("roles", "PATCH", patch("remove", 'roles[value eq "Secret Role"]')),
    ("roles", "PATCH", patch("replace", 'roles[value eq "none"].value', "admin")),
    ("roles", "PATCH", patch("add", f"{urns.USER}:roles", [{"value": "admin"}])),
    ("roles", "PATCH", {"schemas": [urns.PATCH_OP], "Operations": [{"op": "add", "value": PATH_LESS}]}),
    ("name.familyName", "PUT", {"schemas": [urns.USER], "userName": "ann", "name": {"familyName": "Other"}}),
    ("name.familyName", "PATCH", patch("replace", "name.familyName", "Other")),
    ("name.familyName", "PATCH", patch("replace", "name", {"familyName": "Other"})),
    ("name.familyName", "PATCH", patch("remove", "name")),
    ("department", "PUT", {"schemas": [urns.USER, WORK], "userName": "ann", WORK: {"department": "Other"}}),
    ("department", "PATCH", patch("add", f"{WORK}:department", "Other")),
    ("department", "PATCH", patch("add", WORK, {"department": "Other"})),
    ("department", "PATCH", patch("remove", WORK)),
    ("active", "PUT", {"schemas": [urns.USER], "userName": "ann", "active": True}),
    ("active", "PATCH", patch("replace", "active", True)),
    ("password", "PUT", {"schemas": [urns.USER], "userName": "ann", "password": "Other passphrase 2"}),
    ("password", "PATCH", patch("replace", "password", "Other passphrase 2")),
]  # fmt: skip
NEW: list[tuple[str, dict[str, Any]]] = [
    ("roles", {"roles": [{"value": "admin"}]}),
    ("name.familyName", {"name": {"familyName": "Other"}}),
    ("department", {"schemas": [urns.USER, WORK], WORK: {"department": "Other"}}),
    ("active", {"active": False}),
    ("password", {"password": "Other passphrase 2"}),
]


@pytest.mark.parametrize("way", ["hidden", "held"])
async def test_t_30_what_is_held_back_does_not_change(server: Application, way: str) -> None:
    """Each operation and spelling that would change it is 403 with its name, alone and in Bulk, and changes nothing."""
    full = await having(server)
    ann = await made(full, "/Users", ANN)
    names = ("roles", "name.familyName", "department", "active", "password")
    ask = await having(server, apart(*names) if way == "hidden" else apart(hold=names))
    before = await server.store.last_change(1)
    for name, method, body in CHANGES:
        alone = await ask(method, f"/Users/{ann}", body)
        operation = {"method": method, "path": f"/Users/{ann}", "data": body}
        (together,) = (await ask("POST", "/Bulk", bulk(operation))).json["Operations"]
        for status, said in ((alone.status, alone.json), (int(together["status"]), together["response"])):
            assert status == 403, (method, body, said)
            assert f"{name} is held back" in said["detail"], (method, body, said)
    for name, body in NEW:
        answer = await ask("POST", "/Users", {"schemas": [urns.USER], "userName": "new", **body})
        assert (answer.status, name in answer.json["detail"]) == (403, True), body
    assert await server.store.last_change(1) == before
    new = await ask("POST", "/Users", {"schemas": [urns.USER], "userName": "new", "active": True})
    assert new.status == 201, "what it would get anyway"


async def test_t_26_who_was_read_is_put_back(server: Application) -> None:
    """A PUT of what was read changes what is seen and free; what is held back stays, sent, left out, null or misspelt."""
    full = await having(server)
    ann = f"/Users/{await made(full, '/Users', ANN)}"
    for rights in (apart("roles,active,department", hold=("name.familyName", "userName")), apart(hold=HELD)):
        ask = await having(server, rights)
        before = (await full("GET", ann)).json
        read = (await ask("GET", ann)).json
        same = await ask("PUT", ann, read)
        assert (same.status, same.json["meta"]["version"]) == (200, before["meta"]["version"])
        free = {
            name: value for name, value in read.items() if name not in {"roles", "active", "userName", WORK}
        }
        for body in (
            {**free, "title": "T1", "name": {"givenName": "G"}},
            {**free, "title": "T2", "userName": "ANN", "name": {}},
            {**free, "title": "T3", "userName": None, "name": None, "schemas": [urns.USER]},
        ):
            answer = await ask("PUT", ann, body)
            assert answer.status == 200, (body, answer.body)
            after = (await full("GET", ann)).json
            assert after["title"] == body["title"]
            for name in ("userName", "roles", "active", WORK):
                assert after[name] == before[name], (name, body)
            assert after["name"]["familyName"] == "Secret Family"
        await full("PUT", ann, {**ANN, "password": None})


async def test_held_attributes_are_seen(server: Application) -> None:
    """They are returned, and filters and orders find by them; a PATCH that leaves them as they are passes."""
    full = await having(server)
    ann = f"/Users/{await made(full, '/Users', ANN)}"
    ask = await having(server, apart(hold=HELD))
    assert (await ask("GET", ann)).json == (await full("GET", ann)).json
    assert (await ask("GET", '/Users?filter=roles.value eq "Secret Role"&sortBy=userName')).json[
        "totalResults"
    ] == 1
    for body in (patch("replace", "userName", "ann"), patch("replace", "active", False), patch("add", "roles", [{"value": "Secret Role"}])):  # fmt: skip
        assert (await ask("PATCH", ann, body)).status in {200, 204}, body


async def test_who_cannot_be_named_cannot_be_made(server: Application) -> None:
    """Without the attribute that every user must have, a token makes none, and says why; others it changes."""
    full = await having(server)
    ann = f"/Users/{await made(full, '/Users', ANN)}"
    for rights in (apart("userName"), apart(hold=("userName",))):
        ask = await having(server, rights)
        for body in ({"schemas": [urns.USER]}, {"schemas": [urns.USER], "userName": "new"}):
            answer = await ask("POST", "/Users", body)
            assert (answer.status, "userName is held back" in answer.json["detail"]) == (403, True)
        assert (await ask("PUT", ann, {"schemas": [urns.USER], "title": "x"})).status == 200
        assert (await ask("PATCH", ann, patch("replace", "title", "y"))).status == 200
    assert (await full("GET", ann)).json["userName"] == "ann"


@pytest.mark.parametrize("name", ["members", "groups"])
async def test_t_30_membership_is_one_thing(server: Application, name: str) -> None:
    """Whoever does not see members sees no groups either, and no request of theirs touches a membership."""
    full = await having(server)
    ann = await made(full, "/Users", ANN)
    bea = await made(full, "/Users", {"schemas": [urns.USER], "userName": "bea"})
    team = {"schemas": [urns.GROUP], "displayName": "team", "members": [{"value": ann}]}
    group = f"/Groups/{await made(full, '/Groups', team)}"
    for rights in (apart(name), apart(hold=(name,))):
        ask, hides = await having(server, rights), bool(rights.without)
        assert ("members" in (await ask("GET", group)).json) is not hides
        assert ("groups" in (await ask("GET", f"/Users/{ann}")).json) is not hides
        for text in (f'members.value eq "{ann}"', "members pr"):
            assert (await ask("GET", f"/Groups?filter={text}")).status == (403 if hides else 200)
        assert (await ask("GET", "/Users?filter=groups.value pr")).status == (403 if hides else 200)
        for body in (
            patch("add", "members", [{"value": bea}]),
            patch("remove", "members"),
            patch("remove", f'members[value eq "{ann}"]'),
            patch("replace", "members", []),
        ):
            assert (await ask("PATCH", group, body)).status == 403, body
        for members, status in (([{"value": bea}], 403), ([], 200), (None, 200)):
            put = {**team, "displayName": "team 2", "members": members}
            assert (await ask("PUT", group, put)).status == status, members
        assert (await ask("PUT", group, team)).status == (403 if hides else 200)
        assert (await ask("POST", "/Groups", team)).status == 403
        assert (await ask("POST", "/Groups", {**team, "members": []})).status == 201
        assert [one["value"] for one in (await full("GET", group)).json["members"]] == [ann]


async def test_t_30_uniqueness_names_the_attribute_only(server: Application) -> None:
    """A value that somebody has whom the token would not find by it is refused without telling whose it is."""
    full = await having(server)
    await made(full, "/Users", ANN)
    ask = await having(server, apart("displayName", "name"))
    refused = await ask("POST", "/Users", {"schemas": [urns.USER], "userName": "ANN"})
    assert refused.status == 409
    assert b"userName" in refused.body
    assert not any(word in refused.body for word in (b"Secret", b"Open", b"Users/"))


NAMES = [
    ("rolls", "did you mean roles?"),
    ("name.familyNam", "did you mean name.familyName?"),
    ("roles.value", "name roles"),
    ("manager.value", "manager is held back as a whole"),
    ("meta.created", "every resource shows meta"),
    ("ID", "every resource shows id"),
    ("schemas", "every resource shows schemas"),
    ("urn:example:Thing:x", "no attribute of User or Group"),
    (",".join(["title"] * 3 + [f"x{n}" for n in range(3)]), "x0"),
]


@pytest.mark.parametrize(("name", "says"), NAMES)
def test_names_that_cannot_be_held_back(name: str, says: str) -> None:
    """They are refused when the token is made, with what is meant."""
    with pytest.raises(InvalidValue, match=re.escape(says)):
        apart(name)
    with pytest.raises(InvalidValue, match=re.escape(says)):
        apart(hold=(name,))


def test_names_are_kept_as_the_schema_has_them() -> None:
    """In any case, with and without URN, one or several in a text; and they survive storage, scopes and less."""
    rights = read_rights(
        ["users"], None, None, core_catalog(), without=["ROLES, Department", f"{urns.GROUP}:displayname"], hold=["roles,userName"]
    )  # fmt: skip
    assert rights.without == {"roles", f"{WORK}:department", f"{urns.GROUP}:displayName"}
    assert rights.hold == {"userName"}
    assert rights_of(rights.text) == rights
    assert rights_of('{"writes": false}') == Rights(writes=False)
    assert rights.is_within(ALL)
    assert not ALL.is_within(rights)
    assert apart("roles").is_within(apart(hold=("roles",)))
    assert not apart(hold=("roles",)).is_within(apart("roles"))
    assert meet(ALL, rights) == rights
    from rollbook.operations.context import Tenant

    for scope in ("read", "users", None, "read users"):
        asked = wanted(scope, rights, Tenant(1, core_catalog()))
        assert (asked.without, asked.hold) == (rights.without, rights.hold)
    granted = Issuer(1, "i", "https://i.example", "a", rights=rights).granted({"scope": "read"})
    assert granted is not None
    assert (granted.without, granted.writes) == (rights.without, False)


async def test_one_types_name_is_that_types_only(server: Application) -> None:
    """With the URN of a base schema before it, a name that several types have is of that one."""
    full = await having(server)
    await made(full, "/Users", ANN)
    await made(full, "/Groups", {"schemas": [urns.GROUP], "displayName": "team"})
    ask = await having(server, apart(f"{urns.GROUP}:displayName"))
    assert "displayName" in (await ask("GET", "/Users")).json["Resources"][0]
    assert "displayName" not in (await ask("GET", "/Groups")).json["Resources"][0]


async def test_rotation_keeps_what_is_held_back(server: Application) -> None:
    """The new token sees as little as the former."""
    full = await having(server)
    ann = f"/Users/{await made(full, '/Users', ANN)}"
    await having(server, apart("roles"))
    former = next(each for each in await server.store.tokens(1) if "roles" in each.rights)
    text = await tokens.rotate(server.store, former, now=now(), expires=None, until=now())
    answer = await AsgiCaller(server.asgi, text)("GET", f"{BASE}{ann}")
    assert answer.status == 200
    assert "roles" not in answer.json


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_what_is_held_back_takes_no_statements(server: Application) -> None:
    """The database is asked the same, with such a token and without; less where members are not to be seen."""
    full = await having(server)
    ann = await made(full, "/Users", ANN)
    group = {"schemas": [urns.GROUP], "displayName": "team", "members": [{"value": ann}]}
    team = await made(full, "/Groups", group)
    hiding = await having(server, apart("roles", "title", hold=("userName",)))
    blind = await having(server, apart("members"))
    asked: list[tuple[str, str, Any]] = [
        ("GET", f"/Users/{ann}", None),
        ("GET", "/Users?count=10", None),
        ("PATCH", f"/Users/{ann}", patch("replace", "nickName", "x")),
        ("GET", f"/Groups/{team}", None),
    ]
    for method, path, body in asked:
        seen = []
        for ask in (full, hiding, blind):
            await ask("GET", path)
            await full("PATCH", f"/Users/{ann}", patch("replace", "nickName", "y"))
            seen.append(await traced(server, partial(ask, method, path, body)))
        assert seen[0] == seen[1], path
        assert len(seen[2]) <= len(seen[0])
    assert sum("json_group_array" in sql for sql in seen[2]) <= sum(
        "json_group_array" in sql for sql in seen[0]
    )
