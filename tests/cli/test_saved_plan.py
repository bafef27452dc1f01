"""Plans in files that somebody has edited, broken or used before (T-73)."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.test_provision import PEOPLE, Office, office

from rollbook.cli.saved_plan import load
from rollbook.protocol.values import JsonObject
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


def _names_nobody(plan: JsonObject) -> None:
    plan["targets"] = {}


def _leaves_somebody_out(plan: JsonObject) -> None:
    plan["targets"]["app"].pop()


def _says_another_value(plan: JsonObject) -> None:
    plan["targets"]["app"][0]["changes"][0]["new"] = "somebody-else"


def _counts_less(plan: JsonObject) -> None:
    plan["departures"]["other"] = [-2, "x"]


@pytest.mark.parametrize("edit", [_names_nobody, _leaves_somebody_out, _says_another_value, _counts_less])
def test_t_73_an_edited_plan_does_nothing(office: Office, edit: Callable[[JsonObject], None]) -> None:
    """Least of all to targets that it does not name, or to more accounts than it says."""
    office.run("apply")
    office.people(PEOPLE[0], *(line.replace(",,", ",2026-01-01,") for line in PEOPLE[1:]))
    office.run("plan", "-o", "plan.json")
    file, before = office.directory / "plan.json", len(office.target.writes)
    plan = json.loads(file.read_text("utf-8"))
    edit(plan)
    file.write_text(json.dumps(plan), "utf-8")
    due = str(sum(number for number, _ in plan["departures"].values()))
    refused = office.run("apply", "plan.json", "--accept-deletions", due)
    assert refused.exit_code != 0
    assert len(office.target.writes) == before


def test_t_73_a_plan_is_done_once(office: Office) -> None:
    """Used a second time it does nothing, also when the same change would be due again."""
    office.run("plan", "-o", "plan.json")
    assert office.run("apply", "plan.json").exit_code == 0
    before = len(office.target.writes)
    assert office.run("apply", "plan.json").exit_code != 0
    assert len(office.target.writes) == before


@pytest.mark.parametrize("command", ["undo", "runs"])
def test_a_run_that_no_database_can_count_to(office: Office, command: str) -> None:
    """It is a mistake on the command line and not in Rollbook."""
    assert office.run(command, "9" * 30).exit_code == 2
