"""`rollbook explain`, `try`, `map test`, `report`, `runs`, `undo`, `pause` and their kin, as a user runs them."""

import csv
import io
import json

import pytest
from tests.cli.test_provision import CONFIG, PEOPLE, Office, office

from rollbook.protocol.values import JsonObject
from rollbook.testing.scripted_target import Fault, error

__all__ = ["office"]

LEFT = PEOPLE[2].replace(",,", ",2026-01-01,")


def test_explain_says_why(office: Office) -> None:
    """Source, scope, every rule with its result, account and what was done: without a call to the target."""
    office.run("apply")
    office.target.requests.clear()
    found = office.run("explain", "ada@x")
    assert found.exit_code == 0, found.output
    assert office.target.requests == []
    for words in (
        "User ada@x",
        "source hr: record 1",
        "in scope: everybody is",
        "in step",
        'title                      "Analyst"',
        "from: title",
        "create externalId, userName",
    ):
        assert words in found.stdout, words
    by_key = office.json("explain", "1")
    assert by_key["label"] == "ada@x"
    (view,) = by_key["targets"]
    account = office.target.named("Users", "ada@x")["id"]
    assert (view["inScope"], view["state"], view["account"]) == (True, "done", account)
    assert "MARKER" not in json.dumps(view)


def test_explain_shows_which_condition_keeps_somebody_out(office: Office) -> None:
    """Of a scope with several conditions, those that do not hold are named."""
    scoped = CONFIG.replace(
        "    leave: disable\n", "    leave: disable\n    scope: 'active eq true and title eq \"Reader\"'\n"
    )
    file = office.directory / "rollbook.yaml"
    url = file.read_text("utf-8").partition("url: ")[2].partition("/v2")[0]
    file.write_text(scoped.replace("URL", url), "utf-8")
    office.run("apply")
    told = office.run("explain", "ada@x").stdout
    assert "has no business there: out of scope" in told
    assert "✓ active eq true" in told
    assert '✗ title eq "Reader"' in told


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("explain", "nobody"), "the hub has no User nobody"),
        (("try", "nobody"), "the hub has no User nobody"),
        (("map", "test", "nobody"), "the hub has no User nobody"),
        (("explain", "ada@x", "--target", "ap"), "did you mean app"),
        (("explain", "ada@x", "--type", "Dog"), "--type Dog: there are User, Group"),
        (("undo", "77"), "there is no run 77"),
        (("runs", "77"), "there is no run 77"),
        (("pause", "nowhere"), "there is no target 'nowhere'"),
        (("report", "nowhere"), "there is no target 'nowhere'"),
    ],
)
def test_what_cannot_be_meant(office: Office, arguments: tuple[str, ...], words: str) -> None:
    """An error that says what there is, and a code of its own."""
    office.run("apply")
    result = office.run(*arguments)
    assert result.exit_code != 0
    assert words in str(getattr(result.exception, "detail", result.exception))


def test_map_test_shows_input_rules_and_result(office: Office) -> None:
    """The record, each rule of the source, and each rule of the target; a failing one is told and fails the command."""
    office.run("apply")
    found = office.run("map", "test", "ada@x")
    assert found.exit_code == 0, found.output
    for words in (
        "source hr: record 1, line 2",
        "mail",
        'expr: record.left == ""',
        "target app",
        "from: userName",
    ):
        assert words in found.stdout, words
    answer = office.json("map", "test", "ada@x")
    assert answer["sources"][0]["record"]["mail"] == "ada@x"
    title: JsonObject = {
        "attribute": "title",
        "rule": "from: title",
        "value": "Analyst",
        "error": None,
        "when": None,
    }
    title |= {"defaulted": False, "apply": "always", "clear": "remove"}
    assert title in answer["targets"]["app"]["rules"]


def test_map_test_shows_when_and_how_rules_write(office: Office) -> None:
    """Whether a condition holds, whether the default was taken, when the value is written and how it is cleared."""
    file = office.directory / "rollbook.yaml"
    head, target, rest = file.read_text("utf-8").partition("targets:")
    rest = rest.replace(
        "title: {from: title}",
        "title: {from: title, when: 'user.userName != \"ada@x\"', apply: create}\n"
        "      nickName: {from: displayName, default: none, clear: empty}",
    )
    file.write_text(head + target + rest, "utf-8")
    office.run("pull")
    told = office.run("map", "test", "ada@x").stdout
    assert "(when is false, apply: create)" in told
    assert "(the default is taken, clear: empty)" in told
    rules = {one["attribute"]: one for one in office.json("map", "test", "ada@x")["targets"]["app"]["rules"]}
    assert (rules["title"]["when"], rules["title"]["value"]) == (False, None)
    assert (rules["nickName"]["defaulted"], rules["nickName"]["value"]) == (True, "none")


