"""scim-sanity against a real server, in its strict mode: https://pypi.org/project/scim-sanity."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.blackbox.rollbook_process import TOKEN, environment
from tests.judges.reports import Verdict, report
from tests.judges.servers import base, judged

pytestmark = pytest.mark.slow

SETTINGS = ("patch-answer=resource", "references=tolerant")
"""It wants 200 with a body from every PATCH, and adds members that do not exist."""

NOT_OFFERED = ("Agent", "AgenticApplication")
"""Resource types of a draft; it skips them where they are not among /ResourceTypes."""


def test_no_failure(tmp_path: Path, record_property: Verdict) -> None:
    """Every check passes; skipped are those of resource types that are not offered, and no others."""
    with judged(tmp_path, *SETTINGS) as server:
        done = subprocess.run(
            [
                sys.executable, "-m", "scim_sanity", "probe", base(server), "--token", TOKEN,
                "--strict", "--i-accept-side-effects", "--json-output",
            ],
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )  # fmt: skip
    found = json.loads(done.stdout)
    counts = found["summary"]
    names = ("passed", "failed", "warnings", "skipped")
    said = ", ".join(f"{counts[name]} {name}" for name in names)
    report(record_property, "scim-sanity", f"{said} ({found['mode']} mode, --set {' --set '.join(SETTINGS)})")
    odd = [each for each in found["results"] if each["status"] not in {"pass", "skip"}]
    assert odd == []
    assert (counts["failed"], counts["warnings"], counts["errors"], done.returncode) == (0, 0, 0, 0)
    skipped = [each for each in found["results"] if each["status"] == "skip"]
    assert [each for each in skipped if not each["name"].startswith(NOT_OFFERED)] == []
    assert counts["passed"] > 25
