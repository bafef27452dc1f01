"""What a pull makes of a source in the hub: hires, moves, leavers, rehires, and everything that is wrong."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.provisioning.people_hub import ENTERPRISE, RULES, World, a_world

from rollbook.provisioning.model import Leave
from rollbook.provisioning.report import Action
from rollbook.provisioning.sources.base import SourceError

pytestmark = pytest.mark.anyio

ANN = "1,Ann,Müller,ann.mueller@example.com,Engineering,2,"
BEA = "2,Bea,Groß,bea@example.com,Engineering,,"
CARL = "3,Carl,Straße,Carl@Example.com,Sales,2,"
TEAM = (ANN, BEA, CARL)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """An empty hub."""
    async with a_world(tmp_path) as made:
        yield made


def reasons(report: object) -> list[tuple[int | None, str | None, str]]:
    """The problems of a report."""
    return [(one.line, one.person, one.reason) for one in report.problems]  # type: ignore[attr-defined]  # any report


async def test_a_first_pull_creates_everybody(world: World) -> None:
    """Umlauts arrive, expressions run, lists of parts are built, and the report counts it."""
    report = await world.pull(*TEAM)
    users = await world.users()
    assert (report.created, report.changed, report.unchanged, report.problems) == (3, 0, 0, [])
    assert set(users) == {"ann.mueller@example.com", "bea@example.com", "carl@example.com"}
    ann = users["ann.mueller@example.com"]
    assert ann["name"] == {"givenName": "Ann", "familyName": "Müller"}
    assert ann["emails"] == [{"value": "ann.mueller@example.com", "type": "work", "primary": True}]
    assert (ann["externalId"], ann["active"], ann[ENTERPRISE]["department"]) == ("1", True, "Engineering")


async def test_a_manager_may_be_listed_after_the_employee(world: World) -> None:
    """Provisioning pain 16, FE-22: references by the source's key are filled in a second pass."""
    await world.pull(*TEAM)
    users = await world.users()
    bea = users["bea@example.com"]["id"]
    assert [users[name]["manager"] for name in sorted(users)] == [bea, None, bea]


async def test_groups_are_made_of_columns(world: World) -> None:
    """Each value of the column is one group, with those who have it."""
    await world.pull(*TEAM)
    assert await world.groups() == {
        "dept-Engineering": {"ann.mueller@example.com", "bea@example.com"},
        "dept-Sales": {"carl@example.com"},
    }


async def test_a_second_pull_writes_nothing(world: World) -> None:
    """I-16: unchanged records cost no write."""
    await world.pull(*TEAM)
    before = await world.last_change()
    report = await world.pull()
    assert (report.created, report.changed, report.unchanged) == (0, 0, 3)
    assert await world.last_change() == before
    assert not world.seen


async def test_a_move_changes_the_person_and_both_groups(world: World) -> None:
    """A person who changes department leaves one group and joins the other."""
    await world.pull(*TEAM)
    report = await world.pull(ANN.replace("Engineering", "Sales"), BEA, CARL)
    assert (report.changed, report.unchanged) == (1, 2)
    assert await world.groups() == {
        "dept-Engineering": {"bea@example.com"},
        "dept-Sales": {"carl@example.com", "ann.mueller@example.com"},
    }
    (change,) = world.seen
    assert (change.action, change.joins, change.leaves) == (
        Action.CHANGE,
        ("dept-Sales",),
        ("dept-Engineering",),
    )
    assert [(one.attribute, one.old, one.new) for one in change.differences] == [
        (f"{ENTERPRISE}:department", "Engineering", "Sales")
    ]


async def test_a_marriage_changes_the_user_name_of_the_same_account(world: World) -> None:
    """The source's key joins, so a new userName is a change and not a new person."""
    await world.pull(*TEAM)
    before = (await world.users())["ann.mueller@example.com"]["id"]
    await world.pull("1,Ann,Schön,ann.schoen@example.com,Engineering,2,", BEA, CARL)
    users = await world.users()
    assert users["ann.schoen@example.com"]["id"] == before
    assert len(users) == 3


async def test_two_people_of_the_same_name_are_two_people(world: World) -> None:
    """Only key, externalId and userName join; names never do."""
    report = await world.pull(ANN, "9,Ann,Müller,ann.mueller2@example.com,Sales,,")
    assert report.created == 2
    assert len(await world.users()) == 2


