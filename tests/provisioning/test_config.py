"""rollbook.yaml: what it becomes, and how every mistake in it is told."""

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbook.protocol.catalog import build_catalog, core_catalog
from rollbook.protocol.match import matches
from rollbook.provisioning.config import ConfigError, Problem, check_config, command, load_config
from rollbook.provisioning.config.document import read_document
from rollbook.provisioning.config.problems import CODES
from rollbook.provisioning.config.shape import json_schema
from rollbook.provisioning.expressions import Subject
from rollbook.provisioning.mapping import apply_mapping, mapped_paths, record_inputs, resource_inputs
from rollbook.provisioning.model import (
    ArrivalLimit,
    BrakeLimit,
    Config,
    Drift,
    DriftPolicy,
    Leave,
    LeavePolicy,
)
from rollbook.provisioning.names import Names

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
CATALOG = core_catalog()
TODAY = datetime(2026, 11, 23, tzinfo=UTC)

EXAMPLE = """\
version: 1
sources:
  hr:
    type: csv
    path: hr/employees.csv
    key: employee_id                     # identity of a record
    users:                               # record → User in our store
      externalId: {from: employee_id}    # a rule is one of from, value, expr
      userName: {expr: 'lower(record.email)'}
      name.givenName: {from: first_name}
      name.familyName: {from: last_name}
      emails: [{type: {value: work}, primary: {value: true}, value: {from: email}}]
      active: {expr: 'record.end_date == "" || date(record.end_date) > today'}
      enterprise.department: {from: department}
      enterprise.manager: {from: manager_id}      # by the source's key
    groups:
      - {from: department, displayName: {expr: '"dept-" + record.department'}}
targets:
  source-control:
    type: scim
    url: http://127.0.0.1:9003/v2
    token: ${SOURCE_CONTROL_TOKEN}       # environment or file: only, never a literal
    scope: 'enterprise.department eq "Engineering"'   # a SCIM filter; short names as above
    leave: disable                       # disable, delete or keep
    users:                               # what is named goes out; nothing else ever does
      userName: {from: userName}
      displayName: {expr: 'user.name.givenName + " " + user.name.familyName'}
      emails: {from: emails}
      active: {from: active}
    groups: {scope: 'displayName sw "dept-"', displayName: {from: displayName}, members: true}
"""
SECRETS = {"SOURCE_CONTROL_TOKEN": "s3cret"}

SOURCE = """\
version: 1
sources:
  hr:
    type: csv
    path: people.csv
    key: id
    users:
      userName: {from: email}
"""
TARGET = """\
version: 1
targets:
  t:
    type: scim
    url: https://example.com/scim
    token: ${TOKEN}
    users:
      userName: {from: userName}
"""


def load(folder: Path, text: str, **secrets: str) -> Config:
    """The configuration in a text."""
    path = folder / "rollbook.yaml"
    path.write_text(text, "utf-8")
    return load_config(path, CATALOG, secrets or {**SECRETS, "TOKEN": "t0ken"})


def mistakes(folder: Path, text: str, **secrets: str) -> tuple[Problem, ...]:
    """The problems of a text."""
    with pytest.raises(ConfigError) as refused:
        load(folder, text, **secrets)
    return refused.value.problems


def test_the_example_is_read(tmp_path: Path) -> None:
    """Issue 2, section 4: the example as printed, sources with their defaults."""
    config = load(tmp_path, EXAMPLE)
    hr = config.sources["hr"]
    assert (hr.type, hr.key, hr.missing, hr.shrink_limit) == ("csv", "employee_id", Leave.DISABLE, 0.2)
    assert (hr.encoding, hr.delimiter) == (None, ",")
    assert hr.path == str(tmp_path / "hr/employees.csv")
    assert hr.columns == (
        "employee_id", "email", "first_name", "last_name", "end_date", "department", "manager_id",
    )  # fmt: skip
    assert [one.path.text for one in hr.references] == [f"{ENTERPRISE}:manager.value"]
    target = config.targets["source-control"]
    assert (target.url, target.token, target.leave) == (
        "http://127.0.0.1:9003/v2",
        "s3cret",
        LeavePolicy.same(Leave.DISABLE),
    )
    assert (target.concurrency, target.timeout) == (8, 30.0)
    assert target.groups is not None
    assert target.groups.members


RECORD = {
    "employee_id": "7", "email": "Ann@Example.com", "first_name": "Ann", "last_name": "Müller", "end_date": "",
    "department": "Engineering", "manager_id": "1",
}  # fmt: skip


def test_the_examples_source_maps(tmp_path: Path) -> None:
    """Its rules make the user of a record; the manager is a reference and not among them."""
    hr = load(tmp_path, EXAMPLE).sources["hr"]
    inputs = record_inputs(RECORD, TODAY)
    assert apply_mapping(hr.users, inputs) == {
        "externalId": "7",
        "userName": "ann@example.com",
        "name": {"givenName": "Ann", "familyName": "Müller"},
        "emails": [{"type": "work", "primary": True, "value": "Ann@Example.com"}],
        "active": True,
        ENTERPRISE: {"department": "Engineering"},
    }
    assert [one.rule.evaluate(inputs) for one in hr.references] == ["1"]
    assert [one.display_name.evaluate(inputs) for one in hr.groups] == ["dept-Engineering"]


