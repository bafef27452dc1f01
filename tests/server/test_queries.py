"""Queries over HTTP: order, index and cursor paging, .search, the root (RFC 7644 §3.4.2, §3.4.3; RFC 9865)."""

import re
from itertools import chain, pairwise
from typing import Any
from urllib.parse import quote

import pytest
from tests.server.conftest import Told

from rollbook.app import Application
from rollbook.operations import tokens
from rollbook.protocol import urns
from rollbook.testing.asgi import AsgiCaller, Response

pytestmark = pytest.mark.anyio

BASE = "/scim/v2"
USERS = f"{BASE}/Users"
PEOPLE: list[dict[str, Any]] = [
    {"userName": "dora", "name": {"familyName": "Özil"}, "emails": [{"value": "z@x"}]},
    {"userName": "Adam", "name": {"familyName": "lee"}, "title": "b", "externalId": "B"},
    {"userName": "bea", "emails": [{"value": "y@x"}, {"value": "a@x", "primary": True}], "externalId": "a"},
    {"userName": "carl", "name": {"familyName": "Lee"}, "title": "A"},
    {"userName": "Eve", "name": {"familyName": "Abel"}, "emails": [{"value": "M@x"}], "title": "c"},
]


async def fill(call: AsgiCaller) -> None:
    """Create the people, and two groups."""
    for person in PEOPLE:
        assert (await call("POST", USERS, {"schemas": [urns.USER], **person})).status == 201
    for name in ("Staff", "Board"):
        body = {"schemas": [urns.GROUP], "displayName": name}
        assert (await call("POST", f"{BASE}/Groups", body)).status == 201


@pytest.fixture
async def filled(call: AsgiCaller) -> AsgiCaller:
    """A server with people and groups."""
    await fill(call)
    return call


def names(answer: Response) -> list[str]:
    """The names of the users, or labels of the groups, on a page."""
    assert answer.status == 200, answer.body
    return [found.get("userName") or found["displayName"] for found in answer.json["Resources"]]


def refused(answer: Response) -> tuple[int, str | None]:
    """Status and scimType of a refusal; its detail is there."""
    assert answer.json["detail"]
    return answer.status, answer.json.get("scimType")


@pytest.mark.spec("P-3.4.2.3-04", "P-3.4.2.3-05", "P-3.4.2.3-06")
@pytest.mark.parametrize(
    ("query", "order"),
    [
        ("sortBy=userName", "Adam bea carl dora Eve"),
        ("sortBy=USERNAME&sortOrder=ascending", "Adam bea carl dora Eve"),
        ("sortBy=userName&sortOrder=descending", "Eve dora carl bea Adam"),
        ("sortBy=externalId", "Adam bea dora carl Eve"),
        ("sortBy=title", "carl Adam Eve dora bea"),
        ("sortBy=title&sortOrder=descending", "bea dora Eve Adam carl"),
        pytest.param("sortBy=name.familyName", "Eve Adam carl dora bea",
                     marks=pytest.mark.spec("P-3.4.2.3-03", "P-3.4.2.3-07")),
        pytest.param("sortBy=emails", "bea Eve dora Adam carl", marks=pytest.mark.spec("P-3.4.2.3-02")),
        pytest.param("sortBy=emails.value&sortOrder=descending", "carl Adam dora Eve bea",
                     marks=pytest.mark.spec("P-3.4.2.3-02")),
        ("sortBy=meta.created", "dora Adam bea carl Eve"),
        ("sortBy=id&sortOrder=descending", "Eve carl bea Adam dora"),
        pytest.param("sortOrder=descending", "dora Adam bea carl Eve", marks=pytest.mark.spec("P-3.4.2.3-08")),
        pytest.param("", "dora Adam bea carl Eve", marks=pytest.mark.spec("P-3.4.2.3-07")),
        ("sortBy=userName&startIndex=2&count=2", "bea carl"),
        ("sortBy=name.familyName&filter=" + quote('name.familyName eq "LEE" or title eq "c"'), "Eve Adam carl"),
    ],
)  # fmt: skip
async def test_order(filled: AsgiCaller, query: str, order: str) -> None:
    """Results come by type and caseExact of the attribute, those without a value last, or first when descending."""
    assert names(await filled("GET", f"{USERS}?{query}")) == order.split()


