"""Many operations in few requests (client.md 9)."""

import orjson
import pytest
from tests.client.services import sent, service, user

from rollbook.client import BulkOperation, BulkResult
from rollbook.client.bulk import in_order, matched, read_result
from rollbook.protocol import errors, urns
from rollbook.protocol.values import JsonObject, JsonValue
from rollbook.testing.scripted_target import Answer, Fault, Profile, ScriptedTarget, error, html

pytestmark = pytest.mark.anyio

HAS_BULK = Profile(bulk_operations=100)
TITLE: JsonObject = {"op": "replace", "path": "title", "value": "Dr"}
MAIL: JsonObject = {"op": "add", "path": "emails", "value": [{"value": "a@b"}]}


def creates(number: int) -> list[BulkOperation]:
    """So many users."""
    return [BulkOperation.create("/Users", user(f"u{at}")) for at in range(number)]


def bulks(target: ScriptedTarget) -> list[list[JsonObject]]:
    """The operations of each bulk request."""
    return [request.body["Operations"] for request in target.requests if request.path == "/Bulk"]


def names(target: ScriptedTarget) -> list[str]:
    """The users that are there."""
    return [item["userName"] for item in target.resources["Users"].values()]


async def test_every_kind_of_operation() -> None:
    """Create, replace, patch, delete in one request, each with its result in order (C-9-02: PATCH data is a whole message)."""
    async with service(HAS_BULK) as (target, client):
        ids = [target.add("Users", user(name)) for name in ("ada", "grace", "alan")]
        results = await client.bulk(
            [
                BulkOperation.create("/Users", user("new")),
                BulkOperation.replace("/Users", ids[0], user("ada", title="Dr")),
                BulkOperation.patch("/Users", ids[1], [TITLE]),
                BulkOperation.delete("/Users", ids[2]),
            ]
        )
    assert [result.status for result in results] == [201, 200, 200, 204]
    assert all(result.ok for result in results)
    assert [result.id for result in results][1:] == ids
    assert results[0].id in target.resources["Users"]
    assert sorted(names(target)) == ["ada", "grace", "new"]
    (operations,) = bulks(target)
    assert operations[2]["data"]["schemas"] == [urns.PATCH_OP]
    assert [item.get("bulkId") for item in operations] == ["o0", None, None, None]


async def test_c_9_01_split_by_operations() -> None:
    """Never more than maxOperations in one request."""
    async with service(Profile(bulk_operations=4)) as (target, client):
        results = await client.bulk(creates(10))
    assert [len(operations) for operations in bulks(target)] == [4, 4, 2]
    assert [result.operation.data["userName"] for result in results if result.operation.data] == names(target)


async def test_c_9_01_split_by_bytes() -> None:
    """Never more than maxPayloadSize, counted in bytes of what is sent; one that is larger alone goes alone."""
    large = BulkOperation.create("/Users", user("large", title="ü" * 1000))
    several = [BulkOperation.create("/Users", user(f"u{at}", title="ü" * 100)) for at in range(6)]
    async with service(Profile(bulk_operations=100, bulk_bytes=1000)) as (target, client):
        results = await client.bulk([*several, large])
    sizes = [len(request.raw) for request in target.requests if request.path == "/Bulk"]
    assert len(sizes) > 2
    assert max(sizes) <= 1000
    assert max(sizes) > 600
    assert all(result.ok for result in results)
    assert sent(target)[-1] == "POST /Users"
    assert len(names(target)) == 7


async def test_c_9_01_one_by_one_without_bulk() -> None:
    """A service that announces none gets single requests; the results are the same."""
    async with service() as (target, client):
        results = await client.bulk(
            [*creates(2), BulkOperation.create("/Users", user("u0")), BulkOperation.delete("/Users", "none")]
        )
    assert [result.status for result in results] == [201, 201, 409, 404]
    assert isinstance(results[2].error, errors.Uniqueness)
    assert isinstance(results[3].error, errors.NotFound)
    assert results[0].id in target.resources["Users"]
    assert "POST /Bulk" not in sent(target)