@pytest.mark.parametrize(
    ("end", "active"), [("", True), ("2026-11-24", True), ("2026-11-23", False), ("2020-01-01", False)]
)
async def test_an_end_date_decides_who_is_active(world: World, end: str, active: bool) -> None:
    """A leaver by date is disabled on the day itself."""
    await world.pull(ANN + end, BEA)
    assert (await world.users())["ann.mueller@example.com"]["active"] is active


async def test_a_rehire_is_the_same_account(world: World) -> None:
    """Provisioning pain 15: gone, disabled, back, active again, in the groups it was in."""
    await world.pull(*TEAM)
    gone = await world.pull(BEA, CARL)
    users = await world.users()
    assert (gone.disabled, users["ann.mueller@example.com"]["active"]) == (1, False)
    assert world.seen[0].action is Action.DISABLE
    back = await world.pull(*TEAM)
    again = await world.users()
    assert (back.changed, again["ann.mueller@example.com"]["active"]) == (1, True)
    assert again["ann.mueller@example.com"]["id"] == users["ann.mueller@example.com"]["id"]
    assert "ann.mueller@example.com" in (await world.groups())["dept-Engineering"]


async def test_return_without_a_rule_for_active_switches_on_again(world: World) -> None:
    """Whom the pull switched off for being missing, it switches on when the record is back."""
    world.rules = "\n".join(line for line in RULES.splitlines() if "active:" not in line)
    await world.pull(*TEAM)
    await world.pull(BEA, CARL)
    assert (await world.users())["ann.mueller@example.com"]["active"] is False
    await world.pull(*TEAM)
    assert (await world.users())["ann.mueller@example.com"]["active"] is True


async def test_a_missing_person_is_disabled_once(world: World) -> None:
    """FE-12: who is missing already is neither counted nor written again."""
    await world.pull(*TEAM)
    await world.pull(BEA, CARL)
    before = await world.last_change()
    report = await world.pull(BEA, CARL)
    assert (report.disabled, report.unchanged, await world.last_change()) == (0, 2, before)


async def test_missing_people_can_be_deleted(world: World) -> None:
    """missing: delete removes user and memberships; a return is a new account."""
    await world.pull(*TEAM)
    report = await world.pull(BEA, CARL, missing=Leave.DELETE)
    assert (report.deleted, set(await world.users())) == (1, {"bea@example.com", "carl@example.com"})
    assert (await world.groups())["dept-Engineering"] == {"bea@example.com"}
    assert (await world.pull(*TEAM)).created == 1


async def test_missing_people_can_be_kept(world: World) -> None:
    """missing: keep leaves the user alone."""
    await world.pull(*TEAM)
    report = await world.pull(BEA, CARL, missing=Leave.KEEP)
    assert (report.kept, report.disabled) == (1, 0)
    assert (await world.users())["ann.mueller@example.com"]["active"] is True


MANY = tuple(f"{n},F{n},L{n},p{n}@example.com,Sales,," for n in range(1, 21))


async def test_a_file_that_shrank_stops_the_run_before_any_write(world: World) -> None:
    """FE-11, I-14: 5 of 20 gone is over the limit of 20 %; the message names option and figures."""
    await world.pull(*MANY)
    before = await world.last_change()
    with pytest.raises(SourceError) as stopped:
        await world.pull("99,New,Person,new@example.com,Sales,,", *MANY[5:])
    assert "5 of 20 known records are gone (25.0%, limit 20.0%)" in stopped.value.detail
    assert "shrink_limit: 0.26" in stopped.value.detail
    assert await world.last_change() == before


async def test_the_limit_can_be_raised(world: World) -> None:
    """The option that the message names lets the run through."""
    await world.pull(*MANY)
    report = await world.pull(*MANY[5:], shrink_limit=0.26)
    assert report.disabled == 5


async def test_four_leavers_are_no_shrinkage(world: World) -> None:
    """Small numbers are everyday life, whatever their share."""
    await world.pull(*MANY[:8])
    assert (await world.pull(*MANY[4:8])).disabled == 4


