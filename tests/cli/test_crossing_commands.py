"""What a command is given for one tenant, files of exports and numbers of runs among it, leads to nothing of another (I-08)."""

import json
import os
from pathlib import Path

import pytest
from tests.cli.command import run
from tests.cli.test_tenants import folder, for_tenant, forgotten, told

__all__ = ["folder", "forgotten"]

CONFIGURATION = """
version: 1
sources:
  hr:
    type: csv
    path: people.csv
    key: id
    users:
      userName: {from: login}
      displayName: {from: name}
targets: {}
"""


def lines(path: Path) -> list[dict[str, str]]:
    """The resources of an export."""
    return [json.loads(line) for line in path.read_text().splitlines()][1:]


def exported(folder: Path, tenant: str) -> list[dict[str, str]]:
    """What a tenant has, by an export."""
    out = folder / f"{tenant}-{os.urandom(4).hex()}.jsonl"
    code, _, wrong = for_tenant(tenant, "export", str(out))
    assert code == 0, wrong
    return lines(out)


@pytest.mark.parametrize("conflict", ["fail", "skip", "update"])
def test_t_11_a_file_of_another_tenant(folder: Path, conflict: str) -> None:
    """An export of one tenant, changed and put into another, makes people there, and changes nobody where it is from."""
    told("tenant", "create", "acme")
    assert run("import", str(folder / "people.jsonl"))[0] == 0
    mine = exported(folder, "default")
    file = folder / "taken.jsonl"
    file.write_text("".join(json.dumps({**one, "displayName": "Mallory"}) + "\n" for one in mine))
    code, _, wrong = for_tenant("acme", "import", str(file), "--on-conflict", conflict)
    assert code == 0, wrong
    assert exported(folder, "default") == mine
    (theirs,) = exported(folder, "acme")
    assert (theirs["userName"], theirs["displayName"]) == ("ann", "Mallory")


def test_t_11_people_and_runs_of_another(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of a run, or a name or id, of another tenant is answered as one that there never was."""
    monkeypatch.chdir(folder)
    (folder / "rollbook.yaml").write_text(CONFIGURATION)
    (folder / "people.csv").write_text("id,login,name\n1,ann,Ann\n2,bea,Bea\n")
    told("tenant", "create", "acme")
    assert run("pull")[0] == 0
    assert len(told("runs")) == 1
    known = exported(folder, "default")
    for command in ("undo", "runs"):
        theirs, never = for_tenant("acme", command, "1"), for_tenant("acme", command, "7")
        assert theirs[0] == never[0] != 0
        assert theirs[2].replace("1", "7") == never[2]
    asked: tuple[tuple[str, ...], ...] = (("history",), ("erase", "--yes"), ("restore", "--version", "1"))
    for words in asked:
        for name in ("ann", known[0]["id"]):
            theirs, never = for_tenant("acme", *words, name), for_tenant("acme", *words, "x" * len(name))
            assert theirs[0] == never[0] != 0
            assert theirs[2].replace(name, "") == never[2].replace("x" * len(name), "")
    assert exported(folder, "default") == known
    assert for_tenant("acme", "pull")[0] == 0
    assert (len(exported(folder, "acme")), exported(folder, "default")) == (2, known)
    assert for_tenant("acme", "undo", "1", "--yes")[0] == 0
    assert (exported(folder, "acme"), exported(folder, "default")) == ([], known)