def test_map_test_masks_columns_that_feed_sensitive_attributes(office: Office) -> None:
    """In whatever form a rule reads them, and in the words of a rule that fails on them; other columns are shown."""
    office.run("pull")
    file = office.directory / "rollbook.yaml"
    text = file.read_text("utf-8").replace(
        "nickName: {from: secret}", "nickName: {expr: 'record[\"secret\"]'}"
    )
    text = text.replace("title: {from: title}", "title: {expr: 'string(date(record.title))'}", 1)
    file.write_text(text + "sensitive: [title, nickName]\n", "utf-8")
    shown = office.run("map", "test", "1")
    assert shown.exit_code == 1
    for told in (shown.output, office.run("map", "test", "1", "--json").output):
        assert "MARKER" not in told
        assert "Analyst" not in told.partition("target app")[0].partition('"targets"')[0]
        assert "Lovelace" in told
        assert "•••" in told or "\\u2022" in told


def test_try_takes_one_person_through(office: Office) -> None:
    """Somebody new is read, created and shown step by step; nobody else is touched."""
    tried = office.run("try", "2")
    assert tried.exit_code == 0, tried.output
    assert [user["userName"] for user in office.target.resources["Users"].values()] == ["grace@x"]
    for words in ("source hr: read", "+ grace@x: create", "call     POST   /v2/Users  →  201"):
        assert words in tried.stdout, words
    office.target.named("Users", "grace@x")["title"] = "changed there"
    again = office.run("try", "grace@x")
    assert '"changed there" → "Admiral"' in again.stdout
    assert "nothing to do" in office.run("try", "grace@x").stdout


def test_try_tells_what_the_target_says(office: Office) -> None:
    """A refusal is shown with the target's words, and is an exit code."""
    office.target.faults.append(Fault("POST", "/Users", error(400, "no title allowed", "invalidValue")))
    tried = office.run("try", "2")
    assert tried.exit_code == 1
    assert "no title allowed" in tried.stdout


def test_report_lists_who_holds_what(office: Office) -> None:
    """Which attributes of whom are there; values only if asked for, as CSV and JSON lines too."""
    office.run("apply")
    told = office.run("report", "app").stdout
    assert "of a User it may hold externalId, userName" in told
    assert "of a Group it may hold displayName, members; nothing else" in told
    assert "5 accounts" in told
    assert "Lovelace" not in told
    assert "Lovelace" in office.run("report", "app", "--values").stdout
    rows = list(csv.DictReader(io.StringIO(office.run("report", "app", "--csv").stdout)))
    assert [row["label"] for row in rows][:3] == ["ada@x", "grace@x", "alan@x"]
    assert rows[0]["title"] == "x"
    lines = [json.loads(line) for line in office.run("report", "app", "--json").stdout.splitlines()]
    assert {"ada@x", "team-math"} <= {line["label"] for line in lines}


@pytest.mark.parametrize("title", ["=1+1", "+1", "-1", "@SUM(A1)"])
def test_no_cell_of_a_report_is_a_formula(office: Office, title: str) -> None:
    """Whoever opens it in a spreadsheet runs nothing that somebody wrote into their own name."""
    office.people(PEOPLE[0], PEOPLE[1].replace("ada@x", f"{title}@x"), *PEOPLE[2:])
    office.run("apply")
    rows = list(csv.DictReader(io.StringIO(office.run("report", "app", "--csv").stdout)))
    assert f"'{title}@x" in [row["label"] for row in rows]


