"""docs/security.md has every row of the catalogue of attacks and faults, and names tests that there are."""

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

import typer

from rollbook.cli.main import app

ROOT = Path(__file__).parents[2]

LISTS = {
    "T": [number for number in range(1, 97) if not 77 <= number <= 86],
    "FS": range(1, 26),
    "FE": range(1, 35),
    "I": range(1, 33),
}
"""The catalogue's rows, without those of the console."""

CONSOLE = {f"T-{number}" for number in range(77, 87)}
"""They come with it, and may be here before, for pages that there are."""

ROWS = {f"{kind}-{number:02}" for kind, numbers in LISTS.items() for number in numbers}
_LINE = re.compile(r"^\| ((?:T|FS|FE|I)-\d\d(?:, (?:T|FS|FE|I)-\d\d)*)( at /[\w/]+)? \| (.*) \| (.*) \|$")
"""A row may have a line more about one part of the server: `T-19 at /admin/v1`."""


@cache
def lines() -> list[tuple[list[str], str | None, str]]:
    """The table's lines: ids, the part of the server if it is about one only, and the tests or the reason."""
    text = (ROOT / "docs/security.md").read_text("utf-8")
    said = [line for line in text.splitlines() if re.match(r"\| (T|FS|FE|I)-", line)]
    found = [_LINE.match(line) for line in said]
    assert None not in found, "a line of another form"
    return [(match[1].split(", "), match[2], match[4]) for match in found if match]


@cache
def every_test() -> set[str]:
    """The name of every test."""
    files = [*(ROOT / "tests").rglob("*.py"), *(ROOT / "src/rollbook/testing").glob("*.py")]
    return {
        node.name
        for file in files
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


def test_every_row_is_in_the_table_once() -> None:
    """None is left out, none is invented, and none is said twice."""
    told = Counter(each for ids, part, _ in lines() if part is None for each in ids)
    assert sorted(set(told) - CONSOLE) == sorted(ROWS)
    assert [each for each, times in told.items() if times > 1] == []


def test_every_test_that_is_named_is_there() -> None:
    """Names may end in a star; files and targets of make are there, too."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for ids, _, proof in lines():
        named = re.findall(r"\btest_\w+\*?(?!\w*\.py|/)", re.sub(r"tests/\S+", "", proof))
        for name in named:
            start = name.removesuffix("*")
            assert any(
                each.startswith(start) if name.endswith("*") else each == name for each in every_test()
            ), (
                ids,
                name,
            )
        files = re.findall(r"tests/[\w/]+(?:\.py)?", proof)
        for file in files:
            assert (ROOT / file).exists(), (ids, file)
        made = re.findall(r"`make ([a-z-]+)`", proof)
        assert set(made) <= targets, (ids, made)
        assert named or files or made, f"{ids}: neither a test nor where one would be"


def test_a_test_named_after_a_row_is_a_row() -> None:
    """Who names a test after a row names one that there is, and the row's line leads to the test or to others."""
    named = re.compile(r"test_((?:(?:t|fs|fe|i)_\d\d_)+)")
    found = {
        part.upper() for name in every_test() if (match := named.match(name)) for part in _parts(match[1])
    }
    assert found <= ROWS | CONSOLE, sorted(found - ROWS - CONSOLE)


def _parts(text: str) -> list[str]:
    return [f"{kind}-{number}" for kind, number in re.findall(r"(t|fs|fe|i)_(\d\d)_", text)]


_SECRET = re.compile(r"secret|token|password|passphrase|credential|tls_key")


def test_t_88_no_option_takes_a_secret() -> None:
    """T-88: what stands on a command line is seen by everybody on the machine; there are switches and files only."""
    group = typer.main.get_command(app)
    seen = 0
    waiting = [("rollbook", group)]
    while waiting:
        name, command = waiting.pop()
        waiting += [(f"{name} {child}", each) for child, each in getattr(command, "commands", {}).items()]
        for parameter in command.params:
            if _SECRET.search(str(parameter.name)):
                seen += 1
                is_switch = bool(getattr(parameter, "is_flag", False))
                assert is_switch or parameter.metavar == "FILE", (name, parameter.name)
    assert seen


def test_t_69_nothing_builds_objects_of_what_it_reads() -> None:
    """T-69: no pickles, no evaluated text, no YAML tags: what comes from outside is read as data."""
    unsafe = re.compile(
        r"^\s*(?:import|from) (?:pickle|marshal|shelve|dill|yaml|jsonpickle)\b|(?<![.\w])(?:eval|exec)\(|YAML\(typ=.unsafe",
        re.MULTILINE,
    )
    files = [*(ROOT / "src").rglob("*.py")]
    assert len(files) > 100
    assert [file.name for file in files if unsafe.search(file.read_text("utf-8"))] == []
