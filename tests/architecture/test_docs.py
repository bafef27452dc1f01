"""The documentation says everything there is: commands, options, settings, errors, packages, dependencies."""

import dataclasses
import importlib.util
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
from spec.table import deferred, rows

import rollbook
from rollbook.protocol import errors
from rollbook.provisioning.config.problems import CODES
from rollbook.settings import Settings

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(page for page in DOCS.rglob("*.md") if "_build" not in page.parts)
PACKAGE = Path(rollbook.__file__).parent
TESTS = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


@cache
def conf() -> ModuleType:
    """docs/conf.py as Sphinx runs it."""
    spec = importlib.util.spec_from_file_location("docs_conf", DOCS / "conf.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def text(page: str = "") -> str:
    """A page, or all of them, with the tables that are made from the code."""
    files = [DOCS / page] if page else PAGES
    whole = "\n".join(file.read_text("utf-8") for file in files)
    for name, value in conf().myst_substitutions.items():
        whole = whole.replace(f"{{{{ {name} }}}}", value)
    return whole


def written_by_hand() -> str:
    """All pages without the tables that are made from the code, and the README."""
    return "\n".join(file.read_text("utf-8") for file in (*PAGES, ROOT / "README.md"))


def commands() -> list[tuple[str, set[str]]]:
    """Every command with its options."""
    import typer

    from rollbook.cli.main import app

    found = conf().walk(typer.main.get_command(app), "rollbook")
    return [
        (
            name,
            {
                opt
                for param in cmd.params
                for opt in (*param.opts, *param.secondary_opts)
                if opt.startswith("--")
            },
        )
        for name, cmd in found
    ]


def test_every_table_is_used() -> None:
    """No table is made in vain, and none is missing."""
    used = set(re.findall(r"\{\{ (\w+) \}\}", "".join(page.read_text("utf-8") for page in PAGES)))
    assert used == set(conf().myst_substitutions)


def test_every_command_is_written_about() -> None:
    """Each command stands on a page that a person wrote, not only in the reference."""
    by_hand = written_by_hand()
    assert [name for name, _ in commands() if f"{name}" not in by_hand] == []


def test_every_option_is_in_the_reference() -> None:
    """Each option of each command is in the reference, with a meaning."""
    reference = text("commands.md")
    sections = {part.split("`")[1]: part for part in reference.split("\n## ")[1:]}
    missing = [
        f"{name} {option}"
        for name, options in commands()
        for option in options - {"--help"}
        if option not in sections[name]
    ]
    assert missing == []


def test_no_option_is_invented() -> None:
    """Each option that a page or the README speaks of is one of ours, or of the tools beside it."""
    foreign = {
        "--data-urlencode",
        "--sizes",
        "--users",
        "--rounds",
        "--rate",
        "--at-once",
        "--page",
        "--groups",
        "--targets",
        "--backends",
        "--backlog",
        "--changes",
        "--postgres-to",
        "--seconds",
        "--minutes",
        "--only",
        "--write",
        "--no-peers",
        "--help",
        "--format",
        "--owner",
        "--slow",
        "--postgres",
        "--directory",
        "--thorough",
        "--token",
        "--strict",
        "--i-accept-side-effects",
        "--now",  # of systemctl
        "--check",  # of sha256sum
        "--read-only",  # of docker, and those below
        "--cap-drop",
        "--tmpfs",
        "--rm",
    }
    known = foreign.union({"--tenant"}, *(options for _, options in commands()))  # stands before any command
    assert sorted(set(re.findall(r"(?<![-\w])--[a-z][a-z-]+", written_by_hand())) - known) == []


def test_every_setting_is_written_about() -> None:
    """Each field of Settings is an option or a variable of the documentation."""
    variables = {
        "bootstrap_token": "ROLLBOOK_BOOTSTRAP_TOKEN",
        "password_check": "ROLLBOOK_PASSWORD_CHECK",
        "tenant": "--set",
        "home": "--tenant",
        "clients": "--client-ca",
    }
    fields = [field.name for field in dataclasses.fields(Settings) if field.name != "database_origin"]
    names = [variables.get(name, f"--{name.replace('_', '-')}") for name in fields]
    assert [name for name in names if name not in text()] == []


def test_every_variable_is_written_about() -> None:
    """Each ROLLBOOK_ variable of the code is in the documentation."""
    code = "\n".join(file.read_text("utf-8") for file in PACKAGE.rglob("*.py"))
    variables = set(re.findall(r'"(ROLLBOOK_[A-Z_]*[A-Z])"', code))
    assert "ROLLBOOK_DATABASE" in variables
    assert sorted(name for name in variables if name not in written_by_hand()) == []


def test_every_error_is_written_about() -> None:
    """Each error class, each scimType and each code is in errors.md."""
    page = text("errors.md")
    classes = [
        thing
        for thing in vars(errors).values()
        if isinstance(thing, type) and issubclass(thing, errors.ScimError)
    ]
    names = [cls.__name__ for cls in classes if cls is not errors.ScimError]
    names += [cls.scim_type for cls in classes if cls.scim_type]
    assert [name for name in (*names, *CODES) if f"`{name}`" not in page] == []


def test_every_exit_code_is_written_about() -> None:
    """Each exit code of the command line is in the table of errors.md."""
    from rollbook.cli import errors as cli_errors

    codes = {value for name, value in vars(cli_errors).items() if name.isupper() and isinstance(value, int)}
    assert codes
    assert [code for code in sorted(codes) if f"\n| {code} | " not in text("errors.md")] == []


def test_every_package_is_on_the_code_map() -> None:
    """Each package and each module at the top is named in architecture.md."""
    names = [path.parent.name for path in PACKAGE.glob("*/__init__.py")]
    names += [path.stem for path in PACKAGE.glob("*.py") if not path.stem.startswith("__")]
    assert [name for name in names if f"`rollbook.{name}`" not in text("architecture.md")] == []


def test_every_file_on_the_code_map_exists() -> None:
    """No module is named in architecture.md that is not there."""
    known = {path.name for folder in (PACKAGE, TESTS) for path in folder.rglob("*.py")}
    named = set(re.findall(r"([a-z_]+\.py)\b", text("architecture.md")))
    assert named
    assert sorted(named - known) == []


def test_every_dependency_is_justified() -> None:
    """Each requirement of pyproject.toml has a line in dependencies.md."""
    project = PROJECT["project"]
    groups = [
        project["dependencies"],
        *project["optional-dependencies"].values(),
        *PROJECT["dependency-groups"].values(),
    ]
    names = {
        re.split(r"[<>=\[ ]", requirement)[0]
        for group in groups
        for requirement in group
        if isinstance(requirement, str)
    }
    page = text("dependencies.md")
    assert sorted(name for name in names if f"`{name}`" not in page) == []


def test_no_dependency_is_invented() -> None:
    """Each package at the head of a line of dependencies.md is required somewhere."""
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    named = re.findall(r"^\| (?:`[a-z]+` \| )?`([a-z0-9-]+)` \|", text("dependencies.md"), re.MULTILINE)
    assert named
    assert [name for name in named if f'"{name}' not in project] == []


@pytest.mark.parametrize(
    "file", [ROOT / "README.md", ROOT / "CHANGELOG.md", *PAGES], ids=lambda f: str(f.relative_to(ROOT))
)
def test_links_lead_somewhere(file: Path) -> None:
    """Each link to a file of the repository leads to one."""
    links = re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", file.read_text("utf-8"))
    assert [link for link in links if not (file.parent / link).exists()] == []


@pytest.mark.spec("P-3.4.2.4-08")
def test_queries_say_that_pages_may_shift() -> None:
    """What changes between two pages by index may be seen twice or not at all; the page says so, and what helps."""
    assert "between two pages" in text("queries.md")


def test_support_has_every_row() -> None:
    """The page of what is supported has each row of the specification, and of those that are not met the reason."""
    page = text("support.md")
    assert [row.id for row in rows() if f"| `{row.id}` | {row.level} |" not in page] == []
    assert page.count("| waits for ") + page.count("| no: ") == len(deferred())


def test_changelog_has_a_place_for_what_comes_next() -> None:
    """CHANGELOG.md keeps the form of Keep a Changelog."""
    assert "\n## [Unreleased]\n" in (ROOT / "CHANGELOG.md").read_text("utf-8")


@pytest.mark.slow
def test_the_site_builds(tmp_path: Path) -> None:
    """Sphinx builds every page without a warning."""
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "--keep-going",
        "-q",
        "-b",
        "html",
        str(DOCS),
        str(tmp_path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.stderr == ""
    page = (tmp_path / "quirks.html").read_text("utf-8")
    assert "string-booleans" in page
