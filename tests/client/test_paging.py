"""Walking through pages that are short, shift, repeat or end early (client.md 7)."""

import pytest
from tests.client.services import service, user

from rollbook.client import CursorWalk, ScimClient
from rollbook.client.paging import Walk
from rollbook.client.results import ListPage, ScimResource, read_page
from rollbook.protocol import errors
from rollbook.protocol.errors import TargetRefused
from rollbook.protocol.values import JsonValue
from rollbook.testing.asgi_transport import AsgiTransport
from rollbook.testing.scripted_target import Fault, Profile, Recorded, ScriptedTarget, error

pytestmark = pytest.mark.anyio


def resource(remote_id: int) -> ScimResource:
    """A resource that is nothing but its id."""
    return ScimResource(str(remote_id), None, None, {})


async def walk(pages: dict[int, ListPage]) -> tuple[list[int], bool, list[int]]:
    """The ids a walk over these pages shows, whether it was complete, and the start indexes it asked for."""
    asked: list[int] = []

    async def fetch(start_index: int) -> ListPage:
        asked.append(start_index)
        return pages[start_index]

    journey = Walk(fetch)
    found = [int(item.id) async for item in journey]
    return found, journey.complete, asked


def page(total: int, start: int, *ids: int) -> ListPage:
    """A page with these ids."""
    return ListPage(total, start, tuple(map(resource, ids)))


WALKS = {
    "c-7-01-short-pages": (
        {1: page(5, 1, 1, 2), 3: page(5, 3, 3), 4: page(5, 4, 4, 5)},
        [1, 2, 3, 4, 5],
        True,
    ),
    "c-7-01-next-from-the-page": ({1: page(3, 1, 1, 2), 3: page(3, 2, 2, 3), 4: page(3, 4)}, [1, 2, 3], True),
    "c-7-02-empty-page": ({1: page(9, 1, 1, 2), 3: page(9, 3)}, [1, 2], False),
    "c-7-02-ignores-start-index": ({1: page(9, 1, 1, 2), 3: page(9, 3, 1, 2)}, [1, 2], False),
    "c-7-03-duplicates": ({1: page(4, 1, 1, 2), 3: page(4, 3, 2, 3)}, [1, 2, 3], True),
    "nothing": ({1: page(0, 1)}, [], True),
    "total-shrinks": ({1: page(9, 1, 1, 2), 3: page(2, 3)}, [1, 2], True),
}


@pytest.mark.parametrize(("pages", "found", "complete"), WALKS.values(), ids=WALKS.keys())
async def test_c_7_walks(pages: dict[int, ListPage], found: list[int], complete: bool) -> None:
    """Each resource comes once; only a walk that reached the end says so (FE-09)."""
    assert (await walk(pages))[:2] == (found, complete)


async def test_c_7_01_next_page_begins_after_what_came() -> None:
    """The next startIndex is the last one plus the number received, not plus the number asked for."""
    pages = {1: page(5, 1, 1, 2), 3: page(5, 3, 3), 4: page(5, 4, 4, 5)}
    assert (await walk(pages))[2] == [1, 3, 4]


async def test_iterate_over_a_service_with_a_smaller_limit() -> None:
    """A service that gives 7 where 50 were asked for is read to the end."""
    target = ScriptedTarget(Profile(page_limit=7))
    names = [f"user-{number}" for number in range(30)]
    for name in names:
        target.add("Users", {"userName": name})
    client = ScimClient("http://127.0.0.1:1/v2", "t", transport=AsgiTransport(target))
    journey = client.iterate("/Users", page_size=50)
    assert [item.body["userName"] async for item in journey] == names
    assert journey.complete
    assert [request.query["startIndex"] for request in target.requests] == ["1", "8", "15", "22", "29"]


async def test_c_7_04_a_list_that_changes_much_is_begun_again() -> None:
    """When totalResults moves by more than a tenth, from the beginning; as often as was allowed, then on as it is."""
    pages = [page(1000, 1, 1, 2), page(400, 3, 3), page(400, 1, 1, 2), page(400, 3, *range(3, 401))]
    for restarts, left in ((1, 0), (0, 2)):
        coming = list(pages)

        async def fetch(_: int, coming: list[ListPage] = coming) -> ListPage:
            return coming.pop(0)

        journey = Walk(fetch, restarts=restarts)
        ids = {item.id async for item in journey}
        if restarts:
            assert (len(ids), journey.restarted, journey.complete, len(coming)) == (400, 1, True, left)
        else:
            assert (journey.restarted, journey.complete) == (0, False)


