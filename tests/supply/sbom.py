"""`make sbom`: what a release is made of, as CycloneDX 1.5 with hashes and licences."""

import json
import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from tests.supply.licences import licence

import rollbook

ROOT = Path(__file__).parents[2]


def bill() -> dict[str, Any]:
    """What `uv.lock` says of everything that Rollbook needs or may be asked to use, without what is for development."""
    command = [str(Path(sys.executable).parent / "uv"), "export", "--locked", "--offline", "--quiet"]
    done = subprocess.run(
        [
            *command,
            "--format",
            "cyclonedx1.5",
            "--no-dev",
            "--all-extras",
            "--preview-features",
            "sbom-export",
        ],
        cwd=ROOT,
        env=os.environ | {"UV_PROJECT_ENVIRONMENT": sys.prefix},
        capture_output=True,
        text=True,
        check=True,
    )
    said: dict[str, Any] = json.loads(done.stdout)
    about = said["metadata"]["component"]
    about["version"] = rollbook.__version__
    about["licenses"] = [{"license": {"id": "Apache-2.0"}}]
    for component in said["components"]:
        try:
            component["licenses"] = [{"expression": licence(distribution(component["name"]))}]
        except PackageNotFoundError:  # one for another system
            continue
    return said


def main() -> None:
    """Write it beside the release."""
    file = ROOT / "dist" / f"rollbook-{rollbook.__version__}.cdx.json"
    file.parent.mkdir(exist_ok=True)
    said = bill()
    file.write_text(json.dumps(said, indent=1) + "\n", "utf-8")
    print(f"{file.relative_to(ROOT)}: {len(said['components'])} packages")


if __name__ == "__main__":
    main()
