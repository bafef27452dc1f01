"""Plans in files that somebody has edited, broken or used before (T-73)."""

import asyncio
import itertools
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pytest
from tests.cli.test_provision import PEOPLE, Office, office
from tests.provisioning.world import TENANT, USER, path_of, target, world

from rollbook.cli.saved_plan import entries, load, save
from rollbook.desk.plan_lines import Recorder, entry_of, moved
from rollbook.protocol.values import JsonObject
from rollbook.provisioning.differences import Difference
from rollbook.provisioning.directory import pull as original
from rollbook.provisioning.items import Action, Item
from rollbook.provisioning.report import PullReport
from rollbook.provisioning.wanted import record_label
from rollbook.settings import SettingsError

__all__ = ["office"]

PLAN: JsonObject = {
    "rollbook": "1",
    "format": 1,
    "readsSources": True,
    "sources": {"hr": []},
    "targets": {"app": []},
    "departures": {},
}


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "[]",
        "5",
        "\0",
        json.dumps(dict.fromkeys(PLAN) | {"format": 1}),
        json.dumps(PLAN | {"departures": []}),
        json.dumps(PLAN | {"departures": {"app": ["many", "plan"]}}),
        json.dumps(PLAN | {"departures": {"app": [1]}}),
        json.dumps(PLAN | {"targets": {}}),
        json.dumps(PLAN | {"targets": "app"}),
        json.dumps(PLAN | {"targets": {"app": 5}}),
        json.dumps(PLAN | {"targets": {"app": [5]}}),
        json.dumps(PLAN | {"targets": {"app": [{"who": "ada"}]}}),
        json.dumps(PLAN | {"targets": {"app": [{"who": [], "action": "create", "changes": []}]}}),
        json.dumps(PLAN | {"targets": {"app": [{"who": "ada", "action": "create", "changes": [5]}]}}),
        json.dumps(PLAN | {"sources": ["hr"]}),
    ],
)
def test_t_73_a_broken_plan_is_told_as_such(tmp_path: Path, text: str) -> None:
    """Whatever stands in the file, the message is about the file."""
    file = tmp_path / "plan.json"
    file.write_text(text, "utf-8")
    with pytest.raises(SettingsError, match=r"is no plan of|names no target"):
        load(file)


Lines = list[JsonObject]


def _names_nobody(plan: Lines) -> None:
    plan[0]["targets"] = []


def _leaves_somebody_out(plan: Lines) -> None:
    plan.pop(-2)


def _says_another_value(plan: Lines) -> None:
    first = next(line for line in plan if "target" in line)
    first["changes"][0]["new"] = "somebody-else"


def _counts_less(plan: Lines) -> None:
    plan[-1]["departures"]["other"] = [-2, "x"]


def _is_cut_off(plan: Lines) -> None:
    plan.pop()


def _is_about_another(plan: Lines) -> None:
    plan.append(plan.pop(-2) | {"target": "other"})
    plan.append(plan.pop(-2))


EDITS = [
    _names_nobody,
    _leaves_somebody_out,
    _says_another_value,
    _counts_less,
    _is_cut_off,
    _is_about_another,
]


@pytest.mark.parametrize("edit", EDITS)
def test_t_73_an_edited_plan_does_nothing(office: Office, edit: Callable[[Lines], None]) -> None:
    """Least of all to targets that it does not name, or to more accounts than it says."""
    office.run("apply")
    office.people(PEOPLE[0], *(line.replace(",,", ",2026-01-01,") for line in PEOPLE[1:]))
    office.run("plan", "-o", "plan.json")
    file, before = office.directory / "plan.json", len(office.target.writes)
    plan = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    edit(plan)
    file.write_text("".join(json.dumps(line) + "\n" for line in plan), "utf-8")
    due = str(sum(number for number, _ in plan[-1].get("departures", {}).values()))
    refused = office.run("apply", "plan.json", "--accept-deletions", due)
    assert refused.exit_code != 0
    assert len(office.target.writes) == before


