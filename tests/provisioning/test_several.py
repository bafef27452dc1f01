"""Several sources feed one person: joining rules, authority, removal, cases that wait (issue 5, section 2)."""

from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.provisioning.people_hub import ENTERPRISE
from tests.provisioning.several_world import RULES, Office, an_office

from rollbook.protocol.values import JsonObject
from rollbook.provisioning.directory import release
from rollbook.provisioning.report import PullReport
from rollbook.storage.matches import Decision, Verdict

pytestmark = pytest.mark.anyio

ANN = "1,ann,Ann,Müller,ann@hr,Sales"
ANN_IN_DIRECTORY = "a1,ann,Mueller,ann@x,Seller,Sales,crew"


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    """An empty hub."""
    async with an_office(tmp_path) as made:
        yield made


async def person(office: Office, name: str = "ann") -> JsonObject:
    """A user of the hub."""
    return (await office.world.users())[name]


def reasons(report: PullReport) -> list[str]:
    """Why something was not done."""
    return [one.reason for one in report.problems]


def mail(user: JsonObject) -> str | None:
    """The first mail address."""
    return user["emails"][0]["value"] if user.get("emails") else None


@pytest.mark.parametrize(
    "row",
    [
        pytest.param("a1,ANN,Mueller,ann@x,Seller,,", id="attribute"),
        pytest.param("a1,other,Mueller,ann@hr,Seller,,", id="next-attribute"),
        pytest.param("a1,other,MUELLER ,other@x,Seller,Sales,", id="composite-with-normalised"),
    ],
)
async def test_a_record_joins_by_the_first_rule_that_finds_somebody(office: Office, row: str) -> None:
    """Rules are tried in order: by an attribute, by another one, by several of which one is normalised."""
    await office.pull("hr", ANN)
    report = await office.pull("directory", row)
    ann = await person(office)
    assert (report.changed, report.unmatched, report.problems) == (1, 0, [])
    assert ann["title"] == "Seller"
    assert len(await office.world.users()) == 1


async def test_a_value_is_owned_by_one_source(office: Office) -> None:
    """HR owns the name, the directory owns the mail, whoever is read last; nothing is written for it again."""
    await office.pull("hr", ANN)
    await office.pull("directory", ANN_IN_DIRECTORY)
    await office.pull("hr", ANN.replace("Sales", "Law"))
    ann = await person(office)
    assert (ann["name"], mail(ann)) == ({"givenName": "Ann", "familyName": "Müller"}, "ann@x")
    assert ann[ENTERPRISE] == {"department": "Law"}
    before = await office.world.last_change()
    for name in ("hr", "directory", "hr"):
        await office.pull(name)
    assert await office.world.last_change() == before


async def test_the_next_in_order_takes_over_at_once(office: Office) -> None:
    """When the owner loses its value, or its record, what the other has said last counts, without reading it again."""
    await office.pull("hr", ANN)
    await office.pull("directory", ANN_IN_DIRECTORY, "b1,bob,,,,,")
    await office.pull("directory", ANN_IN_DIRECTORY.replace("ann@x", ""), "b1,bob,,,,,")
    assert mail(await person(office)) == "ann@hr"
    await office.pull("directory", ANN_IN_DIRECTORY, "b1,bob,,,,,")
    assert mail(await person(office)) == "ann@x"
    await office.pull("directory", "b1,bob,,,,,")
    assert mail(await person(office)) == "ann@hr"


async def test_a_source_that_only_enriches_takes_its_own_back(office: Office) -> None:
    """The person stays, active, without what only it gave: values and groups."""
    await office.pull("hr", ANN)
    await office.pull("directory", ANN_IN_DIRECTORY, "b1,bob,,,,,")
    assert (await office.world.groups())["crew"] == {"ann"}
    report = await office.pull("directory", "b1,bob,,,,,")
    ann = await person(office)
    assert (report.changed, report.disabled, report.deleted) == (1, 0, 0)
    assert ("title" in ann, ann.get("active", True)) == (False, True)
    assert (await office.world.groups()) == {"Sales": {"ann"}, "crew": set()}
    await office.pull("directory", ANN_IN_DIRECTORY)
    assert (await person(office))["title"] == "Seller"
    assert (await office.world.groups())["crew"] == {"ann"}