async def test_everybody_gone_is_never_believed(world: World) -> None:
    """FE-11: the wrong file, with rows but none of the known keys, stops the run though it is small."""
    await world.pull(*TEAM)
    with pytest.raises(SourceError, match="3 of 3 known records are gone"):
        await world.pull("7,A,B,ab@example.com,Sales,,")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "is empty"),
        ("id,first,last,email,department,manager,end\n", "no rows"),
        ("<!DOCTYPE html><html><body>Sign in</body></html>", "web page"),
        ("a,b,c\n1,2,3\n", 'no column "id"'),
        ("id,first,last,email,department,manager\n1,A,B,c,d,e\n", 'no column "end"'),
    ],
    ids=["empty", "header-only", "login-page", "other-file", "column-gone"],
)
async def test_what_is_not_the_source_stops_the_run(world: World, content: str, told: str) -> None:
    """T-71: nobody is taken to have left because of a file that is not the one."""
    await world.pull(*TEAM)
    before = await world.last_change()
    (world.folder / "people.csv").write_text(content)
    with pytest.raises(SourceError, match=told):
        await world.pull()
    assert await world.last_change() == before


async def test_bad_rows_are_reported_by_line_and_left_out(world: World) -> None:
    """T-70: a row with too few fields touches nobody, and nobody else."""
    await world.pull(*TEAM)
    report = await world.pull("1,Ann,Müller", BEA.replace("Groß", "Klein"), CARL)
    assert reasons(report) == [(2, "1", "3 fields where the header has 7")]
    users = await world.users()
    assert users["ann.mueller@example.com"]["active"] is True
    assert users["bea@example.com"]["name"]["familyName"] == "Klein"


async def test_rows_that_say_not_whose_they_are_hold_all_departures(world: World) -> None:
    """T-71: a missing person may be the one in the unreadable row."""
    await world.pull(*TEAM)
    report = await world.pull(",Ann,Müller,ann.mueller@example.com,Engineering,2,", BEA, CARL)
    assert (report.held, report.disabled) == (1, 0)
    assert "everybody was left as they are" in report.problems[1].reason
    assert (await world.users())["ann.mueller@example.com"]["active"] is True


async def test_a_repeated_key_touches_nobody(world: World) -> None:
    """T-70: both rows are reported, the person stays as they are."""
    await world.pull(*TEAM)
    report = await world.pull(ANN.replace("Ann", "Anna"), BEA, CARL, ANN)
    assert reasons(report) == [
        (2, "1", '"1" stands in more than one row; none of them is used'),
        (5, "1", '"1" stands in more than one row; none of them is used'),
    ]
    assert (await world.users())["ann.mueller@example.com"]["name"]["givenName"] == "Ann"


async def test_a_taken_user_name_is_that_persons_problem(world: World) -> None:
    """The second one is reported with attribute and holder; everybody else passes."""
    report = await world.pull(ANN, BEA, "4,Anna,Müller,ann.mueller@example.com,Sales,,")
    assert report.created == 2
    assert reasons(report) == [
        (4, "4", 'userName: "ann.mueller@example.com" is in use by the person of record 1')
    ]


async def test_a_new_hire_may_take_a_leavers_name(world: World) -> None:
    """FE-21: a name that becomes free in the same run is given in the same run."""
    await world.pull(*TEAM)
    report = await world.pull(
        "8,Ann,Neu,ann.mueller@example.com,Sales,,",
        "1,Ann,Müller,ann.old@example.com,Engineering,2,",
        BEA,
        CARL,
    )
    assert report.problems == []
    users = await world.users()
    assert users["ann.mueller@example.com"]["externalId"] == "8"
    assert users["ann.old@example.com"]["externalId"] == "1"


async def test_an_unknown_manager_is_reported_and_filled_in_later(world: World) -> None:
    """FE-22: left empty with a reason, and filled when the record is there."""
    report = await world.pull(ANN)
    assert reasons(report) == [(2, "1", f"{ENTERPRISE}:manager: 2 is no record of this source; left empty")]
    assert (await world.users())["ann.mueller@example.com"]["manager"] is None
    await world.pull(*TEAM)
    users = await world.users()
    assert users["ann.mueller@example.com"]["manager"] == users["bea@example.com"]["id"]


async def test_someone_may_manage_themselves(world: World) -> None:
    """FE-22: rings end."""
    report = await world.pull(
        "1,Ann,M,ann@example.com,Sales,1,",
        "2,Bea,G,bea@example.com,Sales,3,",
        "3,Carl,S,carl@example.com,Sales,2,",
    )
    users = await world.users()
    assert (report.created, report.problems) == (3, [])
    assert users["ann@example.com"]["manager"] == users["ann@example.com"]["id"]
    assert users["bea@example.com"]["manager"] == users["carl@example.com"]["id"]


