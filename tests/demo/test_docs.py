"""The examples of the documentation: run as they stand, against real servers.

A comment `<!-- test: … -->` before a block says what to do with it: `file NAME` writes it, `serve` starts it as the
page's server, `start` starts each of its lines, `run [exit N]` runs it in the page's shell, `answer` compares it with
the last JSON that was printed; `shows` looks for its lines, in their order, in what was printed. "…" stands for
any text.
"""

import base64
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rollbook.demo.processes import Processes, free_ports
from rollbook.demo.scim import Service
from rollbook.protocol.catalog import core_catalog
from rollbook.provisioning.config.load import load_config
from rollbook.provisioning.expressions import Subject, compile_expression
from rollbook.provisioning.tables import Tables

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(
    str(page.relative_to(ROOT))
    for page in (*DOCS.rglob("*.md"), *ROOT.glob("examples/*/README.md"))
    if "<!-- test: " in page.read_text("utf-8")
)
PORTS = ("8080", "9001", "9002", "9003", "9004", "9005")
BLOCK = re.compile(
    r"(?:<!-- test: (?P<mark>[^>]*?) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """A fenced block: what to do with it, and what it says."""

    mark: str
    language: str
    text: str


def blocks(page: str, ports: Mapping[str, str]) -> Iterator[Block]:
    """The blocks of a page, with ports that are free in place of those it names."""
    text = (ROOT / page).read_text("utf-8")
    for written, free in ports.items():
        text = text.replace(f":{written}", f":{free}").replace(f"--port {written}", f"--port {free}")
    for match in BLOCK.finditer(text):
        yield Block(match["mark"] or "", match["language"], match["text"])


class Shell:
    """The directory, the variables and the servers of one page."""

    def __init__(self, directory: Path, processes: Processes, port: str) -> None:
        self.directory = directory
        self.processes = processes
        self.port = port
        self.printed = ""

    def do(self, block: Block) -> None:
        """Do what the mark says."""
        word, _, rest = block.mark.partition(" ")
        match word:
            case "file":
                (self.directory / rest).parent.mkdir(exist_ok=True)
                (self.directory / rest).write_text(block.text, "utf-8")
            case "serve":
                self.serve(f"{block.text.strip()} --port {self.port}")
            case "start":
                for number, line in enumerate(block.text.strip().splitlines()):
                    self.start(f"server{number}", line.removesuffix("&"))
            case "run":
                self.run(block.text, int(rest.removeprefix("exit ") or 0))
            case "answer":
                assert_like(json.loads(block.text), documents(self.printed)[-1])
            case "shows":
                assert_shown(block.text, self.printed)
            case _:
                assert word == "", f"unknown mark {block.mark}"

    def start(self, name: str, command: str) -> str:
        """Start a server and wait for what it says first."""
        self.processes.start(name, ["bash", "-c", f"cd '{self.directory}' && {command}"], {})
        log = self.processes.logs / f"{name}.log"
        self.processes.wait(name, lambda: "  token " in log.read_text("utf-8"))
        return log.read_text("utf-8")

    def serve(self, command: str) -> None:
        """Start the page's server; its address and token become variables, as the page tells people to do."""
        said = self.start("server", command)
        base = f"http://127.0.0.1:{self.port}/scim/v2"
        token = re.findall(r"token +(\S+)", said)[0]
        assert base in said
        self.processes.wait("server", Service("server", base, token).answers)
        self.run(f"export SCIM={base} TOKEN={token}", 0)

    def run(self, script: str, code: int) -> None:
        """Run a script; variables live on to the next one."""
        whole = f"[ ! -e .variables ] || . ./.variables\nset -a -o pipefail\n{script}\nended=$?\nexport -p > .variables\ndeclare -f >> .variables\nexit $ended\n"
        done = self.processes.run(["bash", "-c", whole], {}, self.directory)
        assert done.code == code, f"{script}\nended with {done.code}\n{done.errors}{done.output}"
        self.printed = done.output


def documents(text: str) -> list[Any]:
    """The JSON documents in a text, one after the other."""
    found, place = [], 0
    while text[place:].strip():
        place += len(text[place:]) - len(text[place:].lstrip())
        value, place = json.JSONDecoder().raw_decode(text, place)
        found.append(value)
    return found


def assert_like(expected: Any, found: Any) -> None:
    """The same keys and values; "…" is like any text."""
    if isinstance(expected, dict):
        assert expected.keys() == found.keys()
        for name, value in expected.items():
            assert_like(value, found[name])
    elif isinstance(expected, list):
        assert len(expected) == len(found)
        for one, other in zip(expected, found, strict=True):
            assert_like(one, other)
    elif isinstance(expected, str) and "…" in expected:
        assert re.fullmatch(re.escape(expected).replace("…", ".*"), found)
    else:
        assert expected == found


def assert_shown(expected: str, printed: str) -> None:
    """The lines of the one appear in the other in their order, however they are spaced."""
    lines = iter([" ".join(line.split()) for line in printed.splitlines()])
    for wanted in (" ".join(line.split()) for line in expected.splitlines()):
        like = re.compile(re.escape(wanted).replace("…", ".+"))
        found = wanted in {"", "…"} or any(like.fullmatch(line) for line in lines)
        assert found, f"not shown, or not in this order: {wanted}\n{printed}"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A user who has just installed Rollbook: nothing in their home, `rollbook` and curl in their path."""
    tools = tmp_path / "bin"
    tools.mkdir()
    if not shutil.which("curl"):
        shim = tools / "curl"
        shim.write_text(
            f"#!/bin/sh\nexec '{sys.executable}' '{Path(__file__).with_name('curl.py')}' \"$@\"\n"
        )
        shim.chmod(0o755)
    path = f"{tools}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    plain = {name: value for name, value in os.environ.items() if not name.startswith("ROLLBOOK_")}
    return plain | {
        "PATH": path,
        "XDG_DATA_HOME": str(tmp_path / "home"),
        "NO_COLOR": "1",
        "no_proxy": "127.0.0.1",
    }


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_examples_run(page: str, tmp_path: Path, environment: dict[str, str]) -> None:
    """Every marked example of a page does what the page says."""
    ports = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
    directory = tmp_path / "work"
    if page.startswith("examples/"):  # it speaks of the files beside it
        shutil.copytree((ROOT / page).parent, directory)
    else:
        directory.mkdir()
    with Processes(tmp_path, environment) as processes:
        shell = Shell(directory, processes, ports["8080"])
        for block in blocks(page, ports):
            shell.do(block)


WHOLE = [
    pytest.param(f"docs/{page.name}", block.text, id=f"{page.stem}-{number}")
    for page in sorted(DOCS.glob("*.md"))
    for number, block in enumerate(blocks(f"docs/{page.name}", {}))
    if block.language == "yaml"
]


@pytest.mark.parametrize(("page", "text"), WHOLE)
def test_yaml_is_read(page: str, text: str, tmp_path: Path) -> None:
    """Every YAML example is a configuration, or rules that fit into one."""
    if "version:" not in text:
        rules = "".join(f"      {line}\n" for line in text.splitlines())
        user_name = "" if "userName:" in rules else "      userName: {from: email}\n"
        head = "version: 1\nsources:\n  hr:\n    type: csv\n    path: people.csv\n    key: id\n    users:\n"
        text = head + user_name + rules
        (tmp_path / "people.csv").write_text("id,email,private_email,job_title\n", "utf-8")
    for block in blocks(page, {}):
        if block.mark.startswith("file people.csv"):
            (tmp_path / "people.csv").write_text(block.text, "utf-8")
    file = tmp_path / "rollbook.yaml"
    file.write_text(text, "utf-8")
    (tmp_path / "costs.csv").write_text("team,number\nsales,0815\n", "utf-8")
    tokens = dict.fromkeys(re.findall(r"\$\{(\w+)\}", text), SECRET)
    assert load_config(file, core_catalog(), tokens).sources


SECRET = f"whsec_{base64.b64encode(bytes(32)).decode()}"
"""One that is a token as well as the secret of a webhook."""
_TABLES = Tables({"countries": {"DE": "Germany"}})
_TABLE = (DOCS / "expressions.md").read_text("utf-8").partition("## Examples")[2]
EXPRESSIONS = re.findall(r"^\| [^|]+ \| `(.+)` \|$", _TABLE, re.MULTILINE)


@pytest.mark.parametrize("written", EXPRESSIONS)
def test_expressions_compile(written: str) -> None:
    """Every expression of the table is one."""
    text = written.replace("\\|", "|")
    subject = Subject.USER if "user." in text else Subject.RECORD
    assert compile_expression(text, subject, _TABLES).text == text


def test_there_are_examples() -> None:
    """The searches above find what they are for."""
    assert {"docs/quickstart-server.md", "docs/quickstart-provisioning.md", "docs/schemas.md"} <= set(PAGES)
    assert "docs/providers/index.md" in PAGES
    assert {"examples/university/README.md", "examples/permissions/README.md"} <= set(PAGES)
    assert len(WHOLE) >= 2
    assert len(EXPRESSIONS) >= 8