async def test_a_source_that_only_enriches_makes_nobody(office: Office) -> None:
    """Who matches nobody is counted, and joined once HR has made them."""
    report = await office.pull("directory", ANN_IN_DIRECTORY)
    assert (report.unmatched, report.created, report.problems) == (1, 0, [])
    assert await office.world.users() == {}
    await office.pull("hr", ANN)
    await office.pull("directory")
    assert (await person(office))["title"] == "Seller"


async def test_a_leaver_is_disabled_although_the_directory_has_them(office: Office) -> None:
    """Only sources that make people hold them; what the directory says later does not bring a leaver back."""
    await office.pull("hr", ANN, "2,bob,Bob,Baum,bob@hr,Law")
    await office.pull("directory", ANN_IN_DIRECTORY)
    await office.pull("hr", "2,bob,Bob,Baum,bob@hr,Law")
    assert (await person(office))["active"] is False
    await office.pull("directory", ANN_IN_DIRECTORY.replace("Seller", "Chief"))
    ann = await person(office)
    assert (ann["active"], ann["title"]) == (False, "Chief")
    await office.pull("hr", ANN, "2,bob,Bob,Baum,bob@hr,Law")
    ann = await person(office)
    assert (ann["active"], mail(ann), ann["title"]) == (True, "ann@x", "Chief")


SECOND = RULES.replace("missing: disable", "").replace(
    "  directory:\n", "  second:\n    type: csv\n    path: second.csv\n    key: id\n    shrink_limit: 1\n"
    "    join: [{attribute: userName, from: login}]\n    users:\n      userName: {from: login}\n"
    "      nickName: {from: first}\n  directory:\n", 1,
).replace("authority:\n", "authority:\n  userName: [hr, second]\n")  # fmt: skip


async def test_whom_another_source_still_has_stays(office: Office) -> None:
    """Somebody who is gone from one of two sources that make people goes when both have lost them."""
    office.rules = SECOND
    await office.pull("hr", ANN, "2,bob,Bob,Baum,bob@hr,Law")
    await office.pull("second", "x,ann,Annie,,,", "y,zoe,Zoe,,,")
    assert set(await office.world.users()) == {"ann", "bob", "zoe"}
    await office.pull("hr", "2,bob,Bob,Baum,bob@hr,Law")
    assert (await person(office)).get("active", True) is True
    await office.pull("second", "y,zoe,Zoe,,,")
    assert (await person(office))["active"] is False
    await office.pull("second", "x,ann,Annie,,,", "y,zoe,Zoe,,,")
    assert (await person(office))["active"] is True


async def test_a_deletion_waits_for_the_last_source(office: Office) -> None:
    """With missing: delete the user goes when no source that makes people has them, and a rehire is joined anew."""
    office.rules = SECOND.replace("    shrink_limit: 1\n", "    shrink_limit: 1\n    missing: delete\n")
    bob = "2,bob,Bob,Baum,bob@hr,Law"
    await office.pull("hr", ANN, bob)
    await office.pull("second", "x,ann,Annie,,,", "y,zoe,Zoe,,,")
    await office.pull("directory", ANN_IN_DIRECTORY)
    await office.pull("hr", bob)
    ann = await person(office)
    assert (ann.get("nickName"), "externalId" in ann) == ("Annie", False)
    await office.pull("second", "y,zoe,Zoe,,,")
    assert set(await office.world.users()) == {"bob", "zoe"}
    await office.pull("hr", ANN, bob)
    await office.pull("directory")
    assert (await person(office))["title"] == "Seller"