def test_sensitive_attributes_are_masked_everywhere(office: Office) -> None:
    """What the configuration calls sensitive is sent, and never shown or kept."""
    file = office.directory / "rollbook.yaml"
    file.write_text(file.read_text("utf-8") + "sensitive: [title, nickName]\n", "utf-8")
    shown = [office.run("plan").output, office.run("plan", "--json").output]
    office.run("plan", "-o", "saved.json")
    office.run("apply")
    assert office.target.named("Users", "ada@x")["title"] == "Analyst"
    office.people(PEOPLE[0], PEOPLE[1].replace("Analyst", "Lead"), *PEOPLE[2:])
    shown += [office.run("plan").output, office.run("apply").output, office.run("runs", "1").output]
    shown += [office.run(*command).output for command in (("explain", "1"), ("report", "app", "--values"))]
    shown.append((office.directory / "saved.json").read_text("utf-8"))
    for text in shown:
        assert "Analyst" not in text
        assert '"Lead"' not in text
        assert "Traceback" not in text
    assert sum("•••" in text for text in shown) >= 3


def test_a_plan_is_saved_reviewed_and_applied(office: Office) -> None:
    """apply FILE does exactly what the plan says; if the world has moved it refuses, says where, and does nothing."""
    (office.directory / "first.json").write_text("an older one", "utf-8")
    (office.directory / "first.json").chmod(0o644)
    assert office.run("plan", "-o", "first.json").exit_code == 2
    assert (office.directory / "first.json").stat().st_mode & 0o77 == 0
    office.people(PEOPLE[0], PEOPLE[1].replace("Analyst", "Lead"), *PEOPLE[2:])
    refused = office.run("apply", "first.json")
    assert refused.exit_code != 0
    assert "the world has moved" in str(refused.exception)
    assert "ada@x" in str(refused.exception)
    assert office.target.writes == []
    office.run("plan", "-o", "second.json")
    assert office.run("apply", "second.json").exit_code == 0
    assert office.target.named("Users", "ada@x")["title"] == "Lead"
    (office.directory / "broken.json").write_text("{}", "utf-8")
    assert "is no plan" in str(office.run("apply", "broken.json").exception)


def test_a_mass_departure_is_stopped_and_approved(office: Office) -> None:
    """plan and apply name the brake and the command; that command, and only that, lets it happen."""
    office.run("apply")
    office.people(PEOPLE[0], *(line.replace(",,", ",2026-01-01,") for line in PEOPLE[1:]))
    plan = office.run("plan")
    assert "the brake: it would disable all 3 User accounts" in plan.stdout
    stopped = office.run("apply")
    assert stopped.exit_code == 1
    command = stopped.stdout.partition("if it is right: rollbook ")[2].splitlines()[0].split()
    assert f"if it is right: rollbook {' '.join(command)}" in plan.stdout
    assert [user["active"] for user in office.target.resources["Users"].values()] == [True] * 3
    assert "go together" in str(office.run(*command[:4]).exception)
    done = office.run(*command)
    assert done.exit_code == 0, done.output
    assert [user["active"] for user in office.target.resources["Users"].values()] == [False] * 3


def test_a_saved_plan_with_departures_needs_a_word(office: Office) -> None:
    """The file alone does not approve of them."""
    office.run("apply")
    office.people(PEOPLE[0], *(line.replace(",,", ",2026-01-01,") for line in PEOPLE[1:]))
    office.run("plan", "-o", "leavers.json")
    assert "say so: --accept-deletions 3" in str(office.run("apply", "leavers.json").exception)
    done = office.run("apply", "leavers.json", "--accept-deletions", "3")
    assert done.exit_code == 0, done.output


def test_t_70_many_new_people_are_stopped_and_approved(office: Office) -> None:
    """By the command that is told, together with departures; or by a plan that was looked at."""
    file = office.directory / "rollbook.yaml"
    limit = "    brake: {days: 0, arrivals: {share: 0.4, least: 3}}\n    leave: disable\n"
    file.write_text(file.read_text("utf-8").replace("    leave: disable\n", limit), "utf-8")
    office.run("apply")
    new = [f"{at},n{at}@x,Name,Title,math,,MARKER" for at in range(4, 10)]
    office.people(*PEOPLE, *new[:3])
    assert "makes or takes over 3 accounts" not in office.run("plan", "-o", "new.json").stdout
    wrong = office.run("apply", "new.json", "--accept-deletions", "3")
    assert "makes or takes over 3 accounts" in str(wrong.exception)
    assert "say so: --accept-arrivals 3" in str(wrong.exception)
    done = office.run("apply", "new.json", "--accept-arrivals", "3")
    assert done.exit_code == 0, done.output
    office.people(PEOPLE[0], *(line.replace(",,", ",2026-01-01,") for line in PEOPLE[1:]), *new)
    assert office.json("plan")["targets"][0]["arrivalsBrake"]["arrivals"] == 3
    stopped = office.run("apply")
    assert "3 User accounts beside 6" in stopped.stdout
    command = stopped.stdout.partition("if it is right: rollbook ")[2].splitlines()[0].split()
    assert {"--accept-deletions", "--accept-arrivals"} <= set(command)
    assert len(office.target.resources["Users"]) == 6
    done = office.run(*command)
    assert done.exit_code == 0, done.output
    assert len(office.target.resources["Users"]) == 9


