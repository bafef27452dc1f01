"""No order of rows decides whom records join, and a source may join without others (issue 5, section 2)."""

from collections.abc import AsyncIterator, Sequence
from itertools import permutations
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.provisioning.several_world import RULES, Office, an_office
from tests.provisioning.test_several import ANN, ANN_IN_DIRECTORY, SECOND, person, reasons

from rollbook.protocol.values import JsonObject
from rollbook.provisioning import directory
from rollbook.storage.matches import Decision, Verdict

pytestmark = pytest.mark.anyio


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    """An empty hub."""
    async with an_office(tmp_path) as made:
        yield made


async def outcome(office: Office, source: str) -> tuple[JsonObject, list[str]]:
    """What became of people, and which records wait."""
    assert office.hub.matches is not None
    cases = await office.hub.matches.open_cases(1, source, "", 100)
    shown = {
        name: {key: value for key, value in user.items() if key not in {"id", "meta"}}
        for name, user in (await office.world.users()).items()
    }
    return shown, [case.key for case in cases]


async def ended(
    rules: str, source: str, rows: Sequence[str], hr: Sequence[str] = ()
) -> tuple[JsonObject, list[str]]:
    """The same of a hub of its own, into which rows were read twice."""
    with TemporaryDirectory() as folder:
        async with an_office(Path(folder)) as office:
            office.rules = rules
            if hr:
                await office.pull("hr", *hr)
            for _ in range(2):
                await office.pull(source, *rows)
            return await outcome(office, source)