def test_the_examples_target_maps(tmp_path: Path) -> None:
    """Scope and rules by short names; what is not named never goes out."""
    target = load(tmp_path, EXAMPLE).targets["source-control"]
    user = {
        "userName": "ann",
        "name": {"givenName": "Ann", "familyName": "Müller"},
        "active": True,
        "title": "Dr.",
        ENTERPRISE: {"department": "engineering"},
    }
    assert target.scope is not None
    assert matches(target.scope, user)
    assert not matches(target.scope, {**user, ENTERPRISE: {"department": "Sales"}})
    names = Names(CATALOG.resource_types[0])
    assert apply_mapping(target.users, resource_inputs(names, Subject.USER, user, TODAY)) == {
        "userName": "ann",
        "displayName": "Ann Müller",
        "active": True,
    }
    assert mapped_paths(target.users) == {"userName", "displayName", "emails", "active"}
    assert target.groups is not None
    assert target.groups.scope is not None
    assert matches(target.groups.scope, {"displayName": "Dept-Sales"})


def test_groups_have_defaults(tmp_path: Path) -> None:
    """Without displayName a group is called as its column or hub group is; members go along."""
    config = load(
        tmp_path, SOURCE + "    groups: [{from: team}]\n" + TARGET.partition("\n")[2] + "    groups: {}\n"
    )
    (rule,) = config.sources["hr"].groups
    assert rule.display_name.evaluate(record_inputs({"team": "A"}, TODAY)) == "A"
    groups = config.targets["t"].groups
    assert groups is not None
    assert groups.members
    assert groups.scope is None
    assert mapped_paths(groups.mapping) == {"displayName"}


@pytest.mark.parametrize(
    ("groups", "profile", "flat"),
    [
        ("{}", None, False),
        ("{nested: keep}", None, False),
        ("{nested: flatten}", None, True),
        ("{}", "slack", True),
        ("{nested: keep}", "slack", False),
        ("{}", "databricks", False),
    ],
)
def test_25_nested_groups_are_flattened_as_said_or_as_the_profile_says(
    tmp_path: Path, groups: str, profile: str | None, *, flat: bool
) -> None:
    """Whoever says nothing of either keeps them; what is flattened is another digest, all else is the same one."""
    target = TARGET.partition("\n")[2] + "      emails: [{value: {from: userName}}]\n"
    more = f"    profile: {profile}\n" if profile else ""
    config = load(tmp_path, SOURCE + target + f"    groups: {groups}\n" + more)
    kept = load(tmp_path, SOURCE + target + "    groups: {nested: keep}\n" + more)
    assert config.targets["t"].is_flat is flat
    assert (config.targets["t"].digest == kept.targets["t"].digest) is not flat


DRIFTS = [
    ("{default: overwrite, ^titel: report}", "RB107", "titel is not mapped", "did you mean: title"),
    ("{^userName: take_over}", "RB118", "userName cannot be taken over", "source hr fills it"),
    ("{^displayName: take_over}", "RB118", "displayName cannot be taken over", "no plain copy"),
    ("{^members: take_over}", "RB118", "members cannot be taken over", "report or overwrite"),
    ("^take_over", "RB118", "userName cannot be taken over", "let the default be report"),
    ("{default: ^take_over, title: report}", "RB118", "userName cannot be taken over", "name what is to be"),
    ("{title: ^keep}", "RB105", "drift.title of target t is not one of the choices", "'overwrite'"),
]


@pytest.mark.parametrize(("written", "code", "title", "note"), DRIFTS)
def test_03_drift_that_cannot_be_as_it_is_written(
    tmp_path: Path, written: str, code: str, title: str, note: str
) -> None:
    """Attributes are mapped ones; taken over is what is a plain copy and no source fills."""
    users = "      title: {from: title}\n      displayName: {expr: 'user.userName'}\n"
    before = SOURCE + TARGET.partition("\n")[2] + users
    text = before + f"    drift: {written}\n"
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, text.replace("^", ""))
    (problem,) = refused.value.problems
    assert (problem.code, problem.mark.line) == (code, before.count("\n") + 1)
    assert problem.mark.column == text.splitlines()[-1].index("^") + 1
    assert title in problem.title
    assert note in problem.render()


def test_03_audits_and_what_becomes_of_drift(tmp_path: Path) -> None:
    """A schedule like that of a source; one word for all, or by attribute; nothing said is a report. Nothing sent changes."""
    before = SOURCE + TARGET.partition("\n")[2] + "      title: {from: title}\n"
    plain = load(tmp_path, before).targets["t"]
    assert (plain.audit, plain.drift) == (None, None)
    more = load(
        tmp_path, before + "    audit: {every: 1d}\n    drift: {default: overwrite, title: take_over}\n"
    )
    found = more.targets["t"]
    assert found.audit is not None
    assert found.audit.every == 86_400_000
    assert found.drift == DriftPolicy(Drift.OVERWRITE, {"title": Drift.TAKE_OVER})
    assert found.digest == plain.digest
    assert load(tmp_path, before + "    drift: overwrite\n").targets["t"].drift == DriftPolicy(
        Drift.OVERWRITE
    )


def test_t_70_limits_of_arrivals(tmp_path: Path) -> None:
    """Beside those of departures: as they are, others, none; without a brake there are none either."""
    usual, said, off, none = (
        load(tmp_path, TARGET + f"    {text}\n").targets["t"].brake
        for text in (
            "leave: keep",
            "brake: {least: 9, arrivals: {least: 7}}",
            "brake: {arrivals: off}",
            "brake: off",
        )
    )
    assert usual == BrakeLimit()
    assert said == BrakeLimit(least=9, arrivals=ArrivalLimit(least=7))
    assert off == BrakeLimit(arrivals=None)
    assert none is None


def test_everything_may_be_said(tmp_path: Path) -> None:
    """All settings of a source and a target."""
    text = SOURCE + "    encoding: cp1252\n    delimiter: ';'\n    missing: delete\n    shrink_limit: 0.5\n"
    text += TARGET.partition("\n")[2] + "    leave: keep\n    concurrency: 2\n    timeout: 2.5\n"
    config = load(tmp_path, text)
    hr, target = config.sources["hr"], config.targets["t"]
    assert (hr.encoding, hr.delimiter, hr.missing, hr.shrink_limit) == ("cp1252", ";", Leave.DELETE, 0.5)
    assert (target.leave, target.concurrency, target.timeout) == (LeavePolicy.same(Leave.KEEP), 2, 2.5)


