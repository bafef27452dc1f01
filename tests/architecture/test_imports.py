"""What a start loads: the modules of each way in are counted, so that no start grows slow unnoticed."""

import subprocess
import sys
from pathlib import Path

import pytest

from rollbook.demo.processes import free_ports

OURS_AND_STDLIB = {"rollbook", *sys.stdlib_module_names}


def modules(code: str, directory: Path | None = None) -> set[str]:
    """All modules a fresh interpreter has loaded after running `code`, where it was to begin with."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print('LOADED', *sys.modules)"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=directory,
    )
    return set(done.stdout.rpartition("LOADED")[2].split())


def foreign(names: set[str]) -> set[str]:
    """Top-level packages among the modules, the standard library aside."""
    return {name.partition(".")[0] for name in names if not name.startswith("_")} - OURS_AND_STDLIB


def loaded(code: str) -> set[str]:
    """Top-level packages a fresh interpreter has loaded after running `code`, the standard library aside."""
    return foreign(modules(code))


def rollbook_modules(code: str) -> set[str]:
    """Our own modules that `code` loads, two levels deep."""
    return {".".join(name.split(".")[:2]) for name in modules(code) if name.startswith("rollbook.")}


def test_client_is_light() -> None:
    """`import rollbook.client` loads the protocol, orjson and the HTTP library, nothing else."""
    assert loaded("import rollbook.client") <= {"orjson", "pyqwest", "opentelemetry", "typing_extensions"}
    assert rollbook_modules("import rollbook.client") == {"rollbook.client", "rollbook.protocol"}


RUN = "import sys; sys.argv = ['rollbook', *{!r}]\nfrom rollbook.cli.main import run\ntry: run()\nexcept SystemExit: pass"
SERVING = {"granian", "starlette", "jinja2", "joserfc", "cryptography", "argon2", "prometheus_client"}
ENGINE = {"cel_expr_python", "ruamel", "pyqwest", "cronsim"}
SELDOM = {"alembic", "sqlalchemy", "psycopg", "opentelemetry", "structlog", "scim2_server"}
STORE = {"apsw", "orjson"}


def ran(directory: Path, *arguments: str) -> set[str]:
    """The modules a command loads, from its start to its end."""
    return modules(RUN.format(arguments), directory)


def families(names: set[str]) -> set[str]:
    """The modules of the command line that were loaded, without the package's name."""
    return {name.removeprefix("rollbook.cli.") for name in names if name.startswith("rollbook.cli.")}


def test_version_loads_nothing(tmp_path: Path) -> None:
    """`rollbook --version` loads the tree of commands and no command, and what parses its arguments."""
    found = ran(tmp_path, "--version")
    assert {name for name in found if name.startswith("rollbook.")} == {"rollbook.cli", "rollbook.cli.main"}
    assert not foreign(found) & (SERVING | ENGINE | SELDOM | STORE | {"rich", "pydantic"})
    assert "asyncio" not in found


def test_help_is_light(tmp_path: Path) -> None:
    """`rollbook --help` loads the commands, but nothing that they need when they run."""
    found = ran(tmp_path, "--help")
    assert {".".join(name.split(".")[:2]) for name in found if name.startswith("rollbook.")} == {
        "rollbook.cli"
    }
    assert not foreign(found) & (SERVING | ENGINE | SELDOM | STORE | {"pydantic"})


@pytest.mark.parametrize(
    ("command", "family"),
    [
        ("serve", {"serve", "serve_options"}),
        ("audit", {"journal", "targets", "provision"}),
        ("nonsense", set()),
    ],
)
def test_no_other_command_is_loaded(tmp_path: Path, command: str, family: set[str]) -> None:
    """The help of a command loads that command; a name that is none loads none."""
    assert families(ran(tmp_path, command, "--help")) == {"main", *family}


def test_commands_of_the_store_load_no_engine(tmp_path: Path) -> None:
    """`rollbook token list` loads neither server nor engine, nor what shows colours in logs."""
    url = f"--database=sqlite:///{tmp_path}/some.db"
    ran(tmp_path, "database", "migrate", url)
    found = ran(tmp_path, "token", "list", url)
    assert foreign(found) >= STORE
    assert not foreign(found) & (SERVING | ENGINE | SELDOM)
    ours = {".".join(name.split(".")[:2]) for name in found if name.startswith("rollbook.")}
    assert not ours & {"rollbook.server", "rollbook.provisioning", "rollbook.client", "rollbook.demo"}


CONFIGURATION = """\
version: 1
targets:
  app:
    type: scim
    url: http://127.0.0.1:9/scim/v2
    token: ${PATH}
    users: {userName: {from: userName}}
"""


def test_commands_of_the_engine_load_no_server(tmp_path: Path) -> None:
    """`rollbook plan` loads the engine, and neither server nor tools for tables, nor what shows colours in logs."""
    (tmp_path / "rollbook.yaml").write_text(CONFIGURATION, "utf-8")
    url = f"--database=sqlite:///{tmp_path}/some.db"
    ran(tmp_path, "database", "migrate", url)
    found = ran(tmp_path, "plan", url)
    assert foreign(found) >= STORE | ENGINE
    assert not foreign(found) & (SERVING | SELDOM)
    assert not {name for name in found if name.startswith(("rollbook.server", "rollbook.demo"))}


@pytest.mark.parametrize(
    "module", ["rollbook.protocol.patch", "rollbook.protocol.filter_parser", "rollbook.protocol.validate"]
)
def test_protocol_is_pure(module: str) -> None:
    """The protocol core loads the standard library only (house style 2)."""
    assert loaded(f"import {module}") == set()


ENDED_WHEN_IT_ANSWERS = """
import os, signal, threading, time, urllib.request
def end():
    while True:
        time.sleep(0.05)
        try:
            urllib.request.urlopen('http://127.0.0.1:{port}/readyz').close()
        except OSError:
            continue
        return os.kill(os.getpid(), signal.SIGTERM)
threading.Thread(target=end, daemon=True).start()
"""


def test_server_is_lean(tmp_path: Path) -> None:
    """`rollbook serve` loads until it answers no migration tool, no engine, no password hashing yet."""
    (port,) = free_ports(1)
    serve = RUN.format(("serve", f"--port={port}", f"--database=sqlite:///{tmp_path}/some.db"))
    found = modules(ENDED_WHEN_IT_ANSWERS.format(port=port) + serve, tmp_path)
    assert foreign(found) >= {"granian", "starlette", "structlog", *STORE}
    assert not foreign(found) & {"alembic", "sqlalchemy", "argon2", "psycopg", "opentelemetry", *ENGINE}
    assert not {name for name in found if name.startswith(("rollbook.provisioning", "rollbook.demo"))}