@pytest.mark.parametrize("indent", [None, 1])
def test_a_plan_of_the_former_form_is_done(office: Office, indent: int | None) -> None:
    """One JSON document, as versions before 0.2 wrote it; and refused like any other once the world has moved."""
    office.run("plan", "-o", "plan.json")
    file = office.directory / "plan.json"
    head, *lines, end = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    former: JsonObject = {**head, **end, "format": 1, "sources": {}, "targets": {"app": []}}
    for line in lines:
        kind = "source" if "source" in line else "target"
        former[f"{kind}s"].setdefault(line.pop(kind), []).append(line)
    file.write_text(json.dumps(former, indent=indent), "utf-8")
    assert office.run("apply", "plan.json").exit_code == 0
    assert len(office.target.resources["Users"]) == 3
    assert "the world has moved" in str(office.run("apply", "plan.json").exception)


NUMBER = 8_000


def _item(at: int, title: str = "Boss") -> Item:
    path = path_of(USER, "title")
    return Item("app", "User", f"id{at}", f"user{at}", Action.CHANGE, (Difference(path, None, title),))


def test_a_plan_about_many_is_never_held_whole(tmp_path: Path) -> None:
    """Eight thousand are written, read and compared in some hundred kilobytes, also when one in front has gone."""
    file = tmp_path / "plan.json"
    tracemalloc.start()
    with TemporaryFile("w+", encoding="utf-8") as lines, TemporaryFile("w+", encoding="utf-8") as later:
        for place, numbers in ((lines, range(NUMBER)), (later, range(1, NUMBER))):
            recorder = Recorder(frozenset(), place)
            recorder.target(target())
            for at in numbers:
                recorder.item(_item(at, "Chief" if at == NUMBER - 1 and place is later else "Boss"))
        save(file, lines, [target()], {}, reads_sources=False)
        assert load(file).targets == ["app"]
        later.seek(0)
        told, number = moved(entries(file), (entry_of(json.loads(line)) for line in later))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert told == [
        "target app: user0: change title, now nothing to do",
        f"target app: user{NUMBER - 1}: change title, now change title",
    ]
    assert number == 2
    assert file.stat().st_size > 1_500_000
    assert most < 600_000


@pytest.mark.parametrize("there", [True, False])
def test_t_90_a_plan_follows_no_link(tmp_path: Path, there: bool) -> None:
    """T-90: a link laid where it is written leads nowhere, also one to a file that there is not; the plan is its owner's only."""
    kept = tmp_path / "kept"
    if there:
        kept.write_text("mine", "utf-8")
    file = tmp_path / "plan.json"
    file.symlink_to(kept)
    with TemporaryFile("w+", encoding="utf-8") as lines:
        Recorder(frozenset(), lines).target(target())
        save(file, lines, [target()], {}, reads_sources=False)
    assert kept.exists() == there
    assert not there or kept.read_text("utf-8") == "mine"
    assert not file.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o600


def test_t_73_a_plan_is_done_once(office: Office) -> None:
    """Used a second time it does nothing, also when the same change would be due again."""
    office.run("plan", "-o", "plan.json")
    assert office.run("apply", "plan.json").exit_code == 0
    before = len(office.target.writes)
    assert office.run("apply", "plan.json").exit_code != 0
    assert len(office.target.writes) == before


@pytest.mark.parametrize("read", [1, 2])
def test_i_27_a_file_replaced_during_the_check_is_not_applied(
    office: Office, monkeypatch: pytest.MonkeyPatch, read: int
) -> None:
    """Nobody has looked at the people who are in it now: neither the hub nor a target gets them."""
    office.run("plan", "-o", "plan.json")
    calls = itertools.count(1)

    async def pull(*arguments: Any, **options: Any) -> PullReport:
        report = await original(*arguments, **options)
        if next(calls) == read:
            office.people(*PEOPLE, "4,joan@x,Clarke,Deputy,math,,MARKER")
        return report

    with monkeypatch.context() as patched:
        patched.setattr("rollbook.desk.pulls.pull", pull)
        refused = office.run("apply", "plan.json")
    assert refused.exit_code != 0
    assert "changed since the plan was made" in refused.output + str(refused.exception)
    assert office.target.writes == []
    assert office.run("apply").exit_code == 0
    assert len(office.target.resources["Users"]) == 4