@pytest.mark.parametrize(
    ("written", "full"),
    [
        ("title", "title"),
        ("nickname", "nickname"),
        ("name.familyName", "name.familyname"),
        ("enterprise.costCenter", f"{ENTERPRISE}:costCenter".lower()),
        ("costCenter", f"{ENTERPRISE}:costCenter".lower()),
        (f"{ENTERPRISE}:costCenter", f"{ENTERPRISE}:costCenter".lower()),
    ],
)
def test_sensitive_attributes_by_any_of_their_names(tmp_path: Path, written: str, full: str) -> None:
    """Short, full or bare: what is masked is the attribute, however it is written (I-12)."""
    assert load(tmp_path, f"version: 1\nsensitive: ['{written}']\n").sensitive == {full}


def test_an_empty_configuration_is_one() -> None:
    """Nothing to do is no mistake."""
    assert read_document("f", "version: 1\n").data == {"version": 1}


def test_extensions_of_the_catalog_have_short_names(tmp_path: Path) -> None:
    """A schema of one's own is mapped like the enterprise extension."""
    urn = "urn:example:schemas:extension:university:1.0:User"
    schema = {"id": urn, "name": "University", "attributes": [{"name": "faculty", "type": "string"}]}
    path = tmp_path / "rollbook.yaml"
    path.write_text(SOURCE + "      university.faculty: {from: faculty}\n")
    config = load_config(path, build_catalog([schema]), {})
    assert mapped_paths(config.sources["hr"].users) == {"userName", f"{urn}:faculty"}


def test_secrets_come_from_files_too(tmp_path: Path) -> None:
    """A path is relative to the configuration; line ends are not part of the secret; repr never shows it."""
    (tmp_path / "token").write_text("from-a-file\n")
    target = load(tmp_path, TARGET.replace("${TOKEN}", "file:token")).targets["t"]
    assert target.token == "from-a-file"
    assert "from-a-file" not in repr(target)


@pytest.mark.parametrize(
    "change",
    [
        ("userName: {from: userName}", "userName: {from: displayName}"),
        ("userName: {from: userName}", "userName: {from: userName}\n      title: {value: x}"),
        ("scim\n    url: https://example.com/scim", "scim\n    url: https://example.com/other"),
        ("    users:", "    leave: delete\n    users:"),
        ("    users:", "    scope: 'active eq true'\n    users:"),
        ("    users:", "    groups: {}\n    users:"),
        ("    users:", "    groups: {members: false}\n    users:"),
        ("    users:", "    temporary_names: true\n    users:"),
    ],
)
def test_a_digest_changes_with_what_is_sent(tmp_path: Path, change: tuple[str, str]) -> None:
    """Anything that decides what a target gets makes all its links be looked at again."""
    changed = TARGET.replace(*change)
    assert changed != TARGET
    assert load(tmp_path, changed).targets["t"].digest != load(tmp_path, TARGET).targets["t"].digest


@pytest.mark.parametrize(
    "change",
    [
        ("${TOKEN}", "${TOKEN} # rotated"),
        ("    users:", "    concurrency: 3\n    timeout: 5.0\n    users:"),
        ("    users:", "    brake: {arrivals: off}\n    temporary_names: false\n    users:"),
        ("userName: {from: userName}", "userName:\n        from: userName"),
    ],
)
def test_a_digest_stays_with_everything_else(tmp_path: Path, change: tuple[str, str]) -> None:
    """Layout, token and speed decide nothing about what is sent."""
    changed = TARGET.replace(*change)
    assert changed != TARGET
    assert load(tmp_path, changed).targets["t"].digest == load(tmp_path, TARGET).targets["t"].digest


@dataclass(frozen=True)
class Case:
    """A mistake in the rules of a source or target: `^` marks where the caret has to stand."""

    rules: str
    code: str
    title: str
    note: str = ""


