"""`make release KEY=FILE`: what is published, all of it named in one signed list of sums (T-93).

The signature is one of OpenSSH, which every system has: who wants to check it needs nothing of ours.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.supply import sbom

import rollbook

ROOT = Path(__file__).parents[2]
SUMS = "SHA256SUMS"
PURPOSE = "rollbook-release"
"""The namespace of the signature: what was signed for another purpose does not count."""


def unready(root: Path, version: str) -> str | None:
    """Why nothing can be released from this tree; None if it can."""
    said = _git(root, "status", "--porcelain")
    if said:
        return f"the work tree differs from the commit:\n{said}\nCommit it, or take it away."
    if f"v{version}" not in _git(root, "tag", "--points-at", "HEAD").split():
        return f"the commit has no tag v{version}: git tag -s v{version}, once the changelog is right."
    return None


def build(root: Path, place: Path) -> None:
    """The source and the wheel, the same bytes from the same commit wherever they are built."""
    command = [str(Path(sys.executable).parent / "uv"), "build", "--quiet", "--no-create-gitignore"]
    when = _git(root, "log", "-1", "--format=%ct")
    environment = os.environ | {"SOURCE_DATE_EPOCH": when}
    subprocess.run([*command, "--out-dir", str(place)], cwd=root, env=environment, check=True)


def list_sums(place: Path) -> Path:
    """Write what `sha256sum --check` reads, of every file there; where it stands."""
    files = sorted(each for each in place.iterdir() if not each.name.startswith(SUMS))
    lines = [f"{hashlib.sha256(each.read_bytes()).hexdigest()}  {each.name}\n" for each in files]
    sums = place / SUMS
    sums.write_text("".join(lines), "utf-8")
    return sums


def sign(sums: Path, key: Path) -> None:
    """Sign the list with a key of OpenSSH, or with the agent if `key` is a public one; beside it as `SHA256SUMS.sig`."""
    sums.with_name(f"{SUMS}.sig").unlink(missing_ok=True)  # ssh-keygen would ask
    subprocess.run(["ssh-keygen", "-Y", "sign", "-f", str(key), "-n", PURPOSE, str(sums)], check=True)


def _git(root: Path, *words: str) -> str:
    return subprocess.run(
        ["git", *words], cwd=root, check=True, capture_output=True, text=True
    ).stdout.strip()


def main() -> int:
    """Make it in `dist/`, from nothing; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--key", type=Path, required=True, help="the key that signs: a file of OpenSSH")
    key: Path = parser.parse_args().key
    if not key.is_file():
        print(
            f"release: there is no key {key}. Name one: make release KEY=~/.ssh/id_ed25519", file=sys.stderr
        )
        return 2
    if why := unready(ROOT, rollbook.__version__):
        print(f"release: {why}", file=sys.stderr)
        return 1
    place = ROOT / "dist"
    shutil.rmtree(place, ignore_errors=True)
    build(ROOT, place)
    sbom.main()
    sign(list_sums(place), key)
    print("\n".join(sorted(f"dist/{each.name}" for each in place.iterdir())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
