"""`rollbook pull`, `plan`, `apply`, `status`, as a user runs them, against a target behind a real socket."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from rollbook.cli.errors import exit_code
from rollbook.cli.main import app
from rollbook.provisioning.config import ConfigError
from rollbook.storage.sql.databases import open_store
from rollbook.storage.sql.files import work_lock
from rollbook.storage.sql.links import SqlLinks
from rollbook.testing.http_server import served
from rollbook.testing.scripted_target import Fault, Profile, ScriptedTarget, error, html

CONFIG = """
version: 1
sources:
  hr:
    type: csv
    path: people.csv
    key: id
    users:
      externalId: {from: id}
      userName: {from: mail}
      name.familyName: {from: name}
      title: {from: title}
      nickName: {from: secret}
      active: {expr: 'record.left == ""'}
    groups:
      - {from: team, displayName: {expr: '"team-" + record.team'}}
targets:
  app:
    type: scim
    url: URL/v2
    token: ${APP_TOKEN}
    leave: disable
    users:
      externalId: {from: externalId}
      userName: {from: userName}
      name.familyName: {from: name.familyName}
      title: {from: title}
      active: {from: active}
    groups: {displayName: {from: displayName}, members: true}
"""
PEOPLE = [
    "id,mail,name,title,team,left,secret",
    "1,ada@x,Lovelace,Analyst,math,,MARKER",
    "2,grace@x,Hopper,Admiral,navy,,MARKER",
    "3,alan@x,Turing,Reader,math,,MARKER",
]


@dataclass
class Office:
    """A directory with a configuration and a CSV file, and the target it speaks of."""

    directory: Path
    target: ScriptedTarget

    def people(self, *lines: str) -> None:
        """Write the CSV file."""
        (self.directory / "people.csv").write_text("\n".join(lines) + "\n", "utf-8")

    def run(self, *arguments: str) -> Result:
        """Run a command there."""
        return CliRunner().invoke(app, arguments, env={"APP_TOKEN": "secret", "NO_COLOR": "1"})

    def json(self, *arguments: str) -> Any:
        """What a command prints as JSON."""
        return json.loads(self.run(*arguments, "--json").stdout)


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    """An office whose hub knows nobody yet."""
    target = ScriptedTarget(Profile(token="secret"))
    with served(target) as url:
        (tmp_path / "rollbook.yaml").write_text(CONFIG.replace("URL", url), "utf-8")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("ROLLBOOK_DATABASE", f"sqlite:///{tmp_path / 'hub.db'}")
        made = Office(tmp_path, target)
        made.people(*PEOPLE)
        yield made


def test_the_main_job(office: Office) -> None:
    """Plan shows it, apply does it, plan then has nothing to show, and a second apply writes nothing."""
    plan = office.run("plan")
    assert plan.exit_code == 2, plan.output
    assert "+ ada@x" in plan.stdout
    assert "Plan: 5 to create, 0 to change, 0 to disable, 0 to delete, 0 refused." in plan.stdout
    assert office.target.writes == []
    done = office.run("apply")
    assert done.exit_code == 0, done.output
    assert sorted(user["userName"] for user in office.target.resources["Users"].values()) == [
        "ada@x",
        "alan@x",
        "grace@x",
    ]
    assert len(office.target.named("Groups", "team-math")["members"]) == 2
    again = office.run("plan")
    assert again.exit_code == 0, again.output
    writes = len(office.target.writes)
    second = office.run("apply", "--json")
    assert second.exit_code == 0
    assert json.loads(second.stdout)["writes"] == 0
    assert len(office.target.writes) == writes


def test_fe_26_a_plan_says_that_a_run_would_stop(office: Office) -> None:
    """Of an emptied target it says what the run says, and which command lets everybody be made anew; a sound one has no such line."""
    rows = [f"{at},user{at}@x,Name,Title,math,,MARKER" for at in range(12)]
    office.people(PEOPLE[0], *rows)
    office.run("apply")
    office.people(PEOPLE[0], *(row.replace("Title", "Chief") for row in rows))
    assert office.json("plan")["targets"][0]["vanished"] is None
    assert "gone at the target" not in office.run("plan").stdout
    office.target.resources["Users"].clear()
    assert "gone at the target" in office.json("plan")["targets"][0]["vanished"]
    told = office.run("plan").stdout
    assert "app: a run would stop: " in told
    assert "rollbook reset app --accounts" in told
    assert "gone at the target" in office.run("apply").stdout
    assert len(office.target.resources["Users"]) < 5  # those made before it was noticed


def test_movers_and_leavers_by_attribute(office: Office) -> None:
    """A plan names each attribute with old and new value, at the source and at the target."""
    office.run("apply")
    office.people(
        PEOPLE[0], PEOPLE[1].replace("Analyst", "Lead"), PEOPLE[2].replace(",,", ",2026-01-01,"), PEOPLE[3]
    )
    plan = office.run("plan")
    assert plan.exit_code == 2
    source, _, target = plan.stdout.partition("app (http")
    for part in (source, target):
        assert '"Analyst" → "Lead"' in part
        assert "- grace@x" in part or "~ grace@x" in part
    assert "as it would be after the changes of the sources above" in target
    assert "disable  inactive" in target
    assert "Plan: 0 to create, 1 to change, 1 to disable, 0 to delete, 0 refused." in target
    found = office.json("plan")
    (app_plan,) = found["targets"]
    assert [(item["label"], item["action"]) for item in app_plan["items"]] == [
        ("ada@x", "change"),
        ("grace@x", "disable"),
    ]
    assert app_plan["items"][0]["differences"] == [{"attribute": "title", "old": "Analyst", "new": "Lead"}]
    assert found["pending"] is True
    assert office.run("apply").exit_code == 0
    assert office.target.named("Users", "grace@x")["active"] is False


def test_a_plan_changes_nothing(office: Office) -> None:
    """After a plan the hub has nobody, the target has seen no write, and no copy of the hub is left."""
    office.run("plan")
    assert office.target.writes == []
    assert office.json("pull")["sources"][0]["created"] == 3
    assert sorted(path.name for path in office.directory.iterdir() if path.name.startswith(".")) == []


def test_withheld_values_are_nowhere(office: Office) -> None:
    """A column that no target gets is in no request, nor in the target's part of a plan."""
    plan = office.run("plan").stdout
    office.run("apply")
    assert "MARKER" in plan.partition("app (http")[0]
    assert "MARKER" not in plan.partition("app (http")[2]
    assert "MARKER" not in repr(office.target.requests)


