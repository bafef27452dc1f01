"""What Rollbook builds on: locked, under licences that are allowed, and listed (T-93)."""

import tomllib
from pathlib import Path

import pytest
from tests.supply.licences import permits, refused
from tests.supply.sbom import bill

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("expression", "is_fine"),
    [
        ("MIT", True),
        ("Apache-2.0 OR GPL-3.0-only", True),
        ("GPL-3.0-only OR (MIT AND BSD-3-Clause)", True),
        ("MIT AND GPL-3.0-only", False),
        ("(MIT OR GPL-3.0-only) AND AGPL-3.0-only", False),
        ("LGPL-3.0-only", False),
        ("MIT OR", False),
        ("MIT GPL-3.0-only", False),
        ("Proprietary", False),
        ("", False),
    ],
)
def test_t_93_expressions(expression: str, is_fine: bool) -> None:
    """A licence is allowed if a way leads through it by allowed ones alone; what cannot be read is none."""
    assert permits(expression) == is_fine


def test_t_93_licences() -> None:
    """Everything that is installed here is under a licence of the list."""
    assert refused() == []


def test_t_93_everything_is_locked_by_its_hash() -> None:
    """Each file of each package of the lock has a hash, and comes from the one registry."""
    packages = tomllib.loads((ROOT / "uv.lock").read_text("utf-8"))["package"]
    foreign = [each for each in packages if each["name"] != "rollbook"]
    assert len(foreign) > 100
    for each in foreign:
        assert each["source"] == {"registry": "https://pypi.org/simple"}, each["name"]
        files = [*each.get("wheels", ()), *([each["sdist"]] if "sdist" in each else [])]
        assert files
        assert all(file["hash"].startswith("sha256:") for file in files), each["name"]


def test_t_93_the_bill_names_everything() -> None:
    """Each requirement is in the list of a release, with a hash or a version, and what is for development is not."""
    said = bill()
    assert (said["bomFormat"], said["specVersion"]) == ("CycloneDX", "1.5")
    assert said["metadata"]["component"]["version"]
    names = {component["name"] for component in said["components"]}
    assert {"starlette", "apsw", "psycopg", "opentelemetry-sdk"} <= names
    assert not names & {"pytest", "mypy", "ruff"}
    assert all(component["version"] for component in said["components"])
    assert sum("licenses" in component for component in said["components"]) > 20