SOURCE_CASES = [
    Case("^userNmae: {from: a}", "RB107", "User has no attribute userNmae", "did you mean: userName"),
    Case("^name.giveName: {from: a}", "RB107", "no attribute name.giveName", "did you mean: name.givenName"),
    Case("^enterprise.departmnt: {from: a}", "RB107", "departmnt", "did you mean: enterprise.department"),
    Case(
        "emails: [{^typ: {value: work}}]",
        "RB107",
        "emails has no part typ",
        "it has: value, display, type, primary",
    ),
    Case("^id: {from: a}", "RB108", "id cannot be mapped"),
    Case("^groups: {from: a}", "RB108", "groups cannot be mapped"),
    Case("^password: {from: a}", "RB108", "password cannot be mapped"),
    Case("name: {from: ^a}", "RB109", "does not fit name", "try: fill its parts: name.formatted: …"),
    Case("active: {from: ^a}", "RB109", "does not fit active", "try: expr: 'record.a == \"yes\"'"),
    Case("active: {value: ^'yes'}", "RB109", "does not fit active"),
    Case(
        "emails: {from: ^a}",
        "RB109",
        "does not fit emails",
        "try: write a list: emails: [{value: {from: a}}]",
    ),
    Case("^emails.value: {from: a}", "RB109", "does not fit emails.value"),
    Case("^title: [{from: a}]", "RB109", "does not fit title"),
    Case("title: {expr: ^'record.a == \"\"'}", "RB109", "does not fit title", "string(…) makes text of it"),
    Case("title: {expr: 'lower(^recrod.a)'}", "RB110", "cannot be compiled", "did you mean: record"),
    Case("title: {expr: 'record.a ^+ 1'}", "RB110", "cannot be compiled"),
    Case("title: {expr: \"'\\u00e4\\x41' ^+ 1\"}", "RB110", "cannot be compiled"),
    Case("title: {expr: '''ä'' ^+ 1'}", "RB110", "cannot be compiled"),
    Case(
        "title:\n        expr: |\n          record.a +\n            record.b ^+ 1",
        "RB110",
        "cannot be compiled",
    ),
    Case("title: {expr: ^user.title}", "RB110", "cannot be compiled", "here the variable is called record"),
    Case("name.givenName: {from: a}\n      ^name: {expr: '{}'}", "RB109", "name has two rules"),
    Case("title: {from: a}\n      ^TITLE: {from: b}", "RB109", "title has two rules"),
    Case("title: {from: a}\n      ^title: {from: b}", "RB102", "title stands twice"),
    Case("^title: {from: a, value: b}", "RB109", "is not one rule"),
    Case("^title: {}", "RB109", "is not one rule"),
    Case("title: {^frm: a}", "RB103", "no key frm", "did you mean: from"),
    Case("title: {from: ^3}", "RB105", "must be text"),
    Case("title: ^a", "RB105", "must be a mapping"),
    Case("title: {from: a, ^defalt: b}", "RB103", "no key defalt", "did you mean: default"),
    Case(
        "title: {from: a, apply: ^sometimes}",
        "RB105",
        "not one of the choices",
        "'always', 'create' or 'empty'",
    ),
    Case("active: {expr: 'record.a == \"x\"', default: ^'no'}", "RB109", "does not fit active"),
    Case("title: {value: a, ^default: b}", "RB109", "does not fit title", "leave default out"),
    Case("title: {from: a, when: ^record.b}", "RB109", "when is no condition", "gives text"),
    Case(
        "title: {from: a, when: 'size(^recrod.b) > 0'}", "RB110", "cannot be compiled", "did you mean: record"
    ),
    Case("title: {from: a, clear: ^empty}", "RB109", "does not fit title", "write remove or keep"),
    Case(
        "emails: [{value: {from: a, clear: keep}, type: {value: work, clear: ^remove}}]",
        "RB109",
        "does not fit emails",
        "another rule of the list says keep",
    ),
    Case(
        "title: {expr: 'lookup(\"^jobs\", record.a)'}",
        "RB110",
        "cannot be compiled",
        "write it under tables:",
    ),
    Case(
        "title: {expr: '^lookup(record.b, record.a)'}",
        "RB110",
        "cannot be compiled",
        "the name of a table in quotes",
    ),
]
TARGET_CASES = [
    Case("title: {from: ^titel}", "RB107", "User has no attribute titel", "did you mean: title"),
    Case("title: {from: ^password}", "RB108", "password cannot be read"),
    Case("title: {from: ^enterprise.manager.displayName}", "RB108", "cannot be read", "read manager.value instead"),
    Case("title: {from: ^groups}", "RB108", "groups cannot be read"),
    Case("title: {from: ^meta.version}", "RB108", "meta.version cannot be read"),
    Case("title: {from: ^emails}", "RB109", "does not fit title", "use expr to make the one of the other"),
    Case("active: {from: ^title}", "RB109", "does not fit active"),
    Case("emails: {from: ^title}", "RB109", "does not fit emails"),
    Case("title: {expr: 'user.^titel'}", "RB107", "User has no attribute titel", "did you mean: title"),
    Case("title: {expr: 'user.name.givenName + user.^enterprise.departmant'}", "RB107", "departmant", "did you mean"),
    Case("title: {expr: 'user.^emails.value'}", "RB108", "emails.value cannot be read like this"),
    Case("title: {expr: 'string(user.^meta)'}", "RB108", "meta cannot be read like this"),
    Case("active: {from: active, clear: ^empty}", "RB109", "does not fit active", "nothing empty"),
    Case("title: {from: title, when: 'user.^titel == \"a\"'}", "RB107", "no attribute titel", "did you mean: title"),
    Case("title: {expr: ^record.title}", "RB110", "cannot be compiled", "here the variable is called user"),
]  # fmt: skip


def check(folder: Path, head: str, case: Case) -> None:
    """The case's rules behind a head give its problem, there and nowhere else."""
    text = f"{head}      {case.rules}\n"
    at = text.index("^")
    text = text.replace("^", "", 1)
    (problem,) = mistakes(folder, text)
    before = text[:at]
    place = (before.count("\n") + 1, at - before.rfind("\n"))
    assert (problem.code, problem.mark.line, problem.mark.column) == (case.code, *place)
    assert case.title in problem.title
    assert case.note in " ".join((problem.label, *problem.notes))


@pytest.mark.parametrize("case", SOURCE_CASES, ids=lambda case: case.rules)
def test_mistakes_in_rules_of_sources(tmp_path: Path, case: Case) -> None:
    """FE-18: each is found when the file is read, at its line and column, with what to write instead."""
    check(tmp_path, SOURCE, case)


@pytest.mark.parametrize("case", TARGET_CASES, ids=lambda case: case.rules)
def test_mistakes_in_rules_of_targets(tmp_path: Path, case: Case) -> None:
    """The same for targets, against the hub's schema."""
    check(tmp_path, TARGET, case)