def test_apply_without_reading_sources(office: Office) -> None:
    """With --no-pull only what is in the hub already goes out."""
    done = office.json("apply", "--no-pull")
    assert done["sources"] == []
    assert office.target.writes == []
    office.run("pull")
    assert office.run("plan", "--no-pull").exit_code == 2
    office.run("apply", "--no-pull")
    assert len(office.target.resources["Users"]) == 3


def test_failures_are_gathered(office: Office) -> None:
    """What could not be done stands at the end with target, person, the target's words and what to try; code 1."""
    office.target.faults.append(
        Fault("POST", "/Users", error(400, "title has 3 letters too many", "invalidValue"))
    )
    done = office.run("apply")
    assert done.exit_code == 1
    assert "400 invalidValue: title has 3 letters too many" in done.stdout
    assert "try: correct the value at its source" in done.stdout
    status = office.run("status")
    assert status.exit_code == 0
    assert "title has 3 letters too many" in status.stdout
    (target,) = office.json("status")["targets"]
    assert (target["done"], target["parked"]) == (4, 1)
    assert office.run("apply", "--retry").exit_code == 0
    assert office.json("status")["targets"][0]["parked"] == 0


def test_a_target_that_is_down(office: Office) -> None:
    """A target that answers nonsense ends with code 1 and a reason, for plan and apply."""
    office.target.faults.append(Fault("GET", "/Users", html(200), times=999))
    plan = office.run("plan")
    assert plan.exit_code == 1
    assert "an HTML page came instead of SCIM" in plan.stdout
    assert office.run("pull").exit_code == 0


def test_a_source_that_cannot_be_read(office: Office) -> None:
    """An empty source changes nothing and nobody, is told, and ends with code 1; targets are served all the same."""
    office.run("apply")
    office.people(PEOPLE[0])
    done = office.run("apply")
    assert done.exit_code == 1
    assert "no rows" in done.stdout
    assert all(user["active"] for user in office.target.resources["Users"].values())
    (source,) = office.json("status")["sources"]
    assert "no rows" in source["last_run"]["error"]