@pytest.mark.parametrize("answer", [error(501, "no"), error(404, "no"), error(405, "no")])
async def test_c_2_05_announced_and_not_there(answer: Answer) -> None:
    """Found out once, remembered."""
    async with service(HAS_BULK) as (target, client):
        target.faults.append(Fault("POST", "/Bulk", answer, times=9))
        assert all(result.ok for result in await client.bulk(creates(2)))
        await client.bulk([BulkOperation.create("/Users", user("more"))])
    assert sent(target).count("POST /Bulk") == 1
    assert names(target) == ["u0", "u1", "more"]


async def test_c_9_02_references_in_one_request_and_across() -> None:
    """A group of users that are created with it; in other requests the ids are there already. Makers go first."""
    group = {
        "schemas": [urns.GROUP],
        "displayName": "Staff",
        "members": [{"value": "bulkId:a"}, {"value": "bulkId:b"}],
    }
    operations = [
        BulkOperation.create("/Groups", group),
        BulkOperation.create("/Users", user("ada"), "a"),
        BulkOperation.create("/Users", user("grace"), "b"),
        BulkOperation.patch("/Users", "bulkId:a", [TITLE]),
    ]
    for most in (100, 1):
        async with service(Profile(bulk_operations=most)) as (target, client):
            results = await client.bulk(operations)
        assert all(result.ok for result in results)
        assert target.named("Groups", "Staff")["members"] == [
            {"value": results[1].id},
            {"value": results[2].id},
        ]
        assert target.named("Users", "ada")["title"] == "Dr"
        (one, *_) = bulks(target)
        assert one[0]["bulkId"] == "a"


async def test_what_refers_to_what_was_not_made_is_not_sent() -> None:
    """A user could not be created: the group that names it in another request has an error of its own."""
    group = {"schemas": [urns.GROUP], "displayName": "Staff", "members": [{"value": "bulkId:a"}]}
    for profile in (Profile(bulk_operations=1), Profile()):
        async with service(profile) as (target, client):
            target.add("Users", user("ada"))
            results = await client.bulk(
                [BulkOperation.create("/Users", user("ada"), "a"), BulkOperation.create("/Groups", group)]
            )
        assert [result.status for result in results] == [409, None]
        assert isinstance(results[1].error, errors.InvalidValue)
        assert target.resources["Groups"] == {}


def test_c_9_02_bulk_ids_are_unique() -> None:
    """One name for two is a mistake of the caller; names of ours step aside."""
    from rollbook.client.bulk import with_bulk_ids

    with pytest.raises(ValueError, match="once"):
        with_bulk_ids([BulkOperation.create("/Users", {}, "x")] * 2)
    given = [BulkOperation.create("/Users", {}), BulkOperation.create("/Users", {}, "o0"), *creates(2)]
    assert len({item.bulk_id for item in with_bulk_ids(given)}) == 4


def test_c_9_06_order() -> None:
    """Makers before users, otherwise as given; a ring stays together."""

    def made(name: str, *needs: str) -> BulkOperation:
        return BulkOperation.create(
            "/Groups", {"members": [{"value": f"bulkId:{one}"} for one in needs]}, name
        )

    assert in_order([made("a", "c"), made("b"), made("c", "b")]) == [1, 2, 0]
    assert sorted(in_order([made("a", "b"), made("b", "a")])) == [0, 1]
    chain = [made(str(at), str(at + 1)) for at in range(5000)]
    assert in_order(chain)[0] == 4999


SENT = [
    BulkOperation.create("/Users", {}, "a"),
    BulkOperation.patch("/Users", "1", []),
    BulkOperation.delete("/Users", "2"),
    BulkOperation.patch("/Users", "1", []),
]
A: JsonObject = {"method": "POST", "bulkId": "a", "status": "201"}
B: JsonObject = {"method": "PATCH", "location": "https://x/v2/Users/1", "status": "200"}
C: JsonObject = {"method": "delete", "path": "/Users/2", "status": "204"}
D: JsonObject = {"method": "PATCH", "location": "https://x/v2/Users/1", "status": "400"}
MATCHES: list[tuple[str, list[JsonValue], list[JsonObject | None]]] = [
    ("in-order", [A, B, C, D], [A, B, C, D]),
    ("other-order", [C, B, D, A], [A, B, C, D]),
    ("c-9-03-fewer", [A, B], [A, B, None, None]),
    ("none", [], [None] * 4),
    (
        "by-position",
        [{"status": "201"}, {"status": "200"}],
        [{"status": "201"}, {"status": "200"}, None, None],
    ),
    ("not-another's-place", [C, A], [A, None, C, None]),
    ("junk", ["x", None, A], [A, None, None, None]),
    ("unknown-bulk-id", [{**A, "bulkId": "z"}], [None] * 4),
]