async def test_several_candidates_wait_for_a_decision(office: Office) -> None:
    """Never guessed: nothing is made and nothing changed until somebody decides, and then it is remembered."""
    await office.pull("hr", ANN, "2,bob,Bob,Baum,ann@hr,Law")
    before = await office.world.last_change()
    row = "a1,other,Baum,ann@hr,Seller,,"
    report = await office.pull("directory", row)
    assert (report.uncertain, report.changed, await office.world.last_change()) == (1, 0, before)
    assert reasons(report) == [
        "whose it is has to be decided: emails.value: 2 hub users have the same; see rollbook matches"
    ]
    matches = office.hub.matches
    assert matches is not None
    (case,) = await matches.open_cases(1, "directory", "", 10)
    users = await office.world.users()
    assert set(case.candidates) == {one["id"] for one in users.values()}
    bob = users["bob"]["id"]
    await matches.decide(1, "directory", "a1", Decision(Verdict.JOIN, "me", 1, bob))
    await office.pull_one("directory", "a1")
    assert (await person(office, "bob"))["title"] == "Seller"
    assert await matches.count_open(1, "directory") == 0
    known = (await office.hub.records.find(1, "directory", ["a1"]))["a1"]
    assert (known.id, known.joined) == (bob, "decision (me)")
    await release(office.sources()["directory"], office.hub, known)
    bob_now = await person(office, "bob")
    assert ("title" in bob_now, bob_now.get("active", True)) == (False, True)
    await matches.decide(1, "directory", "a1", None)
    assert (await office.pull("directory")).uncertain == 1


@pytest.mark.parametrize(
    ("verdict", "figures"), [(Verdict.NEW, (1, 0)), (Verdict.IGNORE, (0, 1))], ids=["new", "ignore"]
)
async def test_a_record_is_somebody_new_or_left_out(
    office: Office, verdict: Verdict, figures: tuple[int, int]
) -> None:
    """What was decided holds at every pull that follows."""
    office.rules = SECOND.replace(
        "{attribute: userName, from: login}", "{attribute: emails.value, from: mail}"
    )
    await office.pull("hr", ANN, "2,bob,Bob,Baum,ann@hr,Law")
    assert (await office.pull("second", "x,xen,Xen,,ann@hr,")).uncertain == 1
    assert office.hub.matches is not None
    await office.hub.matches.decide(1, "second", "x", Decision(verdict, "me", 1))
    report = await office.pull("second")
    assert (report.created, report.ignored) == figures
    again = await office.pull("second")
    assert (again.created, again.ignored, again.uncertain) == (0, figures[1], 0)


async def test_a_rule_that_is_not_sure_only_proposes(office: Office) -> None:
    """Even a single user is not joined by it; and nobody is made in their place."""
    office.rules = RULES.replace("from: login}\n      - {attr", "from: login, sure: false}\n      - {attr")
    await office.pull("hr", ANN)
    report = await office.pull("directory", ANN_IN_DIRECTORY)
    assert (report.uncertain, report.changed) == (1, 0)
    assert "the rule only proposes" in reasons(report)[0]


TWIN = ANN_IN_DIRECTORY.replace("a1", "a2").replace("Seller", "Other")


@pytest.mark.parametrize("rows", [(ANN_IN_DIRECTORY, TWIN), (TWIN, ANN_IN_DIRECTORY)], ids=["one", "other"])
async def test_the_order_of_rows_decides_nothing(office: Office, rows: tuple[str, str]) -> None:
    """Two new records that have the same both wait, in this pull and in the next; a decision for one leaves the other."""
    await office.pull("hr", ANN)
    for report in (await office.pull("directory", *rows), await office.pull("directory")):
        assert report.uncertain == 2
        assert all("several records of this source have the same" in one for one in reasons(report))
    ann = await person(office)
    assert "title" not in ann
    assert office.hub.matches is not None
    await office.hub.matches.decide(1, "directory", "a2", Decision(Verdict.JOIN, "me", 1, ann["id"]))
    report = await office.pull("directory")
    assert (report.uncertain, (await person(office))["title"]) == (1, "Other")


async def test_a_record_that_came_later_waits(office: Office) -> None:
    """Whoever feeds the user goes on; the second record waits, also when the first has gone."""
    await office.pull("hr", ANN)
    await office.pull("directory", ANN_IN_DIRECTORY, "b1,bob,,,,,")
    report = await office.pull("directory", ANN_IN_DIRECTORY, TWIN)
    assert "fed by record a1 of directory already" in reasons(report)[0]
    assert (await person(office))["title"] == "Seller"
    report = await office.pull("directory", TWIN)
    assert (report.uncertain, "title" in await person(office)) == (1, False)


BOB = "2,bob,Bob,Baum,ann@hr,Law"
WAITING = "a1,other,,ann@hr,Seller,,"


