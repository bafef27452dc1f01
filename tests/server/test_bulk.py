"""Bulk: what becomes of each operation, in which order, and what the whole answers (RFC 7644 §3.7)."""

import asyncio
import json
from typing import Any

import pytest
from tests.clubs import DEFINITIONS
from tests.server.conftest import STORES, Told
from tests.server.test_me import user_and_token
from tests.spec.bodies import BASE, ENTERPRISE, GROUPS, USERS, create, group, patch, replace, user, where

from rollbook.app import Application
from rollbook.operations import tokens
from rollbook.protocol import urns
from rollbook.testing.asgi import AsgiCaller, Response

pytestmark = pytest.mark.anyio

BULK = f"{BASE}/Bulk"
NEVER = "01a00000-0000-7000-8000-000000000000"
"""An id that nothing has."""

Json = dict[str, Any]


def bulk(*operations: Json, **rest: Any) -> Json:
    """A BulkRequest."""
    return {"schemas": [urns.BULK_REQUEST], **rest, "Operations": list(operations)}


def post(bulk_id: str, data: Json, path: str = "/Users") -> Json:
    """An operation that creates."""
    return {"method": "POST", "path": path, "bulkId": bulk_id, "data": data}


def op(method: str, path: str, data: Any = None, **rest: Any) -> Json:
    """Any other operation."""
    return {"method": method, "path": path, **({} if data is None else {"data": data}), **rest}


def with_manager(name: str, manager: str) -> Json:
    """A User with a manager."""
    return user(name, **{ENTERPRISE: {"manager": {"value": manager}}}) | {"schemas": [urns.USER, ENTERPRISE]}


async def results(call: AsgiCaller, *operations: Json, **rest: Any) -> list[Json]:
    """What became of each operation."""
    answer = await call("POST", BULK, bulk(*operations, **rest))
    assert answer.status == 200, answer.body
    assert answer.json["schemas"] == [urns.BULK_RESPONSE]
    found: list[Json] = answer.json["Operations"]
    return found


def statuses(found: list[Json]) -> list[str]:
    """The status of each result."""
    return [each["status"] for each in found]


def error(result: Json) -> tuple[str, str | None]:
    """Status and scimType of a result that failed; its response is the Error the single request would get (P-3.7-15)."""
    response = result["response"]
    assert response["schemas"] == [urns.ERROR]
    assert response["status"] == result["status"]
    assert response["detail"]
    return result["status"], response.get("scimType")


def created(result: Json) -> str:
    """The id of a resource that an operation created."""
    assert result["status"] == "201", result
    return str(result["location"].rpartition("/")[2])


async def total(call: AsgiCaller, endpoint: str = USERS) -> int:
    """How many resources there are."""
    return int((await call("GET", f"{endpoint}?count=0")).json["totalResults"])


@pytest.mark.spec("P-3.7-02", "P-3.7-04", "P-3.7-12", "P-3.7-14", "P-3.7-16", "P-3.7-08", "P-3.7-11")
async def test_each_method(call: AsgiCaller) -> None:
    """Every operation has one result in the order of the request: method, bulkId, location, version, status as text."""
    one, two = [await create(call, USERS, user(name)) for name in ("one", "two")]
    staff = await create(call, GROUPS, group())
    found = await results(
        call,
        post("a", user("ann")),
        op("PUT", f"/Users/{one['id']}", user("uno"), bulkId="b"),
        op("PATCH", f"/Users/{one['id']}", replace("title", "x")),
        op("DELETE", f"/Users/{two['id']}"),
        op("PATCH", f"Groups/{staff['id']}", replace("displayName", "crew")),
    )
    assert [{name: each[name] for name in each if name != "location"} for each in found] == [
        {"method": "POST", "bulkId": "a", "status": "201", "version": found[0]["version"]},
        {"method": "PUT", "bulkId": "b", "status": "200", "version": found[1]["version"]},
        {"method": "PATCH", "status": "200", "version": found[2]["version"]},
        {"method": "DELETE", "status": "204"},
        {"method": "PATCH", "status": "204", "version": found[4]["version"]},
    ]
    assert [each["location"] for each in found[1:4]] == [each["meta"]["location"] for each in (one, one, two)]
    for at, name in ((0, "ann"), (2, "uno")):
        answer = await call("GET", found[at]["location"].partition("localhost:8080")[2])
        assert (answer.json["userName"], answer.json["meta"]["version"]) == (name, found[at]["version"])
    assert (await call("GET", where(two))).status == 404
    assert (await call("GET", where(staff))).json["displayName"] == "crew"


