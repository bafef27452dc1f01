"""What a judge said, in one line that stands in the summary of the test run."""

from collections.abc import Callable
from importlib.metadata import version

Verdict = Callable[[str, object], None]
"""pytest's `record_property`."""


def report(record: Verdict, package: str, said: str) -> None:
    """Put a line such as `scim-sanity 0.7.4: 27 passed, 0 failed` into the summary."""
    record("judge", f"{package} {version(package)}: {said}")