@pytest.mark.spec("P-3.4.2.3-03", "P-3.4.2.3-05")
@pytest.mark.parametrize(
    "query",
    ["sortBy=name", "sortBy=nosuch", "sortBy=password", "sortBy=groups", "sortBy=userName&sortOrder=up"],
)
async def test_no_order(filled: AsgiCaller, query: str) -> None:
    """A-43: what gives no order is 400/invalidValue."""
    assert refused(await filled("GET", f"{USERS}?{query}")) == (400, "invalidValue")


@pytest.mark.spec(
    "P-3.4.2.4-01", "P-3.4.2.4-02", "P-3.4.2.4-04", "P-3.4.2.4-06", "P-3.4.2.4-07", "P-3.4.2-08"
)
@pytest.mark.parametrize(
    ("query", "start", "found"),
    [
        ("", 1, "dora Adam bea carl Eve"),
        ("startIndex=2&count=2", 2, "Adam bea"),
        ("startIndex=0&count=1", 1, "dora"),
        ("startIndex=-5&count=1", 1, "dora"),
        ("startIndex=5&count=10", 5, "Eve"),
        ("count=0", 1, ""),
        pytest.param("count=-1", 1, "", marks=pytest.mark.spec("P-3.4.2.4-03")),
        pytest.param("startIndex=1000", 1000, "", marks=pytest.mark.spec("P-3.4.2.4-09")),
        pytest.param("count=100000", 1, "dora Adam bea carl Eve", marks=pytest.mark.spec("P-3.4.2.4-11")),
    ],
)
async def test_index_paging(filled: AsgiCaller, query: str, start: int, found: str) -> None:
    """A page by index says where it starts and how much it holds; the total is that of all matches."""
    answer = await filled("GET", f"{USERS}?{query}")
    assert names(answer) == found.split()
    counts = {name: answer.json[name] for name in ("totalResults", "startIndex", "itemsPerPage")}
    assert counts == {"totalResults": 5, "startIndex": start, "itemsPerPage": len(found.split())}
    assert not {"nextCursor", "previousCursor"} & answer.json.keys()


@pytest.mark.spec("P-3.4.2.4-10")
@pytest.mark.parametrize("query", ["startIndex=one", "count=abc", "count=1.0", "count="])
async def test_numbers_that_are_none(filled: AsgiCaller, query: str) -> None:
    """Text where a number is due is 400/invalidValue."""
    assert refused(await filled("GET", f"{USERS}?{query}")) == (400, "invalidValue")


@pytest.mark.spec("P-3.4.2.4-05")
async def test_the_server_sets_the_page_size(application: Application, filled: AsgiCaller) -> None:
    """Without count a page has the default size, and never more than filter.maxResults."""
    limits = application.tenant.settings.limits
    config = (await filled("GET", f"{BASE}/ServiceProviderConfig")).json
    assert config["filter"]["maxResults"] == limits.page
    assert config["pagination"]["defaultPageSize"] == limits.default_page
    assert len((await filled("GET", USERS)).json["Resources"]) <= limits.default_page


async def pages(call: AsgiCaller, query: str, cursor: str = "") -> list[dict[str, Any]]:
    """Every page of a walk from a cursor on."""
    found: list[dict[str, Any]] = []
    while True:
        answer = await call("GET", f"{USERS}?{query}&cursor={cursor}")
        assert answer.status == 200, answer.body
        found.append(answer.json)
        if "nextCursor" not in answer.json:
            return found
        cursor = answer.json["nextCursor"]


@pytest.mark.spec("P-9865-2-01", "P-9865-2-02", "P-9865-2-03", "P-9865-2-04", "P-9865-2-07")
@pytest.mark.parametrize("count", [1, 2, 5])
async def test_a_walk(filled: AsgiCaller, count: int) -> None:
    """A walk begins with an empty cursor, ends exactly after the last resource, and goes back the same way."""
    walked = await pages(filled, f"count={count}")
    seen = [[user["userName"] for user in page["Resources"]] for page in walked]
    assert list(chain(*seen)) == [person["userName"] for person in PEOPLE]
    assert [len(page) for page in seen[:-1]] == [count] * (len(seen) - 1)
    assert "previousCursor" not in walked[0]
    assert all(page["totalResults"] == 5 and "startIndex" not in page for page in walked)
    for before, page in pairwise(walked):
        assert re.fullmatch(r"[A-Za-z0-9._~-]+", before["nextCursor"])
        back = await filled("GET", f"{USERS}?count={count}&cursor={page['previousCursor']}")
        assert back.json["Resources"] == before["Resources"]
        assert ("previousCursor" in back.json) == ("previousCursor" in before)