@pytest.mark.parametrize(
    "hr",
    [
        pytest.param((ANN, BOB.replace("ann@hr", "bob@hr")), id="a-user-has-changed"),
        pytest.param((ANN,), id="a-user-has-left"),
        pytest.param((ANN, BOB, "3,cem,Cem,C,ann@hr,Law"), id="a-user-has-come"),
        pytest.param(
            (ANN.replace("ann@hr", "x@hr"), BOB.replace("ann@hr", "y@hr")), id="nobody-has-it-any-more"
        ),
    ],
)
async def test_a_case_is_never_decided_by_what_becomes_of_users(office: Office, hr: tuple[str, ...]) -> None:
    """Never guessed: a record that waits goes on waiting, whoever is left; nothing of it reaches anybody."""
    assert office.hub.matches is not None
    office.rules = RULES.replace("    shrink_limit: 1\n", "    shrink_limit: 1\n    missing: delete\n", 1)
    await office.pull("hr", ANN, BOB)
    await office.pull("directory", WAITING)
    await office.pull("hr", *hr)
    for _ in range(2):
        report = await office.pull("directory")
        assert (report.uncertain, report.changed, report.created) == (1, 0, 0)
    assert await office.hub.matches.count_open(1, "directory") == 1
    assert not any("title" in user for user in (await office.world.users()).values())


@pytest.mark.parametrize(
    ("row", "joined"),
    [
        pytest.param(WAITING.replace("Seller", "Chief"), False, id="another-attribute"),
        pytest.param(WAITING.replace("ann@hr", "bob@hr"), True, id="what-it-is-joined-by"),
        pytest.param(WAITING.replace("other", "bob"), True, id="a-rule-before"),
    ],
)
async def test_a_case_is_judged_anew_when_the_record_is_another(
    office: Office, row: str, joined: bool
) -> None:
    """What its source says of the record decides: a change of what it is joined by, and no other, asks the rules again."""
    assert office.hub.matches is not None
    await office.pull("hr", ANN, BOB)
    await office.pull("directory", WAITING)
    await office.pull("hr", ANN, BOB.replace("ann@hr", "bob@hr"))
    await office.pull("directory", row)
    assert await office.hub.matches.count_open(1, "directory") == (0 if joined else 1)
    assert ((await person(office, "bob")).get("title") == "Seller") is joined


async def test_a_case_ends_with_its_record_and_is_judged_anew_by_other_rules(office: Office) -> None:
    """Gone from its source it is gone; rules that were changed are asked."""
    assert office.hub.matches is not None
    await office.pull("hr", ANN, BOB)
    await office.pull("directory", WAITING)
    await office.pull("directory", "b1,nobody,,,,,")
    assert await office.hub.matches.count_open(1, "directory") == 0
    await office.pull("directory", WAITING)
    await office.pull("hr", ANN, BOB.replace("ann@hr", "bob@hr"))
    assert (await office.pull("directory")).uncertain == 1
    office.rules = RULES.replace("      - {attribute: userName, from: login}\n", "")
    report = await office.pull("directory")
    assert (report.changed, await office.hub.matches.count_open(1, "directory")) == (1, 0)
    assert (await person(office))["title"] == "Seller"


async def test_a_case_stays_while_it_cannot_be_compared(office: Office) -> None:
    """A pull in which a rule cannot be computed decides nothing, and forgets nothing."""
    assert office.hub.matches is not None
    await office.pull("hr", ANN, BOB)
    await office.pull("directory", WAITING)
    await office.pull("hr", ANN, BOB.replace("ann@hr", "bob@hr"))
    broken = "      - {attribute: userName, expr: 'string(int(record.title))'}\n"
    office.rules = RULES.replace("    join:\n", f"    join:\n{broken}", 1)
    await office.pull("directory")
    assert await office.hub.matches.count_open(1, "directory") == 1
    office.rules = RULES
    assert (await office.pull("directory")).uncertain == 1


async def test_too_many_to_compare_are_a_case(office: Office) -> None:
    """What a hundred users share tells nobody apart, and costs no more than that."""
    await office.pull("hr", *(f"{n},u{n},N,Name{n},u{n}@hr,Sales" for n in range(1, 120)))
    report = await office.pull("directory", "a1,other,Name3,other@x,Seller,Sales,")
    assert "more than 100 hub users have the same" in reasons(report)[0]