PATHS: list[tuple[str, str, str | None]] = [
    ("/Users/{id}", "200", None),
    ("Users/{id}", "200", None),
    ("/Users/{id}/", "200", None),
    ("http://localhost:8080/scim/v2/Users/{id}", "200", None),
    ("https://elsewhere.example/scim/v2/Users/{id}", "400", "invalidValue"),
    ("/Users/{id}?attributes=id", "400", "invalidValue"),
    ("/users/{id}", "404", None),
    ("/Users/01a00000-0000-7000-8000-000000000000", "404", None),
    ("/Groups/{id}", "404", None),
    ("/Users", "405", None),
    ("/Schemas", "405", None),
    ("/Nothing/7", "404", None),
    ("", "400", "invalidSyntax"),
]


@pytest.mark.spec("P-3.7-04")
@pytest.mark.parametrize(("path", "status", "scim_type"), PATHS)
async def test_paths(call: AsgiCaller, path: str, status: str, scim_type: str | None) -> None:
    """A path is relative to the base; a missing slash and an absolute URI below the base are as good."""
    ann = await create(call, USERS, user())
    (found,) = await results(call, op("PATCH", path.format(id=ann["id"]), replace("displayName", "new")))
    assert found["status"] == status
    if status != "200":
        assert error(found) == (status, scim_type)
    name = (await call("GET", where(ann))).json.get("displayName")
    assert name == ("new" if status == "200" else None)


SINGLE: list[tuple[str, Json, tuple[str, str | None], str]] = [
    ("P-3.7-03 GET", op("GET", "/Users/{id}"), ("400", "invalidSyntax"), "POST, PUT, PATCH, DELETE"),
    ("P-3.7-03 lower case", op("put", "/Users/{id}", user()), ("400", "invalidSyntax"), "'put'"),
    ("P-3.7-04 no path", {"method": "PUT", "data": {}}, ("400", "invalidSyntax"), "path must be a string"),
    ("P-3.7-04 POST to a resource", post("a", user(), "/Users/{id}"), ("405", None), "POST goes to a type"),
    ("P-3.7-06 no data", op("PUT", "/Users/{id}"), ("400", "invalidSyntax"), "data is missing"),
    ("P-3.7-06 data null", op("POST", "/Users", bulkId="a"), ("400", "invalidSyntax"), "data is missing"),
    ("P-3.7-06 POST", post("a", group()), ("400", "invalidSyntax"), "schemas"),
    ("P-3.7-06 PATCH", op("PATCH", "/Users/{id}", {"title": "x"}), ("400", "invalidSyntax"), "Operations must be"),
    ("P-3.7-07", op("PATCH", "/Users/{id}", replace("title", "x"), version='W/"0-9"'), ("412", None), "version"),
    ("P-3.7-07 number", op("DELETE", "/Users/{id}", version=1), ("400", "invalidSyntax"), "version must be a string"),
    ("P-3.7-26", op("PATCH", "/Users/{id}", replace('emails[value sw "x"].type', "y")), ("400", "noTarget"), "emails"),
    ("P-3.7-26 unique", post("a", user()), ("409", "uniqueness"), "userName"),
    ("P-3.7-28 Bulk", post("a", bulk(), "/Bulk"), ("400", "invalidSyntax"), "by themselves"),
    ("P-3.7-28 .search", post("a", {}, "/Users/.search"), ("400", "invalidSyntax"), "by themselves"),
    ("P-3.7-28 .search at the root", post("a", {}, "/.search"), ("400", "invalidSyntax"), "by themselves"),
    ("P-3.7-28 Me", op("PUT", "/Me", user()), ("400", "invalidSyntax"), "by themselves"),
]  # fmt: skip


@pytest.mark.spec("P-3.7-09", "P-3.7-15")
@pytest.mark.parametrize(
    ("operation", "expected", "words"), [row[1:] for row in SINGLE], ids=[row[0] for row in SINGLE]
)
async def test_one_fails_and_the_others_do_not(
    call: AsgiCaller, operation: Json, expected: tuple[str, str | None], words: str
) -> None:
    """A-51, A-54: what is wrong with one operation is its own result; the server goes on with the others."""
    ann = await create(call, USERS, user())
    path = operation.get("path", "").format(id=ann["id"])
    bad = {**operation, **({"path": path} if path else {})}
    found = await results(call, post("x", user("bob")), bad, post("y", user("cid")), post("z", user("dee")))
    assert statuses(found) == ["201", expected[0], "201", "201"]
    assert error(found[1]) == expected
    assert words in found[1]["response"]["detail"]
    assert await total(call) == 4
    assert (await call("GET", where(ann))).json == ann