@pytest.mark.parametrize(
    ("answers", "expected"), [row[1:] for row in MATCHES], ids=[row[0] for row in MATCHES]
)
def test_c_9_03_matching(answers: list[JsonValue], expected: list[JsonObject | None]) -> None:
    """By bulkId, else by method and place, else by position."""
    assert matched(SENT, answers) == expected


@pytest.mark.parametrize(
    ("answer", "status", "kind"),
    [
        ({"status": "201"}, 201, None),
        ({"status": 201}, 201, None),
        ({"status": {"code": "201"}}, 201, None),
        ({"status": "409", "response": {"scimType": "uniqueness", "detail": "x"}}, 409, errors.Uniqueness),
        ({"status": "412"}, 412, errors.PreconditionFailed),
        ({"status": "500"}, 500, errors.TargetRefused),
        ({"status": "fine"}, None, errors.TargetRefused),
        ({}, None, errors.TargetRefused),
        (None, None, errors.TargetRefused),
    ],
)
def test_c_4_04_c_9_05_statuses(
    answer: JsonObject | None, status: int | None, kind: type[Exception] | None
) -> None:
    """Text, number or object; what is no success is an error, also where the whole answer was 200."""
    result = read_result(SENT[0], answer, "https://x/v2")
    assert result.status == status
    assert result.ok is (kind is None)
    assert kind is None or type(result.error) is kind


async def test_c_9_03_fail_on_errors() -> None:
    """After so many errors the rest is not done, in this request and in later ones; the results say so."""
    operations = [BulkOperation.create("/Users", user("same")) for _ in range(5)] + creates(3)
    async with service(Profile(bulk_operations=3)) as (target, client):
        results = await client.bulk(operations, fail_on_errors=3)
    assert [result.status for result in results] == [201, 409, 409, 409, None, None, None, None]
    assert names(target) == ["same"]
    assert [request.body["failOnErrors"] for request in target.requests if request.path == "/Bulk"] == [3, 1]


async def test_c_8_413_halves() -> None:
    """A service that takes less than it says: half, and half again."""
    async with service(HAS_BULK) as (target, client):
        before = target.before

        def narrow(request: object) -> None:
            if len(bulks(target)[-1] if bulks(target) else []) > 3:
                target.faults.append(Fault("POST", "/Bulk", error(413, "less")))
            before(request)  # type: ignore[arg-type]

        target.before = narrow
        results = await client.bulk(creates(10))
    assert [len(operations) for operations in bulks(target)][:3] == [10, 5, 2]
    assert all(result.ok for result in results)
    assert names(target) == [f"u{at}" for at in range(10)]


@pytest.mark.parametrize("commits", [True, False])
@pytest.mark.parametrize("answer", [None, html(502)])
async def test_c_9_04_lost_answers(answer: Answer | None, commits: bool) -> None:
    """Creates are looked for, and sent again only if they are not there: nobody twice, nobody missing."""
    async with service(HAS_BULK) as (target, client):
        own_id = target.add("Users", user("ada"))
        target.faults.append(Fault("POST", "/Bulk", answer, commits=commits))
        results = await client.bulk([*creates(3), BulkOperation.patch("/Users", own_id, [TITLE])])
    assert all(result.ok for result in results)
    assert names(target) == ["ada", "u0", "u1", "u2"]
    assert [result.status for result in results] == ([200] * 4 if commits else [201, 201, 201, 200])
    again = bulks(target)[1]
    assert [item["method"] for item in again] == (["PATCH"] if commits else ["POST", "POST", "POST", "PATCH"])