def test_undo_takes_a_run_back(office: Office) -> None:
    """Who was changed, disabled and hired by one apply is as before, in the hub and at the target; the next apply keeps it so."""
    office.run("apply")
    before = {name: dict(user) for name, user in office.target.resources["Users"].items()}
    office.people(
        PEOPLE[0],
        PEOPLE[1].replace("Analyst", "Lead"),
        LEFT,
        PEOPLE[3],
        "4,joan@x,Clarke,Deputy,math,,MARKER",
    )
    done = office.run("apply")
    assert done.exit_code == 0, done.output
    number = done.stdout.partition("rollbook undo ")[2].split()[0]
    assert len(office.target.resources["Users"]) == 4
    shown = office.run("undo", number, "--dry-run")
    assert shown.exit_code == 2, shown.output
    assert "joan@x" in shown.stdout
    assert '"Lead" → "Analyst"' in shown.stdout
    assert office.run("undo", number).exit_code == 2  # nobody is there to ask
    undone = office.run("undo", number, "--yes")
    assert undone.exit_code == 0, undone.output
    assert office.target.resources["Users"] == before
    assert len(office.target.named("Groups", "team-math")["members"]) == 2
    writes = len(office.target.writes)
    assert office.run("apply").exit_code == 0
    assert len(office.target.writes) == writes
    assert "nothing to take back" in office.run("undo", number, "--yes").stdout


def test_undo_leaves_what_changed_since(office: Office) -> None:
    """A later change of the same person stays, and is named."""
    office.run("apply")
    office.people(
        PEOPLE[0], PEOPLE[1].replace("Analyst", "Lead"), PEOPLE[2].replace("Admiral", "Boss"), PEOPLE[3]
    )
    number = office.run("apply").stdout.partition("rollbook undo ")[2].split()[0]
    office.people(
        PEOPLE[0], PEOPLE[1].replace("Analyst", "Chief"), PEOPLE[2].replace("Admiral", "Boss"), PEOPLE[3]
    )
    office.run("apply")
    undone = office.run("undo", number, "--yes")
    assert undone.exit_code == 0, undone.output
    assert "stays: User ada@x: changed since by source hr" in undone.stdout
    assert office.target.named("Users", "ada@x")["title"] == "Chief"
    assert office.target.named("Users", "grace@x")["title"] == "Admiral"


def test_undo_of_a_first_load_removes_what_it_made(office: Office) -> None:
    """Accounts that the run made go, although the leave policy only disables; approved by the plan that was shown."""
    office.run("apply")
    undone = office.run("undo", "1", "--yes")
    assert undone.exit_code == 0, undone.output
    assert office.target.resources == {"Users": {}, "Groups": {}}


def test_runs_show_what_was_done(office: Office) -> None:
    """Every run with its figures; one in full, item by item."""
    office.target.faults.append(Fault("POST", "/Users", error(400, "no", "invalidValue")))
    office.run("apply")
    listed = office.run("runs").stdout
    assert "pull" in listed
    assert "apply" in listed
    one = office.run("runs", "1").stdout
    assert one.count("create") == 4
    assert one.count("@x: park") == 1
    found = office.json("runs", "1")
    assert {run["kind"] for run in found["runs"]} == {"pull", "apply"}
    assert found["deliveries"][-1]["type"] == "Group"


def test_pause_all_and_resume_all(office: Office) -> None:
    """One command stops everything; naming nothing, or both, is a mistake that stops nothing."""
    config = office.directory / "rollbook.yaml"
    text = config.read_text("utf-8")
    block = text[text.index("  app:") :]
    config.write_text(text + block.replace("  app:", "  other:", 1), "utf-8")
    for wrong in ((), ("app", "--all")):
        assert "or say --all" in str(office.run("pause", *wrong).exception)
    told = office.run("pause", "--all", "--reason", "fire").stdout
    assert told == "app, other: paused; go on with: rollbook resume --all\n"
    assert office.run("apply").stdout.count("paused by hand: fire") == 2
    assert office.target.writes == []
    assert office.run("resume", "--all").exit_code == 0
    assert office.run("apply").exit_code == 0
    assert office.target.writes