OTHER_CASES = [
    Case("version: ^2\n", "RB106", "this Rollbook knows version 1"),
    Case("version: 1\n^sorces: {}\n", "RB103", "no key sorces", "did you mean: sources"),
    Case("^sources: {}\n", "RB104", "the file needs version", "write: version: 1"),
    Case("version: 1\nsources:\n  ^h r: {type: csv, path: a, key: b, users: {userName: {from: c}}}\n", "RB105", "h r cannot be a name"),
    Case("version: 1\nsources:\n  ^hr:\n", "RB105", "source hr must be a mapping"),
    Case(SOURCE.replace("csv", "^cvs"), "RB105", "type of source hr is not one of the choices", "write csv, jsonl, sql, scim, ldap"),
    Case(SOURCE + "    missing: ^no\n", "RB105", "missing of source hr", "'disable', 'delete' or 'keep'"),
    Case(SOURCE + "    shrink_limit: ^2\n", "RB105", "shrink_limit of source hr is out of range"),
    Case(SOURCE + "    delimiter: ^';;'\n", "RB105", "delimiter of source hr is too long"),
    Case(SOURCE + "    encoding: ^utf-99\n", "RB105", "utf-99 is no encoding"),
    Case(SOURCE + "    groups: [^{}]\n", "RB104", "groups[0] of source hr needs from"),
    Case(SOURCE.replace("    users:\n      userName", "    ^users:\n      title"), "RB104", "userName is required and has no rule"),
    Case(TARGET.replace("https://example", "^ftp://example"), "RB105", "url of target t is not a base URL"),
    Case(TARGET.replace("https://example", "^https://me:pw@example"), "RB105", "url of target t is not a base URL"),
    Case(TARGET.replace("    token: ${TOKEN}\n", "").replace("  t:", "  ^t:"), "RB104", "target t needs token"),
    Case(TARGET.replace("${TOKEN}", "^${NOT_SET}"), "RB113", "the variable NOT_SET is not set", "export NOT_SET="),
    Case(TARGET.replace("${TOKEN}", "^file:nothing"), "RB113", "nothing cannot be read"),
    Case(TARGET.replace("${TOKEN}", "^command:false"), "RB113", "the command false failed with exit code 1"),
    Case(TARGET.replace("${TOKEN}", "^command:/no/such/vault s3cret"), "RB113", "the command vault cannot be run"),
    Case(TARGET.replace("${TOKEN}", "^command:true"), "RB113", "the command true prints nothing"),
    Case(TARGET.replace("${TOKEN}", "^'command:pass \"x'"), "RB113", "the command pass cannot be split into words"),
    Case(TARGET + "    clear: ^nothing\n", "RB105", "clear of target t is not one of the choices"),
    Case(TARGET + "    groups: {displayName: {from: displayName, ^aply: create}}\n", "RB103", "no key aply", "did you mean: apply"),
    Case("version: 1\ntables: {t: {a: ^1}}\n", "RB105", "must be text", "put it in quotes"),
    Case("version: 1\ntables: {t: {file: ^none.csv, key: a, value: b}}\n", "RB115", "the table cannot be read", "does not exist"),
    Case(TARGET.replace("version: 1", "version: 1\ntables: {jobs: {a: b}}") + "      title: {expr: 'lookup(\"^jubs\", user.title)'}\n",
         "RB110", "cannot be compiled", "did you mean: jobs"),
    Case(TARGET.replace("${TOKEN}", "^hunter2"), "RB112", "a secret must not stand in the file", "${T_TOKEN}"),
    Case(TARGET + "    scope: 'title ^is \"x\"'\n", "RB111", "the scope is not a filter", "expected an operator"),
    Case(TARGET + "    scope: 'title pr and ^enterprise.departmnt pr'\n", "RB111", "not a filter", "did you mean enterprise.department?"),
    Case(TARGET + "    scope: 'enterprise.department pr and ^titel pr'\n", "RB111", "not a filter", "did you mean title?"),
    Case(TARGET + "    scope: ^'enterprise.manager.displayName sw \"A\"'\n", "RB111", "not a filter",
         "enterprise.manager.displayName is not stored; write enterprise.manager.value"),
    Case(TARGET + "    groups: {scope: '^userName pr'}\n", "RB111", "not a filter", "Group has no attribute userName"),
    Case(TARGET + "    groups: {displayName: {from: ^displayNam}}\n", "RB107", "Group has no attribute", "did you mean: displayName"),
    Case(TARGET + "    groups: {members: ^yes}\n", "RB105", "members of target t must be true or false"),
    Case(TARGET + "    concurrency: ^'8'\n", "RB105", "concurrency of target t must be a number"),
    Case(TARGET + "    brake: {arrivals: {^lest: 5}}\n", "RB103", "no key lest", "did you mean: least"),
    Case(TARGET + "    brake: {arrivals: {share: ^-1}}\n", "RB105", "share of target t is out of range"),
    Case(TARGET + "    brake: {arrivals: ^on}\n", "RB105", "arrivals of target t"),
    Case(TARGET + "    temporary_names: ^1\n", "RB105", "temporary_names of target t must be true or false"),
    Case(TARGET + "    ^leaves: keep\n", "RB103", "no key leaves", "did you mean: leave"),
    Case("version: 1\nsensitive: [title, ^enterprise.costCentre]\n", "RB107", "no schema has an attribute enterprise.costCentre", "did you mean: enterprise.costCenter"),
    Case("version: 1\nsources: {a: b^: c}\n", "RB101", "the file is not YAML"),
    Case("version: 1\nsources: ^!!python/name:os.system {}\n", "RB101", "is not read", "leave the tag out"),
    Case("version: 1\n^<<: {sources: {}}\n", "RB101", "a key must be plain text", "write out what is merged"),
    Case("^- 1\n", "RB105", "the file must be a mapping"),
]  # fmt: skip