@pytest.mark.parametrize("batch", [1, 200])
@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(("a1,ann,,z@x,One,,", "a2,other,,ann@hr,Two,,"), id="by-different-rules"),
        pytest.param(
            ("a1,o1,Müller,y@x,One,Sales,", "a2,o2,MUELLER,z@x,Two,Sales,"),
            id="by-one-rule-spelt-differently",
        ),
    ],
)
async def test_of_those_who_claim_one_user_none_comes_first(
    rows: tuple[str, str], batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both wait, whichever comes first, by whatever rule they find the user, in one batch or in several."""
    monkeypatch.setattr(directory, "BATCH", batch)
    for order in permutations(rows):
        users, waiting = await ended(RULES, "directory", order, [ANN])
        assert ("title" in users["ann"], waiting) == (False, ["a1", "a2"])


MAKES_BY_MAIL = SECOND.replace("{attribute: userName, from: login}", "{attribute: emails.value, from: mail}").replace(
    "      nickName: {from: first}\n", "      nickName: {from: first}\n      emails: [{value: {from: mail}}]\n", 1
).replace("emails: [directory, hr]", "emails: [directory, second, hr]")  # fmt: skip


@pytest.mark.parametrize("batch", [1, 200])
async def test_nobody_is_made_twice(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """New records that find nobody, and would find each other, all wait; others are made."""
    monkeypatch.setattr(directory, "BATCH", batch)
    rows = ("x,xen,Xen,,same@x,", "y,yen,Yen,,same@x,", "z,zoe,Zoe,,zoe@x,")
    for order in permutations(rows):
        users, waiting = await ended(MAKES_BY_MAIL, "second", order)
        assert (set(users), waiting) == ({"zoe"}, ["x", "y"])


async def test_who_waits_for_a_user_claims_them(office: Office) -> None:
    """A record that comes while another waits for the user waits too; a decision for one of them leaves it waiting."""
    assert office.hub.matches is not None
    office.rules = RULES.replace("from: mail}\n      - all", "from: mail, sure: false}\n      - all")
    await office.pull("hr", ANN)
    proposed, certain = "a1,other,,ann@hr,One,,", "a2,ann,,z@x,Two,,"
    assert (await office.pull("directory", proposed)).uncertain == 1
    assert (await office.pull("directory", certain, proposed)).uncertain == 2
    ann = await person(office)
    await office.hub.matches.decide(1, "directory", "a1", Decision(Verdict.JOIN, "me", 1, ann["id"]))
    report = await office.pull("directory")
    assert (report.uncertain, (await person(office))["title"]) == (1, "One")


async def test_a_decision_comes_before_a_new_record(office: Office) -> None:
    """Also when the new one stands above it, and finds the user by a rule that is sure."""
    assert office.hub.matches is not None
    await office.pull("hr", ANN, "2,bob,Bob,Baum,ann@hr,Law")
    decided, new = "a1,other,,ann@hr,One,,", "a2,ann,,z@x,Two,,"
    await office.pull("directory", decided)
    ann = await person(office)
    await office.hub.matches.decide(1, "directory", "a1", Decision(Verdict.JOIN, "me", 1, ann["id"]))
    report = await office.pull("directory", new, decided)
    assert (report.uncertain, (await person(office))["title"]) == (1, "One")


ROWS = st.tuples(
    st.sampled_from(["ann", "ANN", "bob", "o1", "o2"]),
    st.sampled_from(["Müller", "MUELLER", "Baum", ""]),
    st.sampled_from(["ann@hr", "bob@hr", "both@hr", "same@x", "z@x"]),
    st.sampled_from(["Sales", "Law", ""]),
)
HUB = (ANN, "2,bob,Bob,Baum,bob@hr,Law", "3,cem,Cem,C,both@hr,Law", "4,dan,Dan,D,both@hr,Law")


@given(st.lists(ROWS, min_size=2, max_size=5), st.data())
@settings(max_examples=40, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_the_order_of_rows_does_not_matter(
    said: list[tuple[str, str, str, str]], data: st.DataObject
) -> None:
    """Whatever records say, in whatever order and batches: the same people with the same values, the same cases."""
    rows = [f"a{n},{login},{last},{mail},T{n},{unit}," for n, (login, last, mail, unit) in enumerate(said)]
    other = data.draw(st.permutations(rows))

    async def both() -> None:
        assert await ended(RULES, "directory", rows, HUB) == await ended(RULES, "directory", other, HUB)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(directory, "BATCH", data.draw(st.sampled_from([1, 2, 200])))
        anyio.run(both)


ALONE = """
version: 1
sources:
  directory:
    type: csv
    path: directory.csv
    key: uid
    create: false
    shrink_limit: 1
    join: [{attribute: emails.value, from: mail}]
    users:
      title: {from: title}
"""


async def put(office: Office, *names: str) -> None:
    """People whom somebody wrote into the hub, all with one address."""
    for name in names:
        document = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": name}
        await office.world.add_user(
            {**document, "active": True, "emails": [{"value": "ann@hr"}]}, f"id-{name}"
        )


async def test_a_source_without_others_remembers_decisions(office: Office) -> None:
    """The only source joins people whom somebody wrote into the hub: what waits can be decided, and waits until it is."""
    assert office.hub.matches is not None
    office.rules = ALONE
    await put(office, "ann", "bob")
    assert (await office.pull("directory", "a1,other,,ann@hr,Seller,,")).uncertain == 1
    await office.hub.matches.decide(1, "directory", "a1", Decision(Verdict.JOIN, "me", 1, "id-bob"))
    assert (await office.pull("directory")).uncertain == 0
    assert (await person(office, "bob"))["title"] == "Seller"


async def test_a_source_without_others_that_only_enriches_disables_nobody(office: Office) -> None:
    """Who has no record any more loses what it gave, and stays: the source has not made them."""
    office.rules = ALONE
    await put(office, "ann")
    await office.pull("directory", "a1,other,,ann@hr,Seller,,")
    report = await office.pull("directory", "b1,nobody,,,,,")
    ann = await person(office)
    assert (report.disabled, ann["active"], "title" in ann) == (0, True, False)


async def test_a_source_that_has_no_say_changes_nothing(office: Office) -> None:
    """It is joined, and what it says last counts only when the others have no value."""
    office.rules = RULES.replace(
        "      title: {from: title}\n    groups:\n      - {from: team}\n", ""
    ).replace("emails: [directory, hr]", "emails: [hr, directory]")
    await office.pull("hr", ANN)
    before = await office.world.last_change()
    report = await office.pull("directory", ANN_IN_DIRECTORY)
    assert (report.changed, report.problems, await office.world.last_change()) == (0, [], before)


async def test_a_source_that_is_taken_out_of_the_file_disables_nobody(office: Office) -> None:
    """What it gave stays until another source fills it; the others go on, and still have leavers."""
    await office.pull("hr", ANN, "2,bob,Bob,Baum,bob@hr,Law")
    await office.pull("directory", ANN_IN_DIRECTORY)
    office.rules = RULES[: RULES.index("  directory:\n")].partition("authority:")[0] + (
        "sources:" + RULES.partition("sources:")[2].partition("  directory:\n")[0]
    )
    await office.pull("hr")
    ann = await person(office)
    assert (ann.get("active", True), ann["title"], ann["emails"][0]["value"]) == (True, "Seller", "ann@hr")
    await office.pull("hr", "2,bob,Bob,Baum,bob@hr,Law")
    assert (await person(office))["active"] is False


async def test_pulls_beside_each_other_lose_nothing(office: Office) -> None:
    """Three sources at once: nobody twice, and after one more pull of each every value is there."""
    count = 60
    office.rules = SECOND
    office.write("hr", *(f"{n},u{n},F{n},L{n},u{n}@hr,Sales" for n in range(count)))
    office.write("second", *(f"s{n},u{n},N{n},,," for n in range(count)))
    office.write("directory", *(f"d{n},u{n},M{n},u{n}@x,T{n},," for n in range(count)))
    names = ("hr", "second", "directory")
    async with anyio.create_task_group() as group:
        for name in names:
            group.start_soon(office.pull, name)
    assert len(await office.world.users()) == count
    for name in names:
        assert reasons(await office.pull(name)) == []
    users = await office.world.users()
    assert len(users) == count
    for n in range(count):
        user = users[f"u{n}"]
        assert (user["nickName"], user["title"], user["emails"][0]["value"], user["name"]) == (
            f"N{n}", f"T{n}", f"u{n}@x", {"givenName": f"F{n}", "familyName": f"L{n}"},
        )  # fmt: skip