@pytest.mark.spec("P-9865-2-10")
async def test_a_sorted_walk(filled: AsgiCaller) -> None:
    """Pages by cursor have the order asked for."""
    query = "count=2&sortBy=userName&sortOrder=descending&filter=" + quote("userName pr")
    walked = await pages(filled, query)
    order = [user["userName"] for page in walked for user in page["Resources"]]
    assert order == ["Eve", "dora", "carl", "bea", "Adam"]


async def test_a_walk_survives_changes(filled: AsgiCaller) -> None:
    """What is created or removed during a walk moves nobody else onto another page."""
    first = (await filled("GET", f"{USERS}?count=2&cursor=")).json
    gone, _ = first["Resources"]
    assert (await filled("DELETE", f"{USERS}/{gone['id']}")).status == 204
    body = {"schemas": [urns.USER], "userName": "new"}
    assert (await filled("POST", USERS, body)).status == 201
    rest = await pages(filled, "count=2", first["nextCursor"])
    assert [user["userName"] for page in rest for user in page["Resources"]] == ["bea", "carl", "Eve", "new"]


@pytest.mark.spec("P-9865-2-05")
@pytest.mark.parametrize("count", [0, -3])
async def test_a_walk_of_nothing(filled: AsgiCaller, count: int) -> None:
    """A count of zero or less gives the total and no resources."""
    answer = (await filled("GET", f"{USERS}?count={count}&cursor=")).json
    assert (answer["totalResults"], answer["Resources"]) == (5, [])
    assert "nextCursor" not in answer


@pytest.mark.spec("P-9865-2-06", "P-9865-2-08")
@pytest.mark.parametrize(
    ("query", "scim_type"),
    [
        ("count=2&filter=" + quote("title pr"), "invalidCursor"),
        ("count=2&sortBy=title", "invalidCursor"),
        ("count=2&attributes=userName", "invalidCursor"),
        pytest.param("count=3", "invalidCount", marks=pytest.mark.spec("P-9865-2-09")),
        ("count=two", "invalidCount"),
    ],
)
async def test_a_cursor_is_good_for_one_query(filled: AsgiCaller, query: str, scim_type: str) -> None:
    """Other parameters than those the walk began with are refused."""
    cursor = (await filled("GET", f"{USERS}?count=2&cursor=")).json["nextCursor"]
    assert refused(await filled("GET", f"{USERS}?{query}&cursor={cursor}")) == (400, scim_type)
    assert refused(await filled("GET", f"{BASE}/Groups?count=2&cursor={cursor}")) == (400, "invalidCursor")


@pytest.mark.spec("P-9865-2-09")
async def test_a_large_count_is_lowered(told: Told) -> None:
    """Beyond the largest page a count is lowered, in the first request and in those that follow."""
    call = await told("page=2")
    for name in ("ann", "bea", "cid"):
        await call("POST", USERS, {"userName": name})
    first = (await call("GET", f"{USERS}?count=5000&cursor=")).json
    assert len(first["Resources"]) == 2
    assert (await call("GET", f"{USERS}?count=4000&cursor={first['nextCursor']}")).status == 200


@pytest.mark.spec("P-9865-2-14")
async def test_two_ways_of_paging_at_once(filled: AsgiCaller) -> None:
    """A-38: startIndex and cursor together are 400/invalidValue."""
    assert refused(await filled("GET", f"{USERS}?startIndex=1&cursor=")) == (400, "invalidValue")


