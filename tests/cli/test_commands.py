"""The tree of commands, of which only the one that is called is loaded."""

import os
import re
import subprocess
import sys

import pytest
from tests.cli.command import run
from typer.main import get_command

from rollbook.cli.main import COMMANDS, app


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_what_it_is_called(name: str) -> None:
    """Each name of the tree stands for a command, which says what it is for."""
    found = get_command(app).commands[name]  # type: ignore[attr-defined]  # Typer's group has them
    assert found.name == name
    assert found.get_short_help_str()


def test_help_names_every_command() -> None:
    """`rollbook --help` lists all, in the order of the tree."""
    code, output, _ = run("--help")
    assert code == 0
    assert re.findall(r"^│ ([a-z]+) ", output, re.MULTILINE) == list(COMMANDS)


def test_a_name_that_is_none_is_answered_by_the_nearest() -> None:
    """A mistake in the name of a command ends in a suggestion."""
    code, _, errors = run("tokn", "list")
    assert code == 2
    assert "No such command 'tokn'" in errors
    assert "Did you mean 'token'" in errors


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("rollbook to", ["token"]),
        ("rollbook re", ["restore", "report", "resume", "retry", "reset"]),
        ("rollbook token cr", ["create"]),
        ("rollbook serve --insec", ["--insecure-http"]),
    ],
)
def test_shells_complete(words: str, completed: list[str]) -> None:
    """What bash asks for is completed: commands, those of a family, and options."""
    asked = {"_ROLLBOOK_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    code = "import sys; sys.argv[0] = 'rollbook'; from rollbook.cli.main import run; run()"
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | asked, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == completed