async def test_a_group_of_one_source_is_not_another_ones(office: Office) -> None:
    """I-15: a column that spells the name of another source's group takes nobody out of it, and puts nobody in."""
    await office.pull("hr", ANN, "2,bob,Bob,Baum,bob@hr,Law")
    report = await office.pull("directory", ANN_IN_DIRECTORY.replace("crew", "Law"))
    assert 'the hub has a group "Law" that this source did not make' in reasons(report)[0]
    assert await office.world.groups() == {"Sales": {"ann"}, "Law": {"bob"}}
    await office.pull("directory", "b1,nobody,,,,,")
    assert await office.world.groups() == {"Sales": {"ann"}, "Law": {"bob"}}


async def test_a_rehearsal_writes_nothing(office: Office) -> None:
    """A preview decides the same, parks nothing and joins nobody."""
    await office.pull("hr", ANN, "2,bob,Bob,Baum,ann@hr,Law")
    assert office.hub.matches is not None
    office.write("directory", ANN_IN_DIRECTORY, "a2,other,,ann@hr,,,")
    before = await office.world.last_change()
    report = await office.pull("directory", dry_run=True)
    assert (report.changed, report.uncertain) == (1, 1)
    assert (await office.world.last_change(), await office.hub.matches.count_open(1, "directory")) == (
        before,
        0,
    )


PEOPLE = ("ann", "bob", "cem")
TEXT = st.sampled_from(["", "A", "B"])
STATES = {
    "hr": st.lists(st.none() | st.tuples(TEXT, TEXT), min_size=3, max_size=3),
    "second": st.lists(st.none() | st.tuples(TEXT, TEXT), min_size=3, max_size=3),
    "directory": st.lists(st.none() | st.tuples(TEXT, TEXT), min_size=3, max_size=3),
}


def rows_of(name: str, state: list[tuple[str, str] | None]) -> list[str]:
    """The file of a source; somebody whom it has for ever keeps it from being empty."""
    rows = [(who, *said) for who, said in zip(PEOPLE, state, strict=True) if said is not None]
    if name == "directory":
        return [f"d-{who},{who},{one},{two},t{two},," for who, one, two in (*rows, ("dir", "", ""))]
    return [
        f"{name}-{who},{who},{one},L{two},{two},{one}"
        for who, one, two in (*rows, (name, "", ""), ("dir", "", ""))
    ]


STORY = SECOND.replace("      nickName: {from: first}\n", "      nickName: {from: first}\n"
    "      emails: [{value: {from: mail}}]\n      active: {expr: 'record.department != \"A\"'}\n"
).replace("emails: [directory, hr]", "emails: [directory, second, hr]")  # fmt: skip


@given(
    st.lists(st.one_of(*(st.tuples(st.just(name), state) for name, state in STATES.items())), max_size=6),
    st.tuples(*STATES.values()),
    st.permutations(list(STATES)),
    st.permutations(list(STATES)),
)
@settings(max_examples=12, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_the_order_of_pulls_does_not_matter(
    before: list[tuple[str, list[tuple[str, str] | None]]],
    last: tuple[list[tuple[str, str] | None], ...],
    first_order: list[str],
    second_order: list[str],
) -> None:
    """Whatever was read before, and in whatever order three sources are read in the end: the same hub."""
    final = dict(zip(STATES, last, strict=True))

    async def hub_after(order: list[str]) -> JsonObject:
        with TemporaryDirectory() as folder:
            async with an_office(Path(folder)) as office:
                office.rules = STORY
                for name in STATES:
                    await office.pull(name, *rows_of(name, [("A", "B")] * 3))
                # The readings of each source come in their own order, whatever the others do between them.
                for name, state in sorted(before, key=lambda one: order.index(one[0])):
                    await office.pull(name, *rows_of(name, state))
                for name in (*order, *order):
                    await office.pull(name, *rows_of(name, final[name]))
                shown = {}
                for name, user in (await office.world.users()).items():
                    kept = {key: value for key, value in user.items() if key not in {"id", "meta", "schemas"}}
                    shown[name] = kept
                return {"users": shown, "groups": await office.world.groups()}

    async def both() -> None:
        assert await hub_after(first_order) == await hub_after(second_order)

    anyio.run(both)