@pytest.mark.parametrize("case", OTHER_CASES, ids=lambda case: case.title)
def test_mistakes_elsewhere(tmp_path: Path, case: Case) -> None:
    """Structure, secrets, scopes, YAML: one problem each, in its place."""
    text = case.rules.replace("^", "", 1)
    at = case.rules.index("^")
    (problem,) = mistakes(tmp_path, text)
    place = (text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at))
    assert (problem.code, problem.mark.line, problem.mark.column) == (case.code, *place)
    assert case.title in problem.title
    assert case.note in " ".join((problem.label, *problem.notes))


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    """One run shows them all, in the order of the file, whatever stage finds them."""
    text = (
        SOURCE.replace("key: id", "kee: id").replace("{from: email}", "{expr: 'lowr(record.email)'}")
        + "      titel: {from: a}\n"
        + TARGET.partition("\n")[2].replace("${TOKEN}", "literal").replace("userName}", "usrName}")
        + "    scope: 'x'\n    scope: 'y'\n"
    )
    found = mistakes(tmp_path, text)
    codes = [problem.code for problem in found]
    assert codes == ["RB104", "RB103", "RB110", "RB107", "RB112", "RB107", "RB111", "RB102"]
    assert [problem.mark.line for problem in found] == sorted(problem.mark.line for problem in found)


def test_the_form_of_a_problem(tmp_path: Path) -> None:
    """Code, title, place, the line with a caret, why, what to write (dependencies, form of an error)."""
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, SOURCE + "      titel: {from: job}\n")
    assert refused.value.render() == "\n".join((
        "error[RB107]: User has no attribute titel",
        f"  ┌─ {tmp_path / 'rollbook.yaml'}:9:7",
        "  │",
        "9 │       titel: {from: job}",
        "  │       ^^^^^",
        "  = did you mean: title",
        "",
        "1 mistake; nothing was done.",
    ))  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        TARGET.replace("${TOKEN}", "hunter2"),
        TARGET.replace("${TOKEN}", "'hunter2'").replace("users:", "usrs:"),
        TARGET.replace("    token: ${TOKEN}\n", '    {token: "hunter2"}\n'),
        TARGET.replace("${TOKEN}", "hunter2: x"),
        TARGET.replace("    type: scim\n    url: https://example.com/scim\n    token: ${TOKEN}\n", "    {type: x, token: hunter2, url: y}\n"),
        TARGET.replace("${TOKEN}", "|\n      hunter2\n      hunter2"),
    ],
)  # fmt: skip
def test_a_secret_in_the_file_is_never_shown(tmp_path: Path, text: str) -> None:
    """I-13: not in the line of any problem, be it about the secret or about something else."""
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, text)
    assert refused.value.problems
    assert "hunter2" not in refused.value.render()


@pytest.mark.parametrize("content", ["two words", "with\ttab", "ümlaut", "line\nline"])
def test_a_secret_that_no_header_can_carry(tmp_path: Path, content: str) -> None:
    """Refused here rather than in the first call; never shown."""
    (problem,) = mistakes(tmp_path, TARGET, TOKEN=content)
    assert problem.code == "RB113"
    assert content not in problem.render()


def test_text_that_is_not_utf_8(tmp_path: Path) -> None:
    """The line is named."""
    path = tmp_path / "rollbook.yaml"
    path.write_bytes("version: 1\n# Jürgen\n".encode("cp1252"))
    with pytest.raises(ConfigError) as refused:
        load_config(path, CATALOG, {})
    (problem,) = refused.value.problems
    assert (problem.code, problem.mark.line, problem.title) == ("RB101", 2, "the file is not UTF-8")


def bomb() -> str:
    """Nine levels of ten aliases each."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "make", [bomb, lambda: "a: &a [*a]\n", lambda: "[" * 30 + "]" * 30], ids=["wide", "ring", "deep"]
)
def test_aliases_and_depth_are_limited(tmp_path: Path, make: Callable[[], str]) -> None:
    """T-69: a small file does not become a large one."""
    problems = mistakes(tmp_path, make())
    assert problems[0].code == "RB101"


def test_aliases_are_read(tmp_path: Path) -> None:
    """One mapping for two targets is written once."""
    second = TARGET.partition("targets:\n")[2].replace("  t:", "  u:").partition("    users:")[0]
    text = TARGET.replace("    users:", "    users: &both") + second + "    users: *both\n"
    config = load(tmp_path, text)
    assert config.targets["t"].users == config.targets["u"].users


def test_yaml_1_2_is_what_is_read(tmp_path: Path) -> None:
    """No is a word, a leading zero is no octal, a date stays text."""
    data = read_document("f", "a: no\nb: 012\nc: 2026-01-01\nd: 1:30\ne: ~\nf: 0x1f\ng: 1_000\nh: .5\n").data
    assert data == {
        "a": "no", "b": 12, "c": "2026-01-01", "d": "1:30", "e": None, "f": 31, "g": 1000, "h": 0.5,
    }  # fmt: skip


@given(st.text(alphabet=st.sampled_from("version: 1\n{}[]-'\"|>&*!#,\t süser\\"), max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text raises anything but problems with a place in the file."""
    document = read_document("f", text)
    lines = text.count("\n") + 1
    assert all(1 <= problem.mark.line <= lines for problem in document.problems)
    assert all(problem.render() for problem in document.problems)


def test_columns_are_checked_against_the_file(tmp_path: Path) -> None:
    """config check looks into sources that are there: every use of a missing column is marked."""
    (tmp_path / "people.csv").write_text("id,mail,first_name\n")
    path = tmp_path / "rollbook.yaml"
    path.write_text(
        SOURCE + "      name.givenName: {from: frist_name}\n"
        "      title: {expr: 'record.?titel.orValue(record.job)'}\n    groups: [{from: team}]\n"
    )
    found = check_config(path, CATALOG, {})
    assert [(problem.code, problem.mark.line, problem.mark.column) for problem in found] == [
        ("RB114", 8, 24),
        ("RB114", 9, 30),
        ("RB114", 10, 51),
        ("RB114", 11, 21),
    ]
    assert found[1].notes == ("did you mean: first_name",)
    assert found[1].label == 'not in source "hr" (csv, 3 columns)'