@pytest.mark.spec("P-3.7-13")
async def test_location_of_what_failed(call: AsgiCaller) -> None:
    """A failed PUT, PATCH or DELETE says where it went to; a failed POST has no location."""
    found = await results(
        call,
        op("PUT", f"/Users/{NEVER}", user()),
        op("PATCH", f"/Users/{NEVER}", replace("title", "x")),
        op("DELETE", f"/Users/{NEVER}"),
        op("DELETE", "/Nothing/a b\r\nX: y"),
        op("GET", "/Users/bulkId:no"),
        post("a", {}),
    )
    base = f"http://localhost:8080{BASE}"
    assert [each.get("location") for each in found] == [
        *[f"{base}/Users/{NEVER}"] * 3,
        f"{base}/Nothing/a%20b%0D%0AX:%20y",
        f"{base}/Users/bulkId:no",
        None,
    ]


@pytest.mark.spec("P-3.7-08", "P-3.7-09")
async def test_all_fail(call: AsgiCaller) -> None:
    """The request is answered 200 even if nothing could be done."""
    found = await results(call, *(op("DELETE", f"/Users/{NEVER}") for _ in range(100)))
    assert statuses(found) == ["404"] * 100
    assert await results(call) == []


BAD = op("DELETE", f"/Users/{NEVER}")


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (1, ["201", "404"]),
        (2, ["201", "404", "201", "404"]),
        (3, ["201", "404", "201", "404", "201", "404"]),
        (4, ["201", "404", "201", "404", "201", "404", "201"]),
        (None, ["201", "404", "201", "404", "201", "404", "201"]),
    ],
)
async def test_fail_on_errors(call: AsgiCaller, most: int | None, expected: list[str]) -> None:
    """P-3.7-10, P-3.7-11: after so many errors the rest is not carried out, and has no result."""
    sent = [
        post("a", user("a")),
        BAD,
        post("b", user("b")),
        BAD,
        post("c", user("c")),
        BAD,
        post("d", user("d")),
    ]
    found = await results(call, *sent, **({} if most is None else {"failOnErrors": most}))
    assert statuses(found) == expected
    assert await total(call) == expected.count("201")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param([], "must be a JSON object", id="array"),
        pytest.param({"schemas": [urns.PATCH_OP], "Operations": []}, "BulkRequest", id="P-3.7-02 another message"),
        pytest.param({"schemas": [urns.BULK_REQUEST]}, "Operations must be an array", id="no operations"),
        pytest.param(bulk("x"), "Operations[0] must be an object", id="no object"),  # type: ignore[arg-type]
        pytest.param(bulk({"path": "/Users"}), "method must be one of", id="no method"),
        pytest.param(bulk(post("a", user("b")), {**post("", user("c")), "bulkId": None}), "Operations[1]: POST needs a bulkId",
                     id="P-3.7-05 missing"),
        pytest.param(bulk(post("a", user("b")), post("a", user("c"))), "'a' is that of Operations[0] too", id="P-3.7-05 repeated"),
        pytest.param(bulk(post("", user("b"))), "must be a string that is not empty", id="P-3.7-05 empty"),
        pytest.param(bulk(post("a", user("b")), failOnErrors=0), "failOnErrors must be a whole number", id="failOnErrors 0"),
        pytest.param(bulk(post("a", user("b")), failOnErrors="1"), "failOnErrors must be", id="failOnErrors text"),
        pytest.param({**bulk(), "operations": []}, "two spellings", id="Operations twice"),
    ],
)  # fmt: skip
async def test_refused_as_a_whole(call: AsgiCaller, body: Any, words: str) -> None:
    """A-51: a request that is no BulkRequest, or whose bulkIds cannot be trusted, is refused before anything is done."""
    answer = await call("POST", BULK, body)
    assert (answer.status, answer.json["scimType"]) == (400, "invalidSyntax")
    assert words in answer.json["detail"]
    assert await total(call) == 0


async def test_names_in_any_case(call: AsgiCaller) -> None:
    """A-56: the members of the message are found whatever their case."""
    body = {
        "SCHEMAS": [urns.BULK_REQUEST.upper()],
        "FailOnErrors": 1,
        "operations": [{"METHOD": "POST", "Path": "/Users", "BULKID": "a", "Data": user()}],
    }
    answer = await call("POST", BULK, body)
    assert [each["status"] for each in answer.json["Operations"]] == ["201"]