async def test_small_lists_may_change() -> None:
    """A few more or less are no reason to begin again."""
    pages = {1: page(4, 1, 1, 2), 3: page(30, 3, *range(3, 31))}

    async def fetch(start_index: int) -> ListPage:
        return pages[start_index]

    journey = Walk(fetch, restarts=3)
    assert len([item async for item in journey]) == 30
    assert journey.restarted == 0


@pytest.mark.parametrize("broken", [errors.InvalidCursor, errors.ExpiredCursor, errors.InvalidCount])
async def test_c_8_a_walk_whose_cursor_is_refused_begins_again(broken: type[errors.RequestError]) -> None:
    """As often as was allowed, and never when the first page is refused."""

    async def by_index(_: int) -> ListPage:
        raise AssertionError

    for restarts in (0, 1):
        answers: list[ListPage | Exception] = [
            ListPage(3, 1, (resource(1),), "a"),
            broken("old"),
            ListPage(3, 1, (resource(1),), "b"),
            ListPage(3, 1, (resource(2), resource(3)), None),
        ]

        async def by_cursor(_: str, answers: list[ListPage | Exception] = answers) -> ListPage:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        journey = CursorWalk(by_cursor, by_index, restarts)
        if restarts:
            assert {item.id async for item in journey} == {"1", "2", "3"}
            assert (journey.restarted, journey.complete) == (1, True)
        else:
            with pytest.raises(broken):
                [item async for item in journey]
            assert not journey.complete


async def test_c_7_06_too_much_for_one_page() -> None:
    """Smaller pages are asked for, down to single ones; from then on for the whole walk."""
    async with service() as (target, client):
        for number in range(30):
            target.add("Users", user(f"u{number}"))

        def narrow(request: Recorded) -> None:
            if int(request.query.get("count", "0")) > 10:
                target.faults.append(Fault("GET", "/Users", error(400, "less", "tooMany")))

        target.before = narrow
        walk = client.iterate("/Users", page_size=100)
        assert len([one async for one in walk]) == 30
        assert walk.complete
        assert [request.query["count"] for request in target.requests][:4] == ["100", "25", "6", "6"]
        target.before = lambda _: target.faults.append(Fault("GET", "/Users", error(400, "less", "tooMany")))
        with pytest.raises(errors.TooMany):
            [one async for one in client.iterate("/Users")]


PAGES: list[tuple[str, JsonValue, ListPage]] = [
    ("c-4-05-numbers-as-text", {"totalResults": "2", "startIndex": "3", "Resources": []}, page(2, 3)),
    ("c-4-05-only-resources", {"resources": [{"id": "1"}]}, page(3, 3, 1)),
    ("c-4-05-only-total", {"totalResults": 0}, page(0, 3)),
    ("c-4-03-null-resources", {"totalResults": 0, "Resources": None}, page(0, 3)),
    ("c-2-03-bare-array", [{"id": "1"}, {"id": "2"}], page(2, 3, 1, 2)),
    ("c-2-03-bare-resource", {"id": "1"}, page(1, 3, 1)),
    ("t-65-negative-total", {"totalResults": -4, "Resources": []}, page(0, 3)),
    ("t-65-huge-text", {"totalResults": "9" * 5000, "Resources": []}, page(2, 3)),
    ("integer-id", {"totalResults": 1, "startIndex": 0, "Resources": [{"id": 7}]}, page(1, 3, 7)),
]


@pytest.mark.parametrize(("document", "expected"), [r[1:] for r in PAGES], ids=[r[0] for r in PAGES])
def test_c_4_05_pages_are_read_liberally(document: JsonValue, expected: ListPage) -> None:
    """Numbers as text, missing members and bare lists are understood."""
    found = read_page(document, "http://127.0.0.1:1/v2", 3)
    assert (found.total, found.start_index) == (expected.total, expected.start_index)
    assert [item.id for item in found.resources] == [item.id for item in expected.resources]


@pytest.mark.parametrize(
    "document",
    [
        "x",
        {},
        {"Resources": {}},
        {"Resources": ["x"]},
        None,
        {"totalResults": 1, "Resources": [{"id": True}]},
    ],
)
def test_what_is_not_a_page_is_refused(document: JsonValue) -> None:
    """Junk in place of a page is not an empty page."""
    with pytest.raises(TargetRefused):
        read_page(document, "http://127.0.0.1:1/v2", 1)
