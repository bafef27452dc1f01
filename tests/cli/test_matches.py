"""`rollbook matches`, and what status and explain say of several sources, as a user runs them."""

import pytest
from tests.cli.test_provision import CONFIG, PEOPLE, Office, office

__all__ = ["office"]

SEVERAL = CONFIG.replace("targets:\n", """\
  directory:
    type: csv
    path: directory.csv
    key: uid
    create: false
    join: [{attribute: name.familyName, from: last}]
    users:
      title: {from: title}
      displayName: {from: shown}
authority: {title: [directory, hr]}
targets:
""", 1)  # fmt: skip


@pytest.fixture
def several(office: Office) -> Office:
    """An office whose directory has a record that may be one of two people."""
    file = office.directory / "rollbook.yaml"
    url = file.read_text("utf-8").partition("url: ")[2].partition("/v2")[0]
    file.write_text(SEVERAL.replace("URL", url), "utf-8")
    rows = (*PEOPLE, "4,ada2@x,Lovelace,Poet,math,,MARKER")
    (office.directory / "people.csv").write_text("\n".join((*rows, "")), "utf-8")
    text = "uid,last,title,shown\na1,Lovelace,Countess,Ada\na2,Hopper,Rear Admiral,Grace\na3,Nobody,,\n"
    (office.directory / "directory.csv").write_text(text, "utf-8")
    return office


def test_a_case_is_shown_decided_and_taken_back(several: Office) -> None:
    """Who it may be, what agrees and what differs; join at once; forget takes the values back and asks again."""
    told = several.run("pull")
    assert told.exit_code == 0, told.output
    assert "1 records match nobody; this source creates nobody" in told.stdout
    assert "1 wait for a decision: rollbook matches" in told.stdout
    assert "1 wait for somebody to decide whose they are" in several.run("status").stdout
    listed = several.run("matches").stdout
    for words in ("record a1 of directory", "2 hub users have the same", "? ada@x", "? ada2@x",
                  'title: "Poet" there, "Countess" in the record'):  # fmt: skip
        assert words in listed, words
    (case,) = several.json("matches", "--source", "directory")["matches"]
    assert {one["label"] for one in case["candidates"]} == {"ada@x", "ada2@x"}
    done = several.run("matches", "join", "directory", "a1", "ada2@x")
    assert (done.exit_code, done.stdout) == (0, "record a1 of directory is ada2@x\n")
    explained = several.run("explain", "ada2@x").stdout
    assert "source directory: record a1, joined by decision (rollbook matches join)" in explained
    assert "directory  (authority: directory, hr)" in explained
    assert "nothing waits for a decision" in several.run("matches").stdout
    assert several.run("matches", "forget", "directory", "a1").exit_code == 0
    assert "hr  (only hr fills it)" in several.run("explain", "ada2@x").stdout
    assert "? ada2@x" in several.run("matches").stdout


def test_new_and_ignore(several: Office) -> None:
    """A record that is left out is not asked about again; what nobody has decided cannot be forgotten."""
    several.run("pull")
    assert several.run("matches", "ignore", "directory", "a1").exit_code == 0
    assert "1 records are left out, as somebody decided" in several.run("pull").stdout
    unknown = several.run("matches", "new", "directory", "a9")
    assert "waits for no decision" in str(unknown.exception)
    fed = several.run("matches", "forget", "directory", "a2")
    assert "nobody has decided" in str(fed.exception)