@pytest.mark.parametrize("body", [bulk() | {"x": 1}, bulk({**BAD, "x": 1})], ids=["message", "operation"])
async def test_unknown_members(told: Told, body: Json) -> None:
    """A-03: members that nobody defined are passed over, and refused in strict mode with what is known."""
    assert (await (await told())("POST", BULK, body)).status == 200
    answer = await (await told("profile=rfc"))("POST", BULK, body)
    assert answer.status == 400
    assert "Operations" in answer.json["detail"] or "bulkId" in answer.json["detail"]


@pytest.mark.spec("P-3.7-06")
async def test_patch_as_a_list(told: Told) -> None:
    """The operations alone as data of PATCH are accepted, except in strict mode, which names the quirk."""
    for profile, status in (("auto", "200"), ("rfc", "400")):
        call = await told(f"profile={profile}")
        ann = await create(call, USERS, user(profile))
        list_only = [{"op": "replace", "path": "title", "value": "x"}]
        (found,) = await results(call, op("PATCH", f"/Users/{ann['id']}", list_only))
        assert found["status"] == status
        assert status == "200" or "whole PatchOp" in found["response"]["detail"]


class TestReferences:
    """`bulkId:x` in the place of an id (RFC 7644 §3.7.2; A-53)."""

    @pytest.mark.spec("P-3.7-18", "P-3.7-17")
    async def test_forward_and_backward(self, call: AsgiCaller) -> None:
        """Members, managers and extensions of resources that come before or after are replaced by their ids."""
        found = await results(
            call,
            post("staff", group("staff", "bulkId:ann", "bulkId:boss"), "/Groups"),
            post("ann", with_manager("ann", "bulkId:boss")),
            post("boss", user("boss")),
            post("board", group("board", "bulkId:boss"), "/Groups"),
        )
        staff, ann, boss, board = map(created, found)
        members = [(await call("GET", f"{GROUPS}/{each}")).json["members"] for each in (staff, board)]
        assert [{member["value"] for member in each} for each in members] == [{ann, boss}, {boss}]
        shown = (await call("GET", f"{USERS}/{ann}")).json[ENTERPRISE]["manager"]
        assert shown == {
            "value": boss,
            "$ref": f"http://localhost:8080{USERS}/{boss}",
            "displayName": "boss",
        }

    @pytest.mark.spec("P-3.7-19")
    @pytest.mark.parametrize(
        "operation",
        [
            pytest.param(op("PUT", "/Users/bulkId:ann", user("ann", title="x")), id="path"),
            pytest.param(op("PATCH", "/Users/bulkId:ann", replace("title", "x")), id="path of PATCH"),
            pytest.param(
                op("PATCH", "/Groups/{staff}", patch({"op": "add", "path": "members", "value": [{"value": "bulkId:ann"}]})),
                id="value",
            ),
            pytest.param(
                op("PATCH", "/Groups/{staff}", patch({"op": "add", "value": {"members": [{"value": "bulkId:ann"}]}})),
                id="value without path",
            ),
            pytest.param(
                op("PATCH", "/Groups/{full}", patch({"op": "remove", "path": 'members[value eq "bulkId:ann"]'})),
                id="path filter",
            ),
            pytest.param(
                op("PATCH", "/Groups/{staff}",
                   patch({"op": "add", "path": "members", "value": [{"value": "bulkId:ann", "$ref": "../Users/bulkId:ann"}]})),
                id="$ref",
            ),
        ],
    )  # fmt: skip
    async def test_where(self, call: AsgiCaller, operation: Json) -> None:
        """In paths, PATCH values, PATCH path filters and `$ref`, whichever operation comes first."""
        staff, full = [await create(call, GROUPS, group(name)) for name in ("staff", "full")]
        path = operation["path"].format(staff=staff["id"], full=full["id"])
        fill = patch({"op": "add", "path": "members", "value": [{"value": "bulkId:ann"}]})
        found = await results(
            call,
            {**operation, "path": path} if "full" not in operation["path"] else post("o", user("other")),
            post("ann", user("ann")),
            op("PATCH", f"/Groups/{full['id']}", fill),
            *([{**operation, "path": path}] if "full" in operation["path"] else []),
        )
        assert all(each["status"] < "300" for each in found), found
        ann = created(found[1])
        title = (await call("GET", f"{USERS}/{ann}")).json.get("title")
        shown = [(await call("GET", where(each))).json.get("members", []) for each in (staff, full)]
        has = [[member["value"] for member in each] == [ann] for each in shown]
        if "full" in operation["path"]:
            assert has == [False, False]
        else:
            assert [title == "x", has[0]].count(True) == 1
            assert has[1]

    async def test_create_and_use_and_delete(self, call: AsgiCaller) -> None:
        """P-3.7-17: the outcome is that of the order given: made, changed, made a member, removed."""
        found = await results(
            call,
            post("a", user("ann")),
            op("PATCH", "/Users/bulkId:a", replace("title", "x")),
            post("g", group("staff", "bulkId:a"), "/Groups"),
            op("DELETE", "/Users/bulkId:a"),
            post("b", user("ann")),
        )
        assert statuses(found) == ["201", "200", "201", "204", "201"]
        assert (await call("GET", f"{USERS}/{created(found[0])}")).status == 404
        assert "members" not in (await call("GET", f"{GROUPS}/{created(found[2])}")).json
        assert await total(call) == 1

    @pytest.mark.spec("P-3.7-20")
    async def test_managers_in_a_ring(self, call: AsgiCaller) -> None:
        """Two users who are each other's manager are both made, also among others that refer to them."""
        found = await results(
            call,
            post("g", group("staff", "bulkId:a", "bulkId:b"), "/Groups"),
            post("a", with_manager("ann", "bulkId:b")),
            post("b", with_manager("bob", "bulkId:a")),
            post("self", with_manager("self", "bulkId:self")),
        )
        ids = list(map(created, found))
        shown = [
            (await call("GET", f"{USERS}/{each}")).json[ENTERPRISE]["manager"]["value"] for each in ids[1:]
        ]
        assert shown == [ids[2], ids[1], ids[3]]

    @pytest.mark.spec("P-3.7-20")
    async def test_groups_in_a_ring(self, call: AsgiCaller) -> None:
        """A-70: two groups that contain each other get 409 and none of them is there; others are."""
        found = await results(
            call,
            post("a", group("a", "bulkId:b"), "/Groups"),
            post("b", group("b", "bulkId:a"), "/Groups"),
            post("c", group("c", "bulkId:a"), "/Groups"),
            post("d", group("d", "bulkId:d"), "/Groups"),
            post("e", group("e"), "/Groups"),
        )
        assert statuses(found) == ["409", "409", "409", "409", "201"]
        assert await total(call, GROUPS) == 1

    async def test_one_of_a_ring_is_bad(self, call: AsgiCaller) -> None:
        """P-3.7-20: the one at fault has its own error, the others say that they were not carried out because of it."""
        found = await results(
            call,
            post("a", with_manager("ann", "bulkId:b")),
            post("b", {**with_manager("bob", "bulkId:a"), "active": "maybe"}),
        )
        assert [error(each) for each in found] == [("409", None), ("400", "invalidValue")]
        assert "bulkId 'b'" in found[0]["response"]["detail"]
        assert await total(call) == 0

    @pytest.mark.spec("P-3.7-21")
    async def test_to_what_failed(self, call: AsgiCaller) -> None:
        """Whoever refers to a POST that failed, directly or by way of others, gets 409 naming it, in any order."""
        found = await results(
            call,
            post("c", group("c", "bulkId:b"), "/Groups"),
            post("b", with_manager("bob", "bulkId:a")),
            post("a", {"schemas": [urns.USER]}),
            op("PATCH", "/Users/bulkId:a", replace("title", "x")),
            post("z", user("zed")),
        )
        assert [error(each) for each in found[:4]] == [
            ("409", None), ("409", None), ("400", "invalidValue"), ("409", None),
        ]  # fmt: skip
        assert ["'a'" in found[at]["response"]["detail"] for at in (1, 3)] == [True, True]
        assert found[4]["status"] == "201"
        assert await total(call) == 1
        assert await total(call, GROUPS) == 0

    @pytest.mark.spec("P-3.7-21")
    @pytest.mark.parametrize(
        "operation",
        [
            pytest.param(post("x", group("g", "bulkId:no"), "/Groups"), id="member"),
            pytest.param(post("x", with_manager("ann", "bulkId:no")), id="manager"),
            pytest.param(op("DELETE", "/Users/bulkId:no"), id="path"),
            pytest.param(
                op("PATCH", "/Groups/{id}", patch({"op": "remove", "path": 'members[value eq "bulkId:no"]'})),
                id="path filter",
            ),
        ],
    )
    async def test_to_what_is_not_there(self, call: AsgiCaller, operation: Json) -> None:
        """A bulkId that no POST of the request has is 400/invalidValue."""
        staff = await create(call, GROUPS, group())
        (found,) = await results(call, {**operation, "path": operation["path"].format(id=staff["id"])})
        assert error(found) == ("400", "invalidValue")
        assert "no POST of this request has bulkId 'no'" in found["response"]["detail"]

    async def test_words_that_look_like_it(self, call: AsgiCaller) -> None:
        """Elsewhere the text is text: a note that says bulkId: is kept as it is."""
        (found,) = await results(call, post("x", user("ann", title="see bulkId:y", nickName="bulkId:y")))
        shown = (await call("GET", f"{USERS}/{created(found)}")).json
        assert (shown["title"], shown["nickName"]) == ("see bulkId:y", "bulkId:y")

    async def test_outside_bulk(self, call: AsgiCaller) -> None:
        """T-38: in a request of its own bulkId: means nothing."""
        answer = await call("POST", GROUPS, group("g", "bulkId:x"))
        assert (answer.status, answer.json["scimType"]) == (400, "invalidValue")
        assert (await call("GET", f"{USERS}/bulkId:x")).status == 404

    async def test_types_of_our_own(self, told: Told) -> None:
        """P-3.7-18: references of custom resource types and of extensions are replaced, too."""
        call = await told(definitions=DEFINITIONS)
        clubs = "urn:example:clubs:2.0:"
        student = {
            "schemas": [f"{clubs}Student", f"{clubs}Desk"],
            "displayName": "Olga",
            "tutor": {"value": "bulkId:emmy"},
            f"{clubs}Desk": {"keeper": {"value": "bulkId:emmy"}},
        }
        found = await results(
            call,
            post("olga", student, "/Students"),
            post("emmy", {"schemas": [f"{clubs}Professor"], "displayName": "Emmy"}, "/Professors"),
        )
        olga, emmy = map(created, found)
        shown = (await call("GET", f"{BASE}/Students/{olga}")).json
        assert shown["tutor"]["value"] == shown[f"{clubs}Desk"]["keeper"]["value"] == emmy

    async def test_strict_references(self, told: Told) -> None:
        """Where everything that is referred to must exist, what the same request makes does."""
        call = await told("references=strict")
        found = await results(
            call,
            post("a", with_manager("ann", "bulkId:b")),
            post("b", with_manager("bob", "bulkId:a")),
            post("c", with_manager("cid", "bulkId:b")),
            post("d", with_manager("dan", NEVER)),
        )
        assert statuses(found) == ["201", "201", "201", "400"]


