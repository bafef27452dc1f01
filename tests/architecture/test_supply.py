"""What Rollbook builds on: locked, under licences that are allowed, and listed (T-93)."""

import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from tests.supply import release
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


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="apt-get install openssh-client")
@pytest.mark.parametrize("change", [None, "a byte", "the list", "another purpose"])
def test_t_93_a_release_is_signed(tmp_path: Path, change: str | None) -> None:
    """What is published stands in one list of sums with a signature; whoever changes a file or the list is found out."""
    key, place, allowed = tmp_path / "key", tmp_path / "dist", tmp_path / "allowed_signers"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    allowed.write_text(f"releases {key.with_suffix('.pub').read_text()}")
    place.mkdir()
    for name in ("rollbook.whl", "rollbook.cdx.json"):
        (place / name).write_text(name)
    release.sign(release.list_sums(place), key)
    release.sign(release.list_sums(place), key)  # once more, without a question

    if change in {"a byte", "the list"}:
        (place / "rollbook.whl").write_text("other")
    if change == "the list":
        release.list_sums(place)
    purpose = "another" if change == "another purpose" else release.PURPOSE
    verify = ["ssh-keygen", "-Y", "verify", "-f", str(allowed), "-I", "releases", "-n", purpose]
    with (place / release.SUMS).open("rb") as sums:
        signature = place / f"{release.SUMS}.sig"
        signed = subprocess.run([*verify, "-s", str(signature)], stdin=sums, check=False, capture_output=True)
    summed = subprocess.run(
        ["sha256sum", "--check", release.SUMS], cwd=place, check=False, capture_output=True
    )
    assert summed.stdout.decode().count("OK") == (1 if change == "a byte" else 2)
    assert (signed.returncode == 0, summed.returncode == 0) == {
        None: (True, True),
        "a byte": (True, False),
        "the list": (False, True),
        "another purpose": (False, True),
    }[change]


def test_t_93_only_what_has_a_tag_is_released(tmp_path: Path) -> None:
    """A tree with changes, or a commit that is no version, is refused with what to do."""

    def git(*words: str) -> None:
        who = ["-c", "user.name=a", "-c", "user.email=a@x.example"]
        subprocess.run(["git", *who, *words], cwd=tmp_path, check=True, capture_output=True)

    git("init")
    (tmp_path / "file").write_text("text")
    assert "Commit it" in (release.unready(tmp_path, "1.0") or "")
    git("add", ".")
    git("commit", "-m", "first")
    assert "has no tag v1.0" in (release.unready(tmp_path, "1.0") or "")
    git("tag", "v1.0")
    assert release.unready(tmp_path, "1.0") is None
    assert "has no tag v1.1" in (release.unready(tmp_path, "1.1") or "")
