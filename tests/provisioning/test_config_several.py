"""`join`, `create` and `authority` in rollbook.yaml: what is taken, and every mistake with what to write."""

from pathlib import Path

import pytest
from tests.provisioning.several_world import RULES

from rollbook.protocol.catalog import core_catalog
from rollbook.provisioning.config import load_config
from rollbook.provisioning.config.problems import ConfigError, Problem

LONE = """
version: 1
sources:
  one: {type: csv, path: a.csv, key: id, users: {userName: {from: a}}}
  two: {type: csv, path: b.csv, key: id, users: {userName: {from: a}}}
"""


def problems(folder: Path, text: str) -> list[Problem]:
    """The mistakes in a file."""
    path = folder / "rollbook.yaml"
    path.write_text(text, "utf-8")
    try:
        load_config(path, core_catalog(), {})
    except ConfigError as error:
        return list(error.problems)
    return []


def test_the_rules_are_read(tmp_path: Path) -> None:
    """Rules in order, and for each shared attribute the order of those that fill it."""
    path = tmp_path / "rollbook.yaml"
    path.write_text(RULES, "utf-8")
    sources = load_config(path, core_catalog(), {}).sources
    directory = sources["directory"]
    assert [rule.text for rule in directory.join] == [
        "userName",
        "emails.value",
        "enterprise.department and name.familyName (normalised)",
    ]
    assert (directory.create, sources["hr"].create) == (False, True)
    assert {one.path.text: one.order for one in sources["hr"].shared} == {
        "emails": ("directory", "hr"),
        "name.familyName": ("hr", "directory"),
    }


def test_sources_with_people_of_their_own_stay_as_they_were(tmp_path: Path) -> None:
    """Two sources may fill the same attributes as long as nothing says that they feed the same people."""
    assert problems(tmp_path, LONE) == []
    path = tmp_path / "rollbook.yaml"
    assert all(
        not one.peers and not one.shared for one in load_config(path, core_catalog(), {}).sources.values()
    )


JOIN = "      - {attribute: userName, from: login}\n"


@pytest.mark.parametrize(
    ("old", "new", "code", "words"),
    [
        ("  emails: [directory, hr]\n", "", "RB126", "authority: {emails: [hr, directory]}"),
        ("emails: [directory, hr]", "emails: [hr]", "RB126", "authority: {emails: [hr, directory]}"),
        ("emails: [directory, hr]", "emails: [directry, hr, directory]", "RB126", "did you mean: directory"),
        ("  emails: [directory, hr]", "  email: [directory, hr]", "RB107", "did you mean: emails"),
        (JOIN, "      - {attribute: userNam, from: login}\n", "RB107", "did you mean: userName"),
        (JOIN, "      - {attribute: userName}\n", "RB125", "write one of from and expr"),
        (JOIN, "      - {attribute: emails, from: mail}\n", "RB125", "emails.value"),
        (JOIN, "      - {sure: false}\n", "RB125", "names one attribute, or several below all"),
        (JOIN, "      - {attribute: userName, from: login, normalize: true}\n", "RB125", "lower(normalize("),
        (JOIN, "      - {attribute: title, from: title}\n", "RB125", "must be indexed"),
        (JOIN, "      - {attribute: userName, frm: login}\n", "RB103", "did you mean: from"),
    ],
)  # fmt: skip
def test_a_mistake_says_what_to_write(tmp_path: Path, old: str, new: str, code: str, words: str) -> None:
    """Each with its code, its line and a suggestion."""
    assert old in RULES
    found = problems(tmp_path, RULES.replace(old, new, 1))
    assert [one.code for one in found] == [code]
    assert words in " ".join((found[0].title, found[0].label, *found[0].notes))
    assert found[0].mark.line > 1


def test_both_places_are_named(tmp_path: Path) -> None:
    """Of two sources that fill the same attribute without an order, the one is shown and the other named."""
    (found,) = problems(tmp_path, RULES.replace("  emails: [directory, hr]\n", ""))
    assert (found.title, found.label) == ("several sources fill emails", "so does hr in line 16")
    assert "emails" in found.text