@pytest.mark.spec("P-3.7-22", "P-3.7-23")
async def test_too_many_operations(call: AsgiCaller) -> None:
    """Beyond maxOperations: 413 that names the limit, and nothing was carried out; the limit itself is fine."""
    config = (await call("GET", f"{BASE}/ServiceProviderConfig")).json["bulk"]
    most = config["maxOperations"]
    assert config == {"supported": True, "maxOperations": 1000, "maxPayloadSize": 4_194_304}
    sent = [post(str(at), user(f"u{at}")) for at in range(most)]
    answer = await call("POST", BULK, bulk(*sent, BAD))
    assert answer.status == 413
    assert answer.json["status"] == "413"
    assert "maxOperations" in answer.json["detail"]
    assert await total(call) == 0
    assert statuses(await results(call, *sent)) == ["201"] * most
    assert await total(call) == most


@pytest.mark.spec("P-3.7-22", "P-3.7-23", "P-3.7-24")
@pytest.mark.parametrize("declared", [True, False])
async def test_too_large(call: AsgiCaller, declared: bool) -> None:
    """Beyond maxPayloadSize: 413 that names the limit, while it is being read, declared or not; the limit is fine."""
    most = (await call("GET", f"{BASE}/ServiceProviderConfig")).json["bulk"]["maxPayloadSize"]
    whole = json.dumps(bulk(post("a", user("ann")))).encode()
    fitting = whole[:-1] + b" " * (most - len(whole)) + b"}"
    answer = await call("POST", BULK, fitting)
    assert [each["status"] for each in answer.json["Operations"]] == ["201"]
    headers = {"content-length": str(most + 1)} if declared else None
    answer = await call("POST", BULK, fitting[:-1] + b"\xff}", headers)
    assert answer.status == 413
    assert "maxPayloadSize" in answer.json["detail"]