async def test_c_9_04_what_cannot_be_repeated_is_told() -> None:
    """An add to a list of unknown outcome is not sent again; the others are."""
    async with service(HAS_BULK) as (target, client):
        own_id = target.add("Users", user("ada"))
        target.faults.append(Fault("POST", "/Bulk"))
        results = await client.bulk([BulkOperation.patch("/Users", own_id, [MAIL]), *creates(1)])
    assert isinstance(results[0].error, errors.TargetUnavailable)
    assert results[1].ok
    assert len(bulks(target)) == 2


async def test_c_9_04_silence_has_an_end() -> None:
    """A service that answers no bulk request: each operation has an error, and nothing more is sent."""
    async with service(Profile(bulk_operations=2)) as (target, client):
        target.faults.append(Fault("POST", "/Bulk", times=99))
        results = await client.bulk(creates(6))
    assert [type(result.error) for result in results] == [errors.TargetUnavailable] * 6
    assert len(bulks(target)) == 2


async def test_load_is_told_without_asking() -> None:
    """429: nothing was done, and nothing is sent beyond it."""
    async with service(Profile(bulk_operations=2)) as (target, client):
        target.faults.append(Fault("POST", "/Bulk", error(429, "slow")))
        results = await client.bulk(creates(4))
    assert [type(result.error) for result in results] == [errors.TargetUnavailable] * 4
    assert sent(target) == ["POST /Bulk"]


async def test_a_refusal_of_the_whole() -> None:
    """At the beginning it is raised; later it is the error of what was not done, and what was done is not forgotten."""
    async with service(Profile(bulk_operations=2)) as (target, client):
        target.faults.append(Fault("POST", "/Bulk", error(403, "no")))
        with pytest.raises(errors.Forbidden):
            await client.bulk(creates(4))
        after = len(target.requests)

        def refuse(_: object) -> None:
            if len(target.requests) == after + 2:
                target.faults.append(Fault("POST", "/Bulk", error(403, "no")))

        target.before = refuse
        results = await client.bulk(creates(6))
    assert [result.ok for result in results] == [True, True, False, False, False, False]
    assert isinstance(results[5].error, errors.Forbidden)


async def test_nothing_to_do() -> None:
    """No operation, no request."""
    async with service(HAS_BULK) as (target, client):
        assert await client.bulk([]) == ()
    assert bulks(target) == []


async def test_versions_go_along() -> None:
    """An operation onto one version only says so in bulk, and alone as If-Match."""
    for profile in (Profile(bulk_operations=9, etags=True), Profile(etags=True)):
        async with service(profile) as (target, client):
            own_id = target.add("Users", user("ada"))
            right, wrong = await client.bulk(
                [
                    BulkOperation.patch("/Users", own_id, [TITLE], 'W/"0"'),
                    BulkOperation.delete("/Users", own_id, 'W/"0"'),
                ]
            )
        assert right.ok
        assert isinstance(wrong.error, errors.PreconditionFailed)
        assert own_id in target.resources["Users"]


def test_data_is_not_shown() -> None:
    """A result can be logged: what was sent is not part of its text."""
    assert "secret" not in repr(BulkResult(BulkOperation.create("/Users", {"password": "secret"})))
    assert orjson.loads(orjson.dumps(SENT[0].message()))["method"] == "POST"


@pytest.mark.parametrize("profile", [HAS_BULK, Profile()])
async def test_t_66_answers_about_others_are_not_believed(profile: Profile) -> None:
    """What a service says about another resource is an error; the id of a result is the one that was asked for."""
    async with service(profile) as (target, client):
        own_id = target.add("Users", user("ada"))
        location = f"{client._calls.ladder.base_url}/Users/root"
        result = {"method": "PATCH", "location": location, "status": "200"}
        target.faults.append(Fault("POST", "/Bulk", Answer(200, {"Operations": [result]})))
        target.faults.append(Fault("PATCH", "/Users", Answer(200, {"id": "root"})))
        (one,) = await client.bulk([BulkOperation.patch("/Users", own_id, [TITLE])])
        assert isinstance(one.error, errors.TargetRefused)
        target.faults[:] = [Fault("DELETE", "/Users", html(200))]
        if profile is not HAS_BULK:
            (gone,) = await client.bulk([BulkOperation.delete("/Users", own_id)])
            assert isinstance(gone.error, errors.TargetRefused)
