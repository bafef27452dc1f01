"""The files of deploy/: their syntax where no engine runs, and the good practice they stand for."""

import configparser
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from typer.main import get_command

from rollbook.cli.main import app

FOLDER = Path(__file__).parents[2] / "deploy"
IMAGE = (FOLDER / "Containerfile").read_text("utf-8")
UNIT = (FOLDER / "rollbook.service").read_text("utf-8")

INSTRUCTIONS = {
    "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "RUN", "STOPSIGNAL",
    "USER", "VOLUME", "WORKDIR",
}  # fmt: skip
SERVICE = {
    "build", "cap_drop", "command", "depends_on", "environment", "healthcheck", "image", "networks", "pids_limit",
    "ports", "read_only", "restart", "secrets", "security_opt", "stop_grace_period", "tmpfs", "volumes",
}  # fmt: skip


def _instructions() -> list[tuple[str, str]]:
    """Name and rest of each instruction, continued lines joined, comments left out."""
    lines = [line for line in IMAGE.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def test_what_is_installed_is_compiled() -> None:
    """A container keeps no bytecode of its own, so that all it starts from must be compiled when it is built."""
    installing = [rest for name, rest in _instructions() if name == "RUN" and "uv sync" in rest]
    assert [("--compile-bytecode" in rest) for rest in installing] == [True]


def _last_stage() -> list[tuple[str, str]]:
    instructions = _instructions()
    begin = max(place for place, (name, _) in enumerate(instructions) if name == "FROM")
    return instructions[begin:]


def _compose() -> dict[str, Any]:
    return dict(YAML(typ="safe").load(FOLDER / "compose.yaml"))


def _options(command: str) -> set[str]:
    found = get_command(app).commands[command]  # type: ignore[attr-defined]  # Typer's group has them
    return {name for parameter in found.params for name in (*parameter.opts, *parameter.secondary_opts)}


def test_the_containerfile_is_well_formed() -> None:
    """Each instruction is one that engines know, and lists are JSON."""
    instructions = _instructions()
    assert instructions[0][0] == "FROM"
    assert {name for name, _ in instructions} <= INSTRUCTIONS
    for name, rest in instructions:
        if rest.startswith("[") or "CMD [" in rest:
            assert json.loads(rest[rest.index("[") :]), name


def test_the_container_runs_as_nobody() -> None:
    """Not root, by number so that engines can tell; asked whether it is ready; ended as the server ends."""
    last = dict(_last_stage())
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", last["USER"])
    assert "/readyz" in last["HEALTHCHECK"]
    assert (last["STOPSIGNAL"], last["ENTRYPOINT"]) == ("SIGTERM", '["rollbook"]')
    assert not re.search(r"(?i)(password|secret|token)\s*=", IMAGE)
    command, *options = json.loads(last["CMD"])
    assert {option for option in options if option.startswith("--")} <= _options(command)


def test_the_compose_file_is_well_formed() -> None:
    """Keys that engines know; each network, volume and secret that is used is declared, and so the other way round."""
    compose = _compose()
    assert set(compose) == {"name", "services", "networks", "volumes", "secrets"}
    for name, service in compose["services"].items():
        assert set(service) <= SERVICE, name
        assert set(service.get("depends_on", ())) <= set(compose["services"])
    every = compose["services"].values()
    for kind in ("networks", "secrets"):
        assert {used for service in every for used in service.get(kind, ())} == set(compose[kind])
    mounted = {volume.partition(":")[0] for service in every for volume in service.get("volumes", ())}
    assert mounted == set(compose["volumes"])


def test_the_compose_file_keeps_to_good_practice() -> None:
    """Secrets are files; ours cannot write, nor gain rights; nothing is open to other machines; options are ours."""
    compose = _compose()
    for name in ("migrate", "rollbook"):
        service = compose["services"][name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert "no-new-privileges:true" in service["security_opt"]
    for service in compose["services"].values():
        for variable in service.get("environment", {}):
            assert variable.endswith("_FILE") or not re.search("(?i)password|token|url", variable)
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    command, *options = compose["services"]["rollbook"]["command"]
    assert {option.partition("=")[0] for option in options} <= _options(command)
    assert compose["networks"]["inside"]["internal"] is True
    assert all(set(secret) == {"file"} for secret in compose["secrets"].values())


def _unit() -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names of systemd have capitals
    parser.read_string(UNIT)
    return parser


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DynamicUser", "yes"),
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "yes"),
        ("PrivateTmp", "yes"),
        ("CapabilityBoundingSet", ""),
        ("UMask", "0077"),
        ("StateDirectoryMode", "0700"),
    ],
)
def test_the_unit_is_hardened(name: str, value: str) -> None:
    """What keeps a process that was taken over from the rest of the machine is in the unit."""
    assert _unit()["Service"][name] == value


def test_the_unit_is_what_systemd_takes(tmp_path: Path) -> None:
    """systemd finds nothing wrong with it, and calls its exposure OK."""
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("needs systemd-analyze")
    unit = tmp_path / "rollbook.service"
    unit.write_text(UNIT.replace("/opt/rollbook/bin/rollbook serve", "/bin/true"), "utf-8")
    environment = {**os.environ, "SYSTEMD_COLORS": "0"}
    for command in (["verify", "--man=no"], ["security", "--offline=true", "--threshold=30", "--no-pager"]):
        ran = subprocess.run(
            [tool, *command, str(unit)], capture_output=True, text=True, check=False, env=environment
        )
        about_ours = [
            line for line in ran.stderr.splitlines() if "rollbook" in line and "Overall" not in line
        ]
        assert (ran.returncode, about_ours) == (0, []), ran.stdout[-3000:] + ran.stderr