@pytest.mark.spec("P-3.7-24")
async def test_compressed(call: AsgiCaller) -> None:
    """A-57: a compressed body is not read at all."""
    answer = await call("POST", BULK, bulk(), {"content-encoding": "gzip"})
    assert answer.status == 415


@pytest.mark.spec("P-3.7-25", "P-2-03")
async def test_each_is_authorised(application: Application, call: AsgiCaller) -> None:
    """I-09, T-09: a token that acts for a user does in a bulk request what it may do in single ones, and no more."""
    ann, own = await user_and_token(application, call)
    other = await create(call, USERS, user("bob"))
    found = await results(
        own,
        op("PATCH", f"/Users/{other['id']}", replace("title", "x")),
        op("DELETE", f"/Users/{ann['id']}"),
        post("a", user("cid")),
        op("PATCH", f"/Users/{ann['id']}", replace("nickName", "x")),
        post("b", with_manager("dan", "bulkId:c")),
        post("c", with_manager("eve", "bulkId:b")),
    )
    assert statuses(found) == ["403"] * 6
    assert await total(call) == 2
    assert (await AsgiCaller(own.app)("POST", BULK, bulk())).status == 401


async def test_self_service(told: Told) -> None:
    """P-3.7-25: what a user may change of their own, a bulk request changes, and nothing else."""
    call = await told("self-service=nickName")
    ann = await create(call, USERS, user("ann"))
    store = STORES[call]
    text = await tokens.issue(store, 1, "ann's", now=1, expires=None, user=ann["id"])
    own = AsgiCaller(call.app, text)
    found = await results(
        own,
        op("PATCH", f"/Users/{ann['id']}", replace("nickName", "x")),
        op("PATCH", f"/Users/{ann['id']}", replace("title", "x")),
    )
    assert statuses(found) == ["200", "403"]