@pytest.mark.spec("P-9865-2-20", "P-9865-2-21")
async def test_a_forged_cursor(filled: AsgiCaller) -> None:
    """T-17, T-18: any character changed, a piece, or an invented cursor get the same words; contents are hidden."""
    cursor = (await filled("GET", f"{USERS}?count=2&cursor=&sortBy=userName")).json["nextCursor"]
    assert "bea" not in cursor
    forged = {
        cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1 :] for at in range(len(cursor))
    }
    forged |= {cursor[:-1] + other for other in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefgh-_" if other != cursor[-1]}
    forged |= {cursor[:-1], cursor[1:], cursor + "A", "x", "A" * 5000, "%00", "%C3%A9", "==", cursor + "="}
    answers = [await filled("GET", f"{USERS}?count=2&sortBy=userName&cursor={text}") for text in forged]
    assert {refused(answer) for answer in answers} == {(400, "invalidCursor")}
    assert len({answer.body for answer in answers}) == 1


@pytest.mark.spec("P-9865-2-18", "P-9865-2-19", "P-9865-2-21")
async def test_a_cursor_gives_no_rights(application: Application, filled: AsgiCaller) -> None:
    """A cursor of one caller is another's no more than an invented one, and dead once the token is."""
    store = application.store
    at = application.services.now()
    text = await tokens.issue(store, 1, "other", now=at, expires=at + 3_600_000)
    other = AsgiCaller(application.asgi, text)
    cursor = (await filled("GET", f"{USERS}?count=2&cursor=")).json["nextCursor"]
    foreign = await other("GET", f"{USERS}?count=2&cursor={cursor}")
    invented = await other("GET", f"{USERS}?count=2&cursor=AAAA")
    assert refused(foreign) == (400, "invalidCursor")
    assert foreign.body == invented.body
    assert (await AsgiCaller(application.asgi)("GET", f"{USERS}?count=2&cursor={cursor}")).status == 401


@pytest.mark.spec("P-9865-2-08")
async def test_an_old_cursor(application: Application, filled: AsgiCaller) -> None:
    """A cursor that has outlived its time is 400/expiredCursor."""
    cursor = (await filled("GET", f"{USERS}?count=2&cursor=")).json["nextCursor"]
    now, later = application.services.now, 3_600_001
    object.__setattr__(application.services, "now", lambda: now() + later)
    assert refused(await filled("GET", f"{USERS}?count=2&cursor={cursor}")) == (400, "expiredCursor")


@pytest.mark.spec("P-9865-2-12", "P-9865-2-13", "P-9865-2-16", "P-9865-2-17")
async def test_paging_is_announced(filled: AsgiCaller) -> None:
    """Both methods are offered, index is the default, and the figures are those that hold."""
    config = (await filled("GET", f"{BASE}/ServiceProviderConfig")).json
    assert config["sort"] == {"supported": True}
    assert config["pagination"] == {
        "cursor": True,
        "index": True,
        "defaultPaginationMethod": "index",
        "defaultPageSize": 100,
        "maxPageSize": 1000,
        "cursorTimeout": 3600,
    }
    assert (await filled("GET", USERS)).json["startIndex"] == 1


@pytest.mark.spec("P-9865-2-11", "P-9865-2-12")
async def test_cursor_as_default(told: Told) -> None:
    """Where cursors are the default, a list that names no method is the first page of a walk."""
    call = await told("default-paging=cursor", "cursor-totals=off")
    await fill(call)
    first = (await call("GET", f"{USERS}?count=3")).json
    assert "nextCursor" in first
    assert not {"startIndex", "totalResults"} & first.keys()
    assert (await call("GET", f"{USERS}?startIndex=2&count=1")).json["startIndex"] == 2
    config = (await call("GET", f"{BASE}/ServiceProviderConfig")).json
    assert config["pagination"]["defaultPaginationMethod"] == "cursor"


def search_request(**parameters: Any) -> dict[str, Any]:
    """A SearchRequest message."""
    return {"schemas": [urns.SEARCH_REQUEST], **parameters}


@pytest.mark.spec("P-3.4.3-01", "P-3.4.3-03", "P-3.4.3-05", "P-3.4.3-06")
@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("", {}),
        ("filter=" + quote('userName sw "A"'), {"filter": 'userName sw "A"'}),
        ("sortBy=userName&sortOrder=descending", {"sortBy": "userName", "sortOrder": "descending"}),
        ("startIndex=2&count=2", {"startIndex": 2, "count": 2}),
        ("attributes=userName,emails", {"attributes": ["userName", "emails"]}),
        ("excludedAttributes=name", {"excludedAttributes": ["name"]}),
        ("", {"filter": None, "attributes": None}),
    ],
)
async def test_search_is_the_query_of_its_body(filled: AsgiCaller, query: str, body: dict[str, Any]) -> None:
    """POST to .search gives what GET gives, and what stands in its URL is not looked at."""
    answer = await filled("POST", f"{USERS}/.search?count=0&filter=nonsense", search_request(**body))
    assert answer.status == 200
    assert answer.json == (await filled("GET", f"{USERS}?{query}")).json


