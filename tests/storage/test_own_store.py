"""The suite for stores of others, as the documentation shows it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "stores.md"


@pytest.mark.slow
def test_the_example_runs(tmp_path: Path) -> None:
    """A file of a factory has every group of the suite, and the store in memory passes them."""
    found = re.search(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert found is not None
    (tmp_path / "test_store.py").write_text(found[1])
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_store.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stdout
    assert int(re.findall(r"(\d+) passed", done.stdout)[0]) > 100


def test_every_class_is_told() -> None:
    """The page names the classes of the suite, all of them."""
    from rollbook.testing import store_suite

    text = PAGE.read_text("utf-8")
    assert [name for name in store_suite.__all__ if name.startswith("Test") and f"`{name}`" not in text] == []