@pytest.mark.spec("P-3.7-27")
async def test_each_is_whole_or_not_there(call: AsgiCaller) -> None:
    """A-54: an operation that fails leaves nothing behind, those beside it are kept; members and log agree."""
    ann = await create(call, USERS, user("ann"))
    found = await results(
        call,
        post("g", group("g", ann["id"], NEVER), "/Groups"),
        op("PATCH", f"/Users/{ann['id']}", patch(*replace("title", "x")["Operations"], {"op": "remove", "path": "userName"})),
        post("h", group("h", ann["id"]), "/Groups"),
    )  # fmt: skip
    assert statuses(found) == ["400", "400", "201"]
    shown = (await call("GET", where(ann))).json
    assert "title" not in shown
    assert [each["display"] for each in shown["groups"]] == ["h"]


@pytest.mark.spec("P-3.7-07")
async def test_versions(call: AsgiCaller) -> None:
    """The version that was read lets an operation through once; `*` always does."""
    ann = await create(call, USERS, user("ann"))
    version, path = ann["meta"]["version"], f"/Users/{ann['id']}"
    found = await results(
        call,
        op("PATCH", path, replace("title", "x"), version=version),
        op("PATCH", path, replace("title", "y"), version=version),
        op("PATCH", path, replace("title", "z"), version="*"),
    )
    assert statuses(found) == ["200", "412", "200"]


@pytest.mark.spec("P-3.7-16", "P-3.14-10")
async def test_without_etags_and_with_if_match_required(told: Told) -> None:
    """No versions are told if there are no ETags; where they are required, an operation without gets 428."""
    call = await told("off=etag")
    assert "version" not in (await results(call, post("a", user("ann"))))[0]
    call = await told("require-if-match=on")
    ann = (await call("GET", f"{USERS}?filter=userName%20eq%20%22ann%22")).json["Resources"][0]
    path = f"/Users/{ann['id']}"
    found = await results(call, op("DELETE", path), op("DELETE", path, version=ann["meta"]["version"]))
    assert statuses(found) == ["428", "204"]


@pytest.mark.spec("P-3.7-01")
async def test_switched_off(told: Told) -> None:
    """With bulk off /Bulk gives 501 for every method, and ServiceProviderConfig says so."""
    call = await told("off=bulk")
    assert (await call("POST", BULK, bulk())).status == 501
    assert (await call("GET", BULK)).status == 501
    config = (await call("GET", f"{BASE}/ServiceProviderConfig")).json["bulk"]
    assert config == {"supported": False, "maxOperations": 0, "maxPayloadSize": 0}


async def test_only_post(call: AsgiCaller) -> None:
    """P-3.2-05: /Bulk takes POST."""
    assert (await call("GET", BULK)).status == 405


async def test_patch_switched_off(told: Told) -> None:
    """What the server does not offer it does not offer in a bulk request."""
    call = await told("off=patch")
    ann = await create(call, USERS, user("ann"))
    found = await results(call, op("PATCH", f"/Users/{ann['id']}", replace("title", "x")))
    assert statuses(found) == ["501"]


