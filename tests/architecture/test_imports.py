"""What a start loads: the modules of each way in are counted, so that no start grows slow unnoticed."""

import subprocess
import sys

import pytest

OURS_AND_STDLIB = {"rollbook", *sys.stdlib_module_names}


def loaded(code: str) -> set[str]:
    """Top-level packages a fresh interpreter has loaded after running `code`, the standard library aside."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print('LOADED', *sys.modules)"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    modules = done.stdout.rpartition("LOADED")[2].split()
    return {name.partition(".")[0] for name in modules if not name.startswith("_")} - OURS_AND_STDLIB


def rollbook_modules(code: str) -> set[str]:
    """Our own modules that `code` loads, two levels deep."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print('LOADED', *sys.modules)"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    modules = done.stdout.rpartition("LOADED")[2].split()
    return {".".join(name.split(".")[:2]) for name in modules if name.startswith("rollbook.")}


def test_client_is_light() -> None:
    """`import rollbook.client` loads the protocol, orjson and the HTTP library, nothing else."""
    assert loaded("import rollbook.client") <= {"orjson", "pyqwest", "opentelemetry", "typing_extensions"}
    assert rollbook_modules("import rollbook.client") == {"rollbook.client", "rollbook.protocol"}


HELP = "import sys; sys.argv = ['rollbook', '--help']\nfrom rollbook.cli.main import run\ntry: run()\nexcept SystemExit: pass"
HEAVY = {
    "granian",
    "starlette",
    "apsw",
    "alembic",
    "sqlalchemy",
    "orjson",
    "pydantic",
    "ruamel",
    "cel_expr_python",
    "argon2",
    "cryptography",
    "joserfc",
    "pyqwest",
}


def test_help_is_light() -> None:
    """`rollbook --help` loads the command-line libraries only."""
    assert not loaded(HELP) & HEAVY


@pytest.mark.parametrize(
    "module", ["rollbook.protocol.patch", "rollbook.protocol.filter_parser", "rollbook.protocol.validate"]
)
def test_protocol_is_pure(module: str) -> None:
    """The protocol core loads the standard library only (house style 2)."""
    assert loaded(f"import {module}") == set()


def test_server_is_lean() -> None:
    """What `rollbook serve` loads has no migration tool, no YAML, no expressions, no password hashing yet."""
    found = loaded("import rollbook.app, rollbook.cli.serve, granian.server.embed")
    assert not found & {"alembic", "sqlalchemy", "pydantic", "ruamel", "cel_expr_python", "argon2", "pyqwest"}