@pytest.mark.spec("P-9865-2-15")
async def test_search_by_cursor(filled: AsgiCaller) -> None:
    """cursor and count work in the body, and a walk may go on in either form."""
    body = search_request(cursor="", count=3)
    first = (await filled("POST", f"{USERS}/.search", body)).json
    body["cursor"] = first["nextCursor"]
    second = (await filled("POST", f"{USERS}/.search", body)).json
    assert len(first["Resources"] + second["Resources"]) == 5
    mixed = (await filled("GET", f"{USERS}?count=3&cursor={first['nextCursor']}")).json
    assert mixed["Resources"] == second["Resources"]


@pytest.mark.spec("P-3.4.3-02", "P-3.4.3-04")
@pytest.mark.parametrize(
    ("body", "strict", "lenient"),
    [
        ({"filter": "userName pr"}, "invalidSyntax", None),
        (search_request(attributes="userName,title"), "invalidValue", None),
        (search_request(surprise=1), "invalidSyntax", None),
        (search_request(attributes=[1]), "invalidValue", "invalidValue"),
        (search_request(count="1"), "invalidValue", "invalidValue"),
        (search_request(count=True), "invalidValue", "invalidValue"),
        (search_request(count="1", cursor=""), "invalidCount", "invalidCount"),
        (search_request(filter=5), "invalidValue", "invalidValue"),
        (search_request(filter="userName"), "invalidFilter", "invalidFilter"),
        ([], "invalidSyntax", "invalidSyntax"),
        ({"schemas": [urns.PATCH_OP]}, "invalidSyntax", "invalidSyntax"),
    ],
)
async def test_search_requests_that_are_none(told: Told, body: Any, strict: str, lenient: str | None) -> None:
    """What a SearchRequest must be; lenient mode takes one without schemas, and names in one string."""
    for profile, scim_type in (("rfc", strict), ("auto", lenient)):
        call = await told(f"profile={profile}")
        answer = await call("POST", f"{USERS}/.search", body)
        expected = (200, None) if scim_type is None else (400, scim_type)
        assert (answer.status, answer.json.get("scimType")) == expected


@pytest.mark.spec(
    "P-3.4.2.1-01", "P-3.4.2.1-02", "P-3.4.2.1-03", "P-3.4.2.1-05", "P-3.4.2.1-07", "P-3.4.3-01"
)
@pytest.mark.parametrize(
    ("condition", "found"),
    [
        (None, "dora Adam bea carl Eve Staff Board"),
        ('meta.resourceType eq "User"', "dora Adam bea carl Eve"),
        ('meta.resourceType eq "Group"', "Staff Board"),
        ("userName pr", "dora Adam bea carl Eve"),
        ("not (userName pr)", "Staff Board"),
        ('title eq null and displayName sw "S"', "Staff"),
        ('userName ne "dora"', "Adam bea carl Eve Staff Board"),
        ('emails[type eq "work"]', ""),
        ('userName eq "Adam" or displayName eq "board"', "Adam Board"),
        ("nosuch pr", ""),
    ],
)  # fmt: skip
async def test_a_query_at_the_root(filled: AsgiCaller, condition: str | None, found: str) -> None:
    """All resources of all types; an attribute that a type does not have has no value, and that is no error."""
    query = f"?filter={quote(condition)}" if condition else ""
    answer = await filled("GET", f"{BASE}{query}")
    assert names(answer) == found.split()
    assert answer.json["totalResults"] == len(found.split())
    searched = await filled("POST", f"{BASE}/.search", search_request(filter=condition))
    assert searched.json == answer.json


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("startIndex=5&count=2", "Eve Staff"),
        ("startIndex=7", "Board"),
        ("startIndex=8", ""),
        ("count=0", ""),
        ("sortBy=userName", "Adam bea carl dora Eve Staff Board"),
        ("sortBy=displayName&count=3", "Board Staff dora"),
        ("sortBy=meta.resourceType&count=2", "Staff Board"),
        ("sortBy=userName&sortOrder=descending&startIndex=2&count=2", "Board Eve"),
    ],
)
async def test_pages_at_the_root(filled: AsgiCaller, query: str, found: str) -> None:
    """Pages and orders reach over all types, with the total of all."""
    answer = await filled("GET", f"{BASE}?{query}")
    assert names(answer) == found.split()
    assert answer.json["totalResults"] == 7