def test_bad_rows_are_named(office: Office) -> None:
    """A row that cannot be used is skipped by line, the others are taken, and the code says so."""
    office.people(*PEOPLE, "1,ada2@x,Twice,T,math,,x")
    done = office.run("pull")
    assert done.exit_code == 1
    assert "line" in done.stdout
    assert office.json("pull")["sources"][0]["problems"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("plan", "ap"), "there is no target 'ap' in the configuration; did you mean app?"),
        (("plan", "zzzzz"), "there are: app"),
        (("pull", "payroll"), "there is no source 'payroll' in the configuration; there are: hr"),
        (("apply", "--config", "no.yaml"), "no.yaml: there is no such file"),
    ],
)
def test_wrong_names(office: Office, arguments: tuple[str, ...], words: str) -> None:
    """Names that are not in the configuration are refused with what there is."""
    done = office.run(*arguments)
    assert words in str(done.exception)
    assert office.target.requests == []


def test_a_wrong_configuration(office: Office) -> None:
    """Mistakes in the configuration are all told with their place, and end with code 3."""
    file = office.directory / "rollbook.yaml"
    file.write_text(
        file.read_text("utf-8").replace("userName: {from: userName}", "userNam: {from: userName}"), "utf-8"
    )
    done = office.run("apply")
    assert isinstance(done.exception, ConfigError)
    assert "rollbook.yaml:" in done.exception.render()
    assert exit_code(done.exception) == 3
    assert office.target.requests == []


def test_values_cannot_drive_the_terminal(office: Office) -> None:
    """Control and direction characters in values are shown as escapes (T-89)."""
    office.people(PEOPLE[0], "9,linus@x,N,\x1b[31mred\u202e,math,,x")
    plan = office.run("plan").stdout
    assert "\x1b" not in plan
    assert "\u202e" not in plan
    assert "\\u001b[31mred\\u202e" in plan


def test_help_names_the_exit_codes(office: Office) -> None:
    """Scripts find the exit codes in the help."""
    for command in ("pull", "plan", "apply", "status"):
        assert "Exit codes" in office.run(command, "--help").stdout
    assert "2 changes are pending" in " ".join(office.run("plan", "--help").stdout.split())


async def _claim_everything(path: Path) -> int:
    """Do what a worker does that is killed straight afterwards: claim every link for an hour."""
    store = open_store(f"sqlite:///{path}", None)
    await store.open()
    links = SqlLinks(store.database)
    progress = await links.target(1, "app")
    assert progress is not None
    far = 2**45
    claimed = [
        link for rank in range(10) for link in await links.claim(1, progress.number, rank, far, far + 1, 100)
    ]
    await store.close()
    return len(claimed)


def test_what_a_killed_run_held_is_taken_over(office: Office) -> None:
    """The next apply goes on at once with what a run that was killed had claimed (FE-01)."""
    office.target.faults.append(Fault("GET", "/Users", error(401, "no"), times=999))
    assert office.run("apply").exit_code == 1
    office.target.faults.clear()
    assert asyncio.run(_claim_everything(office.directory / "hub.db")) > 0
    done = office.run("apply")
    assert done.exit_code == 0, done.output
    assert len(office.target.resources["Users"]) == 3


def test_another_run_is_left_its_claims(office: Office) -> None:
    """While another process works on the targets, what it holds is not touched, and said to be left (FE-13)."""
    office.target.faults.append(Fault("GET", "/Users", error(401, "no"), times=999))
    office.run("apply")
    office.target.faults.clear()
    database = office.directory / "hub.db"
    assert asyncio.run(_claim_everything(database)) > 0
    lock, alone = work_lock(database)
    try:
        assert alone
        done = office.run("apply")
        assert done.exit_code == 1
        assert "another run has" in done.stdout
        assert office.target.resources["Users"] == {}
    finally:
        lock.release()


def test_the_next_apply_does_not_wait(office: Office) -> None:
    """What failed is tried again by the next apply, whatever its back-off; status says why it failed."""
    office.target.faults.append(Fault("GET", "/Users", error(401, "no"), times=999))
    assert office.run("apply").exit_code == 1
    status = office.json("status")
    assert all(problem["reason"] for problem in status["targets"][0]["problems"])
    assert status["targets"][0]["problems"]
    office.target.faults.clear()
    assert office.run("apply").exit_code == 0


def test_an_attribute_left_empty_is_a_warning(office: Office) -> None:
    """A manager who is in no record is told, and is no failure."""
    file = office.directory / "rollbook.yaml"
    text = file.read_text("utf-8").replace(
        "title: {from: title}\n      nickName", "enterprise.manager: {from: title}\n      nickName"
    )
    file.write_text(text, "utf-8")
    office.people(PEOPLE[0], "1,ada@x,Lovelace,99,math,,MARKER")
    done = office.run("pull")
    assert done.exit_code == 0, done.output
    assert "? line 2: record 1:" in done.stdout