def test_pause_resume_retry_reset(office: Office) -> None:
    """A paused target gets nothing; a reset one is compared anew; what was given up is tried again."""
    office.run("apply")
    assert office.run("pause", "app", "--reason", "move").exit_code == 0
    office.people(*PEOPLE, "4,joan@x,Clarke,Deputy,math,,MARKER")
    paused = office.run("apply")
    assert paused.exit_code == 1
    assert "paused by hand: move" in paused.stdout
    assert "rollbook resume app" in paused.stdout
    planned = " ".join(office.run("plan").stdout.split())
    assert "app: paused by hand: move; nothing goes out until: rollbook resume app" in planned
    office.run("resume", "app")
    assert "nothing goes out" not in office.run("plan").stdout
    assert office.run("apply").exit_code == 0
    office.target.named("Users", "ada@x")["title"] = "changed there"
    assert office.run("apply").exit_code == 0
    assert office.target.named("Users", "ada@x")["title"] == "changed there"
    office.run("reset", "app")
    assert office.run("run").exit_code == 0
    assert office.target.named("Users", "ada@x")["title"] == "Analyst"
    office.target.faults.append(Fault("POST", "/Users", error(400, "no", "invalidValue")))
    office.people(*PEOPLE, "4,joan@x,Clarke,Deputy,math,,MARKER", "5,ida@x,Rhodes,Lecturer,math,,MARKER")
    assert office.run("apply").exit_code == 1
    assert office.run("retry", "app").exit_code == 0
    assert office.target.named("Users", "ida@x")["title"] == "Lecturer"


def test_drift_is_listed_until_it_is_over(office: Office) -> None:
    """What an audit has left, without sensitive values; `--fix` makes it right, and then there is nothing."""
    office.run("apply")
    nothing = office.run("drift")
    assert (nothing.exit_code, nothing.stdout) == (0, "no audit has left anything that differs\n")
    office.target.named("Users", "ada@x")["title"] = "Queen"
    lost = office.target.named("Users", "grace@x")["id"]
    audited = office.run("audit", "app")
    assert audited.exit_code == 2
    del office.target.resources["Users"][lost]
    assert "left as they are: rollbook drift app" in office.run("audit", "app").stdout
    found = office.run("drift", "app")
    assert found.exit_code == 2, found.output
    assert '"Queen" there, "Analyst" here' in found.stdout
    assert "the account is gone there" in found.stdout
    lines = [json.loads(line) for line in office.run("drift", "--json").stdout.splitlines()]
    assert [(one["target"], one["label"], one.get("gone", False)) for one in lines] == [
        ("app", "ada@x", False),
        ("app", "grace@x", True),
    ]
    assert office.run("audit", "--fix").exit_code == 0
    assert office.target.named("Users", "grace@x")["title"] == "Admiral"
    assert office.run("drift").exit_code == 0


def test_audit_finds_what_somebody_changed_there(office: Office) -> None:
    """A changed attribute, a lost account and a lost member are found without a write, and mended by --fix."""
    office.run("apply")
    assert office.run("audit").exit_code == 0
    users, groups = office.target.resources["Users"], office.target.resources["Groups"]
    office.target.named("Users", "ada@x")["title"] = "Queen"
    lost = office.target.named("Users", "grace@x")["id"]
    del users[lost]
    office.target.named("Groups", "team-navy")["members"] = []
    office.target.named("Groups", "team-math")["members"].pop()
    writes = len(office.target.writes)
    found = office.run("audit", "app")
    assert found.exit_code == 2, found.output
    assert '"Queen" → "Analyst"' in found.stdout
    assert "3 accounts and 2 groups compared" in found.stdout
    assert len(office.target.writes) == writes
    assert office.json("audit")["pending"] is True
    mended = office.run("audit", "--fix")
    assert mended.exit_code == 0, mended.output
    assert office.target.named("Users", "ada@x")["title"] == "Analyst"
    assert office.target.named("Users", "grace@x")["title"] == "Admiral"
    assert sorted(len(group["members"]) for group in groups.values()) == [1, 2]
    assert office.run("audit").exit_code == 0