def test_columns_whose_absence_is_coped_with_are_not_needed(tmp_path: Path) -> None:
    """An optional read, and any read in an expression that asks first."""
    rules = (
        "      title: {expr: 'record.?job.orValue(\"\")'}\n"
        "      nickName: {expr: 'has(record.nick) ? record.nick : \"\"'}\n"
    )
    assert load(tmp_path, SOURCE + rules).sources["hr"].columns == ("id", "email")


def test_a_source_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """A login page instead of the file is found before the first pull."""
    (tmp_path / "people.csv").write_text("<html></html>")
    path = tmp_path / "rollbook.yaml"
    path.write_text(SOURCE)
    (problem,) = check_config(path, CATALOG, {})
    assert (problem.code, problem.mark.line) == ("RB115", 5)
    assert "web page" in problem.label


def test_a_source_that_is_not_there_yet_is_no_mistake(tmp_path: Path) -> None:
    """The export may come later."""
    path = tmp_path / "rollbook.yaml"
    path.write_text(SOURCE)
    assert check_config(path, CATALOG, {}) == ()


def test_codes_are_told_and_known() -> None:
    """Every code in the package's text is in the table, and every code of the table is used."""
    folder = Path(str(__import__("rollbook.provisioning.config").__path__[0])) / "provisioning" / "config"
    used = set(
        re.findall(
            r'"(RB\d+)"',
            "".join(f.read_text("utf-8") for f in folder.glob("*.py") if f.name != "problems.py"),
        )
    )
    assert used == set(CODES)


def test_the_json_schema_describes_the_shape() -> None:
    """For editors: keys, choices and descriptions, no unknown keys."""
    schema = json_schema()
    text = json.dumps(schema)
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) == {
        "version", "sources", "targets", "tables", "authority", "sensitive", "keep_days", "alerts",
    }  # fmt: skip
    assert set(schema["$defs"]["RuleShape"]["properties"]) == {
        "from", "value", "expr", "unique", "default", "when", "apply", "clear",
    }  # fmt: skip
    assert '"enum": ["disable", "delete", "keep"]' in text
    assert all("description" in part for part in schema["$defs"]["TargetShape"]["properties"].values())


def test_when_and_how_rules_write(tmp_path: Path) -> None:
    """apply, default, when and clear of rules, of lists as a whole, and clear of a target for those that say nothing."""
    text = TARGET.replace("    users:\n", "    clear: empty\n    users:\n")
    text += """\
      title: {from: title, default: Staff, when: user.active, apply: create}
      nickName: {from: nickName, clear: null}
      emails: [{value: {from: userName, apply: empty}, type: {value: work, clear: keep}}]
      name.givenName: {from: name.givenName}
"""
    users = load(tmp_path, text).targets["t"].users.assignments
    ways = {one.path.text: (str(one.way.apply), str(one.way.clear)) for one in users}
    assert ways == {
        "userName": ("always", "empty"),
        "title": ("create", "empty"),
        "nickName": ("always", "null"),
        "emails.value": ("empty", "keep"),
        "emails.type": ("empty", "keep"),
        "name.givenName": ("always", "empty"),
    }
    inputs = resource_inputs(
        Names(CATALOG.resource_types[0]), Subject.USER, {"userName": "a", "active": True}, TODAY
    )
    assert apply_mapping(load(tmp_path, text).targets["t"].users, inputs)["title"] == "Staff"


@pytest.mark.parametrize(
    "rule",
    [
        "title: {from: title, default: Staff}",
        "title: {from: title, when: user.active}",
        "title: {from: title, apply: create}",
        "title: {from: title, clear: keep}",
    ],
)
def test_the_digest_knows_when_and_how_rules_write(tmp_path: Path, rule: str) -> None:
    """What decides what is sent changes the digest; what says no more than is usual does not."""
    plain, usual = "title: {from: title}", "title: {from: title, apply: always, clear: remove}"
    digests = [load(tmp_path, f"{TARGET}      {one}\n").targets["t"].digest for one in (plain, usual, rule)]
    assert digests[0] == digests[1] != digests[2]


TABLES = TARGET.replace(
    "version: 1",
    "version: 1\ntables: {jobs: {a: Analyst}, other: {a: b}, costs: {file: costs.csv, key: team, value: number}}",
)


def test_tables_are_looked_up(tmp_path: Path) -> None:
    """Written out or in a file; what is missing is empty text, or the default that is named."""
    (tmp_path / "costs.csv").write_text("team,number,boss\nWest,4711,x\nEast,0815,y\n")
    rules = """\
      title: {expr: 'lookup("jobs", user.userName)'}
      nickName: {expr: 'lookup("jobs", "b", "none")'}
      displayName: {expr: 'lookup("jobs", "b")'}
      locale: {expr: 'today > date("2020-01-01") ? lookup("jobs", user.userName) : ""'}
      enterprise.costCenter: {expr: "lookup('costs', 'East')"}
"""
    users = load(tmp_path, TABLES + rules).targets["t"].users
    inputs = resource_inputs(Names(CATALOG.resource_types[0]), Subject.USER, {"userName": "a"}, TODAY)
    assert apply_mapping(users, inputs) == {
        "userName": "a", "title": "Analyst", "nickName": "none", "locale": "Analyst", ENTERPRISE: {"costCenter": "0815"},
    }  # fmt: skip