@pytest.mark.parametrize(
    "document",
    [
        {"userName": "other@example.com", "externalId": "1", "active": True},
        {"userName": "ANN.mueller@example.com", "title": "Dr.", "active": False},
    ],
    ids=["by-externalId", "by-userName"],
)
async def test_a_user_that_is_there_already_is_adopted(world: World, document: dict[str, object]) -> None:
    """Provisioning pain 10: joined instead of duplicated; attributes without a rule stay."""
    await world.add_user(document, "known")
    report = await world.pull(*TEAM)
    user = (await world.users())["ann.mueller@example.com"]
    assert (report.created, report.changed, user["id"]) == (2, 1, "known")
    assert (user.get("title"), user["active"]) == (document.get("title"), True)


async def test_two_records_never_adopt_the_same_user(world: World) -> None:
    """I-11: the second one is reported."""
    await world.add_user({"userName": "ann.mueller@example.com", "active": True}, "known")
    report = await world.pull(ANN, BEA, ANN.replace("1,", "5,", 1))
    assert report.created == 1
    assert reasons(report) == [
        (4, "5", 'userName: "ann.mueller@example.com" is in use by the person of record 1')
    ]


async def test_several_users_with_the_external_id_are_nobodys_guess(world: World) -> None:
    """An uncertain match is reported, never guessed."""
    for name in ("x", "y"):
        await world.add_user({"userName": name, "externalId": "1", "active": True}, name)
    report = await world.pull(ANN, BEA)
    assert reasons(report) == [(2, "1", 'externalId: several hub users have "1"; which of them is it?')]


async def test_a_group_of_somebody_else_is_not_taken_over(world: World) -> None:
    """I-15: a column must not decide who is in a group that the source did not make."""
    from tests.provisioning.people_hub import GROUP

    from rollbook.protocol.resource import Change
    from rollbook.storage.base import Author

    await world.store.insert(1, GROUP, "admins", Change({"displayName": "dept-Sales"}), Author("test", 0))
    report = await world.pull(*TEAM)
    assert [one.reason[:17] for one in report.problems] == ["group dept-Sales:"]
    assert (await world.groups())["dept-Sales"] == set()
    await world.store.delete(1, GROUP, "admins", Author("test", 0))
    assert (await world.pull()).problems == []
    assert (await world.groups())["dept-Sales"] == {"carl@example.com"}


async def test_letters_do_not_make_another_group(world: World) -> None:
    """A department that is written Sales today and SALES tomorrow is one: nobody leaves it, who is new joins it, and can leave."""
    await world.pull(*TEAM)
    shouted = [row.replace(",Sales,", ",SALES,") for row in TEAM]
    assert (await world.pull(*shouted)).problems == []
    assert [(one.joins, one.leaves) for one in world.seen] == [((), ())]
    assert (await world.groups())["dept-Sales"] == {"carl@example.com"}
    dora = "4,Dora,Busch,dora@example.com,SALES,1,"
    assert (await world.pull(*shouted, dora)).problems == []
    assert (await world.groups())["dept-Sales"] == {"carl@example.com", "dora@example.com"}
    assert (await world.pull(*shouted, dora.replace("SALES", "Finance"))).problems == []
    groups = await world.groups()
    assert groups["dept-Sales"] == {"carl@example.com"}
    assert groups["dept-Finance"] == {"dora@example.com"}
    assert "dept-SALES" not in groups


async def test_a_key_that_becomes_somebody_else_is_held(world: World) -> None:
    """T-70: key reused for another person; it passes only when it is accepted by name."""
    await world.pull(*TEAM)
    other = ("1,Zoe,Neumann,zoe@example.com,Engineering,2,", BEA, CARL)
    report = await world.pull(*other)
    assert [one.person for one in report.problems] == ["1"]
    assert "another person" in report.problems[0].reason
    assert "ann.mueller@example.com" in await world.users()
    assert (await world.pull(*other, accept=("1",))).changed == 1
    assert "zoe@example.com" in await world.users()


async def test_a_failing_expression_is_that_persons_problem(world: World) -> None:
    """FE-17: one bad date stops nobody else."""
    report = await world.pull(ANN + "31.12.2026", BEA)
    assert report.created == 1
    assert reasons(report)[0][:2] == (2, "1")
    assert "'31.12.2026' is not a date" in report.problems[0].reason


async def test_a_value_the_schema_refuses_is_that_persons_problem(world: World) -> None:
    """A userName is required: who has none is reported with the attribute."""
    report = await world.pull("1,Ann,Müller,,Engineering,,", BEA)
    assert report.created == 1
    assert reasons(report)[0][:2] == (2, "1")
    assert "userName" in report.problems[0].reason