async def _promote_grace(office: Office) -> None:
    """Somebody gives Grace another title in the hub, by another way than a source."""
    async with world(office.directory) as hub:
        for entry in await hub.store.changes(TENANT, 0, 100):
            record = await hub.store.get(TENANT, USER, entry.id, members=False)
            if record is not None and record_label(record, USER) == "grace@x":
                await hub.change(entry.id, title="Commodore")
                return


PROMOTED = [PEOPLE[0], PEOPLE[1].replace("Analyst", "Lead"), *PEOPLE[2:]]


def _source_moves(office: Office) -> None:
    office.people(*PROMOTED[:-1], PROMOTED[-1].replace("Reader", "Fellow"))


def _hub_moves(office: Office) -> None:
    asyncio.run(_promote_grace(office))


def _links_move(office: Office) -> None:
    assert office.run("reset", "app", "--accounts").exit_code == 0


def _account_moves(office: Office) -> None:
    office.target.named("Users", "ada@x")["title"] = "Countess"


def _account_goes(office: Office) -> None:
    users = office.target.resources["Users"]
    del users[str(office.target.named("Users", "ada@x")["id"])]


def _mapping_moves(office: Office) -> None:
    _configure(office, "title: {from: title}\n      active: {from: active}", "active: {from: active}")


def _policy_moves(office: Office) -> None:
    _configure(office, "leave: disable", "leave: delete")


def _configure(office: Office, old: str, new: str) -> None:
    file = office.directory / "rollbook.yaml"
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new), "utf-8")


@pytest.mark.parametrize(
    ("move", "where"),
    [
        (_source_moves, "source hr: 3: nothing to do, now change title"),
        (_hub_moves, "target app: grace@x: nothing to do, now change title"),
        (_links_move, "target app: ada@x: change title, now change title"),
        (_account_moves, "target app: ada@x: change title, now change title"),
        (_account_goes, "target app: ada@x: change title, now create"),
        (_mapping_moves, "target app: it is configured otherwise now"),
        (_policy_moves, "target app: it is configured otherwise now"),
    ],
)
def test_i_27_a_plan_is_refused_wherever_the_world_has_moved(
    office: Office, move: Callable[[Office], None], where: str
) -> None:
    """In a source, the hub, what is known of the accounts, the accounts themselves, the configuration: it says where."""
    office.run("apply")
    office.people(*PROMOTED)
    office.run("plan", "-o", "plan.json")
    before = len(office.target.writes)
    move(office)
    refused = office.run("apply", "plan.json")
    assert refused.exit_code != 0
    assert "the world has moved" in str(refused.exception)
    assert where in str(refused.exception)
    assert len(office.target.writes) == before
    assert office.run("plan", "-o", "plan.json").exit_code == 2
    assert office.run("apply", "plan.json").exit_code == 0


@pytest.mark.parametrize(("read", "told"), [(2, "so nothing was done"), (3, "so nothing was sent")])
def test_i_27_the_hub_may_not_change_while_a_plan_is_checked(
    office: Office, monkeypatch: pytest.MonkeyPatch, read: int, told: str
) -> None:
    """Somebody else who changes a person then, in what was compared or while sources are read, is named; nothing of it leaves."""
    office.run("apply")
    office.people(*PROMOTED)
    office.run("plan", "-o", "plan.json")
    before, calls = len(office.target.writes), itertools.count(1)

    async def pull(*arguments: Any, **options: Any) -> PullReport:
        report = await original(*arguments, **options)
        if next(calls) == read:
            await _promote_grace(office)
        return report

    with monkeypatch.context() as patched:
        patched.setattr("rollbook.desk.pulls.pull", pull)
        refused = office.run("apply", "plan.json")
    assert refused.exit_code != 0
    assert "hub: grace@x: update by test" in str(refused.exception)
    assert told in str(refused.exception)
    assert len(office.target.writes) == before


@pytest.mark.parametrize("command", ["undo", "runs"])
def test_a_run_that_no_database_can_count_to(office: Office, command: str) -> None:
    """It is a mistake on the command line and not in Rollbook."""
    assert office.run(command, "9" * 30).exit_code == 2