def test_the_digest_knows_the_tables_that_rules_look_in(tmp_path: Path) -> None:
    """Their content is part of what is sent; that of others is not."""
    (tmp_path / "costs.csv").write_text("team,number\nWest,4711\n")
    rule = "      title: {expr: 'lookup(\"jobs\", user.userName)'}\n"

    def digest(text: str) -> str:
        return load(tmp_path, text + rule).targets["t"].digest

    first = digest(TABLES)
    assert digest(TABLES.replace("other: {a: b}", "other: {a: c}")) == first
    assert digest(TABLES.replace("Analyst", "Lead")) != first


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        ("team,nummer\nWest,1\n", "RB114", "did you mean: nummer"),
        ("team,number\nWest,1\nWest,2\n", "RB115", "West stands twice, with two values"),
        ("team,number\nWest\n", "RB115", "line 2"),
        ("", "RB115", "is empty"),
    ],
)
def test_a_table_that_cannot_be_read(tmp_path: Path, content: str, code: str, words: str) -> None:
    """It is told with file and line, as for a source."""
    (tmp_path / "costs.csv").write_text(content)
    (problem,) = mistakes(tmp_path, TABLES)
    assert (problem.code, words in " ".join((problem.label, *problem.notes))) == (code, True), problem


def test_a_misspelt_key_of_a_table_in_a_file(tmp_path: Path) -> None:
    """It is no entry of a table that is written out."""
    found = mistakes(tmp_path, "version: 1\ntables: {t: {file: a.csv, key: a, valu: b}}\n")
    assert [(one.code, one.title) for one in found] == [
        ("RB104", "tables.t needs value"),
        ("RB103", "there is no key valu here"),
    ]


def test_a_secret_from_a_command(tmp_path: Path) -> None:
    """Its first line, without a shell, in the folder of the file, with the environment it was given; asked once."""
    program = tmp_path / "vault"
    program.write_text('#!/bin/sh\necho x >> asked\nprintf \' %s-%s \\nnotes\\n\' "$1" "$PART"\n')
    program.chmod(0o755)
    text = TARGET.replace("${TOKEN}", "command:./vault '$(id);x'")
    text += (
        TARGET.partition("targets:\n")[2]
        .replace("  t:", "  u:")
        .replace("${TOKEN}", "command:./vault '$(id);x'")
    )
    found = load(tmp_path, text, PART="two", PATH="/usr/bin:/bin")
    assert {one.token for one in found.targets.values()} == {"$(id);x-two"}
    assert (tmp_path / "asked").read_text() == "x\n"


def test_a_command_is_not_waited_for_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ended with all it has started, also what holds on to its output; nothing of that is told."""
    monkeypatch.setattr(command, "SECONDS", 0.3)
    program = tmp_path / "vault"
    program.write_text("#!/bin/sh\necho s3cret\nsleep 60 &\necho $! > child\nwait\n")
    program.chmod(0o755)
    began = time.monotonic()
    (problem,) = mistakes(
        tmp_path, TARGET.replace("${TOKEN}", "command:./vault -p hunter2"), PATH="/usr/bin:/bin"
    )
    assert time.monotonic() - began < 10
    assert (problem.code, problem.title) == ("RB113", "the command vault took more than 0.3 seconds")
    assert "s3cret" not in repr(problem)
    child = int((tmp_path / "child").read_text())
    assert _is_gone(child)


def _is_gone(pid: int) -> bool:
    """Whether that process has ended, or is about to be cleared away."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def test_no_command_is_run_where_secrets_do_not_matter(tmp_path: Path) -> None:
    """`config check --no-secrets` looks nothing up."""
    path = tmp_path / "rollbook.yaml"
    path.write_text(TARGET.replace("${TOKEN}", "command:touch asked"), "utf-8")
    assert check_config(path, CATALOG, {}, secrets=False) == ()
    assert not (tmp_path / "asked").exists()


UNIQUE = "unique: ['slug(record.a)']"


def test_a_name_that_nobody_else_has(tmp_path: Path) -> None:
    """It is no plain rule: chosen once, written while there is none; its columns are read as those of any rule."""
    source = load(tmp_path, SOURCE.replace("userName: {from: email}", f"userName: {{{UNIQUE}}}")).sources[
        "hr"
    ]
    (name,) = source.names
    assert (name.path.text, str(name.way.apply), source.users.assignments) == ("userName", "empty", ())
    assert source.columns == ("id", "a")


@pytest.mark.parametrize(
    "case",
    [
        Case("active: {^unique: ['record.a']}", "RB109", "does not fit active", "only single texts"),
        Case(
            "emails: [{value: {^unique: ['record.a']}}]", "RB109", "does not fit emails", "only single texts"
        ),
        Case("enterprise.manager: {^unique: ['record.a']}", "RB109", "does not fit enterprise.manager"),
        Case(f"title: {{{UNIQUE}, ^apply: always}}", "RB109", "does not fit title", "leave apply out"),
        Case(f"title: {{{UNIQUE}, ^default: x}}", "RB109", "does not fit title", "leave default out"),
        Case(
            "title: {unique: ['record.a', 'slug(^recrod.a)']}",
            "RB110",
            "cannot be compiled",
            "did you mean: record",
        ),
        Case("title: {unique: [^'size(record.a)']}", "RB109", "does not fit title", "the expression gives"),
        Case("title: {unique: ^[]}", "RB105", "is empty"),
        Case(f"^title: {{from: a, {UNIQUE}}}", "RB109", "is not one rule"),
    ],
    ids=lambda case: case.rules,
)
def test_mistakes_in_names_that_nobody_else_has(tmp_path: Path, case: Case) -> None:
    """Where a name cannot be chosen, and what cannot stand beside it."""
    check(tmp_path, SOURCE, case)


def test_only_a_source_chooses_names(tmp_path: Path) -> None:
    """A target gets what the hub has; a group of a source is called what its people say."""
    (problem,) = mistakes(tmp_path, TARGET + "      title: {unique: ['user.title']}\n")
    assert (problem.code, "only single texts" in problem.label) == ("RB109", True)
    groups = "    groups: [{from: team, displayName: {unique: ['record.team']}}]\n"
    (problem,) = mistakes(tmp_path, SOURCE + groups)
    assert problem.code == "RB109"