async def test_a_user_deleted_in_the_hub_comes_back_with_the_next_change(world: World) -> None:
    """The record is still there, so the person is."""
    from tests.provisioning.people_hub import USER

    from rollbook.storage.base import Author

    await world.pull(*TEAM)
    await world.store.delete(1, USER, (await world.users())["carl@example.com"]["id"], Author("test", 0))
    report = await world.pull(ANN, BEA, CARL.replace("Sales", "Legal"))
    assert report.created == 1
    assert (await world.groups())["dept-Legal"] == {"carl@example.com"}


async def test_a_preview_decides_everything_and_writes_nothing(world: World) -> None:
    """Provisioning table 22 and 23: per person and attribute, old and new."""
    await world.pull(*TEAM)
    before = await world.last_change()
    world.write(
        ANN.replace("Engineering", "Sales"),
        CARL,
        "4,Dora,Neu,dora@example.com,Legal,5,",
        "5,Emil,Neu,emil@example.com,Legal,,",
    )
    planned = await world.pull(dry_run=True)
    assert await world.last_change() == before
    shown = {(one.key, one.action) for one in world.seen}
    assert shown == {("1", Action.CHANGE), ("2", Action.DISABLE), ("4", Action.CREATE), ("5", Action.CREATE)}
    dora = next(one for one in world.seen if one.key == "4")
    assert (f"{ENTERPRISE}:manager", None, {"value": "(record 5)"}) in [
        (one.attribute, one.old, one.new) for one in dora.differences
    ]
    assert dora.joins == ("dept-Legal",)
    done = await world.pull()
    assert (planned.created, planned.changed, planned.disabled) == (done.created, done.changed, done.disabled)


async def test_a_pull_cut_off_in_the_middle_is_finished_by_the_next(world: World) -> None:
    """FE-11: users without a remembered record are found again by externalId, not duplicated."""
    await world.pull(*TEAM)
    await world.hub.records.drop(1, "hr", ["1", "2", "3"])
    report = await world.pull(*TEAM)
    assert (report.created, len(await world.users())) == (0, 3)
    assert await world.groups() == {
        "dept-Engineering": {"ann.mueller@example.com", "bea@example.com"},
        "dept-Sales": {"carl@example.com"},
    }


async def test_batches_do_not_show(world: World) -> None:
    """More records than a batch, managers across batches, all counted once."""
    rows = [f"{n},F{n},L{n},p{n}@example.com,D{n % 7},{n % 449 + 1}," for n in range(1, 451)]
    report = await world.pull(*rows)
    assert (report.created, report.changed, report.unchanged, report.problems) == (450, 0, 0, [])
    users = await world.users()
    ids = {user["externalId"]: user["id"] for user in users.values()}
    assert all(user["manager"] == ids[str(int(user["externalId"]) % 449 + 1)] for user in users.values())
    assert sum(map(len, (await world.groups()).values())) == 450
    again = await world.pull()
    assert (again.created, again.changed, again.unchanged) == (0, 0, 450)


async def test_source_rules_that_write_once_or_while_there_is_nothing(world: World) -> None:
    """create: with a new person only, and nobody who was there before; empty: while there is no value; keep: never away."""
    world.rules = RULES.replace(
        "      name.givenName: {from: first}\n",
        "      name.givenName: {from: first, apply: empty}\n"
        "      nickName: {from: first, apply: create}\n"
        "      title: {from: department, clear: keep}\n"
        "      userType: {from: end, default: staff, when: 'record.department != \"Sales\"'}\n",
    )
    await world.add_user({"userName": "bea@example.com", "nickName": "B."}, "b")
    await world.pull(ANN, BEA, CARL)
    users = await world.users()
    assert users["bea@example.com"]["nickName"] == "B."
    assert users["bea@example.com"]["name"]["givenName"] == "Bea"
    assert [users[name].get("userType") for name in sorted(users)] == ["staff", "staff", None]
    renamed = (ANN.replace("Ann,", "Anna,"), BEA, CARL.replace("Sales", ""))
    report = await world.pull(*renamed)
    users = await world.users()
    ann = users["ann.mueller@example.com"]
    assert (ann["name"]["givenName"], ann["nickName"]) == ("Ann", "Ann")
    carl = users["carl@example.com"]
    assert (carl["title"], ENTERPRISE in carl and "department" in carl[ENTERPRISE]) == ("Sales", False)
    assert report.unchanged == 2
