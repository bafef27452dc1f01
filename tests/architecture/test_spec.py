"""Every row of the specification that must have a test has one; `make spec` shows which."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from spec.names import named
from spec.table import closing, shortcomings

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_every_row_that_must_be_tested_is(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> None:
    """What `make spec` says: no MUST, MUST NOT or HOUSE without a test, and 95 % of SHOULD with one."""
    tested = named(request.session.items)
    if not shortcomings(tested):
        record_property("spec", closing(tested))
        return
    # Perhaps only a part of the tests was asked for: it collects them all, and says what is short.
    done = subprocess.run(
        [sys.executable, "-m", "spec"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