@pytest.mark.parametrize(
    "operations",
    [
        pytest.param(
            [post("u0", user("u0")), *(post(f"u{at}", with_manager(f"u{at}", f"bulkId:u{at - 1}")) for at in range(1, 1000))],
            id="chain forwards",
        ),
        pytest.param(
            [*(post(f"u{at}", with_manager(f"u{at}", f"bulkId:u{at + 1}")) for at in range(999)), post("u999", user("u999"))],
            id="chain backwards",
        ),
        pytest.param(
            [post(f"u{at}", with_manager(f"u{at}", f"bulkId:u{(at + 1) % 1000}")) for at in range(1000)],
            id="ring of all",
        ),
        pytest.param(
            [post("g", group("g", *(f"bulkId:u{at}" for at in range(999))), "/Groups"),
             *(post(f"u{at}", user(f"u{at}")) for at in range(999))],
            id="one group of all",
        ),
    ],
)  # fmt: skip
async def test_as_large_as_can_be(call: AsgiCaller, operations: list[Json]) -> None:
    """T-38: chains and rings of a thousand are made, in the order of what they need."""
    assert statuses(await results(call, *operations)) == ["201"] * 1000


@pytest.mark.spec("P-3.7-14")
async def test_long_bulk_ids(call: AsgiCaller) -> None:
    """T-38: a bulkId of 10 kB, one that looks like an id, and one with quotes and newlines name what they name."""
    for bulk_id in ("x" * 10_000, NEVER, 'a"]\r\nb'):
        found = await results(
            call,
            post(bulk_id, user(f"ann {len(bulk_id)}")),
            post("g", group("g", f"bulkId:{bulk_id}"), "/Groups"),
            op("PATCH", "/Groups/bulkId:g", patch({"op": "remove", "path": f"members[value eq {json.dumps('bulkId:' + bulk_id)}]"})),
        )  # fmt: skip
        if len(bulk_id) < 10_000:
            assert statuses(found) == ["201", "201", "204"]
        else:
            assert statuses(found) == ["201", "201", "400"]  # the path is longer than any may be
        assert found[0]["bulkId"] == bulk_id


async def test_others_are_answered_meanwhile(call: AsgiCaller) -> None:
    """While a thousand operations are carried out, requests of others have their turn, and the answer has begun."""
    ann = await create(call, USERS, user("ann"))
    sent = asyncio.create_task(
        call("POST", BULK, bulk(*(post(str(at), user(f"u{at}")) for at in range(1000))))
    )
    answered = 0
    while not sent.done():
        assert (await call("GET", where(ann))).status == 200
        answered += 1
        await asyncio.sleep(0)
    assert statuses((await sent).json["Operations"]) == ["201"] * 1000
    assert answered > 50


async def test_budget_of_patches(call: AsgiCaller) -> None:
    """T-53: what all patches of a request may look at is bounded together."""
    ann = await create(
        call, USERS, user("ann", emails=[{"value": f"{at}@example.com"} for at in range(1000)])
    )
    condition = " or ".join(f'value eq "x{at}"' for at in range(40))
    costly = patch({"op": "remove", "path": f"emails[{condition}]"})
    found = await results(call, *(op("PATCH", f"/Users/{ann['id']}", costly) for _ in range(20)))
    assert {error(each)[1] for each in found[-5:]} == {"tooMany"}


async def test_a_client_that_goes_away(application: Application, call: AsgiCaller) -> None:
    """When nobody reads the answer any more, what was begun is finished and nothing else is started."""
    body = json.dumps(bulk(*(post(str(at), user(f"u{at}")) for at in range(1000)))).encode()
    parts = 0

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        nonlocal parts
        parts += 1
        if parts == 4:
            raise OSError("connection reset")

    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "scheme": "http", "path": BULK,
        "raw_path": BULK.encode(), "query_string": b"", "root_path": "", "client": ("127.0.0.1", 1),
        "server": ("localhost", 8080),
        "headers": [(b"host", b"localhost:8080"), (b"authorization", f"Bearer {call.token}".encode())],
    }  # fmt: skip
    with pytest.raises(OSError, match="connection reset"):
        await application.asgi(scope, receive, send)
    await create(call, USERS, user("the last in the queue"))
    made = await total(call)
    assert made < 1000
    await asyncio.sleep(0.1)
    assert await total(call) == made
    assert await application.store.check() == []


async def test_parts_are_in_order(call: AsgiCaller) -> None:
    """P-3.7-11: results are those of the request's order, whatever order the operations were carried out in."""
    sent = [post(str(at), with_manager(f"u{at}", f"bulkId:{999 - at}") if at < 500 else user(f"u{at}")) for at in range(1000)]  # fmt: skip
    answer: Response = await call("POST", BULK, bulk(*sent))
    assert [each["bulkId"] for each in answer.json["Operations"]] == list(map(str, range(1000)))
    assert "content-length" not in answer.headers