@pytest.mark.parametrize("sort", ["", "&sortBy=displayName"])
async def test_a_walk_at_the_root(filled: AsgiCaller, sort: str) -> None:
    """Cursors work over all types, forwards and back."""
    whole = names(await filled("GET", f"{BASE}?count=100{sort}"))
    first = await filled("GET", f"{BASE}?count=3&cursor={sort}")
    second = await filled("GET", f"{BASE}?count=3{sort}&cursor={first.json['nextCursor']}")
    third = await filled("GET", f"{BASE}?count=3{sort}&cursor={second.json['nextCursor']}")
    assert names(first) + names(second) + names(third) == whole
    assert "nextCursor" not in third.json
    back = await filled("GET", f"{BASE}?count=3{sort}&cursor={third.json['previousCursor']}")
    assert names(back) == names(second)


@pytest.mark.spec("P-3.4.2.1-04", "P-3.12-09")
async def test_too_many(application: Application, filled: AsgiCaller) -> None:
    """A query that would cost more than the server is willing to compute is 400/tooMany, and says what would help."""
    application.store._looked_at = 2
    for query in (f"filter={quote('title pr')}", "sortBy=title"):
        answer = await filled("GET", f"{USERS}?{query}")
        assert refused(answer) == (400, "tooMany")
        assert "title" in answer.json["detail"]
    assert refused(await filled("GET", f"{BASE}?sortBy=title&startIndex=10001")) == (400, "tooMany")


@pytest.mark.spec("P-7-06", "P-3.12-17")
async def test_sensitive_filters(told: Told) -> None:
    """What may not stand in a URL is 403/sensitive there, and found by POST to .search."""
    call = await told("sensitive-filters=emails,name.familyName")
    await fill(call)
    for condition in ('emails.value eq "m@x"', 'emails[value eq "m@x"]', 'not (NAME.familyName eq "Abel")'):
        answer = await call("GET", f"{USERS}?filter={quote(condition)}")
        assert refused(answer) == (403, "sensitive")
        assert ".search" in answer.json["detail"]
        assert (await call("POST", f"{USERS}/.search", search_request(filter=condition))).status == 200
    assert (await call("GET", f"{USERS}?filter={quote('name.givenName pr')}")).status == 200


async def test_t_52_a_query_in_a_body_is_not_as_long_as_a_resource(filled: AsgiCaller) -> None:
    """A million names of attributes held up everybody for eight seconds; a tenant's own limit holds, too, if it is lower."""
    asked = {"schemas": [urns.SEARCH_REQUEST], "attributes": ["a" * 100] * 2_500}
    assert (await filled("POST", f"{USERS}/.search", asked)).status == 200
    asked["attributes"] = ["a" * 100] * 2_600
    answer = await filled("POST", f"{USERS}/.search", asked)
    assert (answer.status, "262144 bytes" in answer.json["detail"]) == (413, True)


async def test_t_52_a_page_fits_into_memory(call: AsgiCaller) -> None:
    """Sixteen clients that read pages of large resources slowly took two gigabytes; smaller pages show everybody."""
    for number in range(36):
        photo = {"value": f"data:image/png;base64,{'A' * 1_000_000}"}
        body = {"schemas": [urns.USER], "userName": f"u{number}", "photos": [photo]}
        assert (await call("POST", "/scim/v2/Users", body)).status == 201
    for query in (
        "count=100",
        "count=100&cursor=",
        'count=100&filter=userName sw "u"',
        "count=100&sortBy=userName",
    ):
        answer = await call("GET", f"/scim/v2/Users?{quote(query, safe='=&')}")
        assert (answer.status, answer.json["scimType"]) == (400, "tooMany"), query
        assert "33554432 bytes together already; ask for smaller pages (count)" in answer.json["detail"]
    seen, cursor = [], ""
    while cursor is not None:
        page = (await call("GET", f"/scim/v2/Users?count=15&cursor={cursor}")).json
        seen += [each["userName"] for each in page["Resources"]]
        cursor = page.get("nextCursor")
    assert seen == [f"u{number}" for number in range(36)]
