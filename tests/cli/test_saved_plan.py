"""Plans in files that somebody has edited, broken or used before (T-73)."""

import itertools
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pytest
from tests.cli.test_provision import PEOPLE, Office, office
from tests.provisioning.world import USER, path_of, target

from rollbook.cli.plan_lines import Recorder, entry_of, moved
from rollbook.cli.saved_plan import entries, load, save
from rollbook.protocol.values import JsonObject
from rollbook.provisioning.differences import Difference
from rollbook.provisioning.directory import pull as original
from rollbook.provisioning.items import Action, Item
from rollbook.provisioning.report import PullReport
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


NUMBER = 20_000


def _item(at: int, title: str = "Boss") -> Item:
    path = path_of(USER, "title")
    return Item("app", "User", f"id{at}", f"user{at}", Action.CHANGE, (Difference(path, None, title),))


def test_a_plan_about_many_is_never_held_whole(tmp_path: Path) -> None:
    """Twenty thousand are written, read and compared in some hundred kilobytes, also when one in front has gone."""
    file = tmp_path / "plan.json"
    tracemalloc.start()
    with TemporaryFile("w+", encoding="utf-8") as lines, TemporaryFile("w+", encoding="utf-8") as later:
        for place, numbers in ((lines, range(NUMBER)), (later, range(1, NUMBER))):
            recorder = Recorder(frozenset(), place)
            recorder.target(target())
            for at in numbers:
                recorder.item(_item(at, "Chief" if at == NUMBER - 1 and place is later else "Boss"))
        save(file, lines, ["app"], {}, reads_sources=False)
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
    assert file.stat().st_size > 2_000_000
    assert most < 1_000_000


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
        patched.setattr("rollbook.cli.provision_work.pull", pull)
        refused = office.run("apply", "plan.json")
    assert refused.exit_code != 0
    assert "changed since the plan was made" in refused.output + str(refused.exception)
    assert office.target.writes == []
    assert office.run("apply").exit_code == 0
    assert len(office.target.resources["Users"]) == 4


@pytest.mark.parametrize("command", ["undo", "runs"])
def test_a_run_that_no_database_can_count_to(office: Office, command: str) -> None:
    """It is a mistake on the command line and not in Rollbook."""
    assert office.run(command, "9" * 30).exit_code == 2
