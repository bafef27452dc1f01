"""Secrets that tests use have a look of their own, and are looked for in everything that is logged or said meanwhile (T-32, I-13).

Part of every run: a test whose log, or whose server's output, shows one fails, whatever else it is about. A test may say
`leaks` where showing one is what it is about.
"""

import re
from collections.abc import Generator

import pytest

KNOWN = (
    "a-bootstrap-token",
    "the-token-of-these-tests",
    "MARKED-",
    "marker-secret",
    "marker-of-somebody-password",
    "correct horse",
)
"""Tokens and passwords that tests write."""

SECRET = re.compile(
    "|".join(
        (
            *map(re.escape, KNOWN),
            r"rb_live_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}",
            r"rb_key_[\w=-]{40,}",
            r"\$argon2id?\$",
            r"-----BEGIN [A-Z ]*PRIVATE KEY",
        )
    )
)
"""Those, and what has the look of one: our tokens, hashes of passwords, keys."""


def leaks(text: str) -> list[str]:
    """The beginnings of what stands in a text and must not."""
    return sorted({text[max(0, found.start() - 40) : found.end()] for found in SECRET.finditer(text)})


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Look through what a test, and what it ran in its own process, has logged or written."""
    report = yield
    if report.passed and item.get_closest_marker("leaks") is None:
        found = [
            each for name, text in report.sections if name.startswith("Captured") for each in leaks(text)
        ]
        if found:
            report.outcome = "failed"
            report.longrepr = f"secrets were logged or printed (tests/leaks.py): {found}"
    return report
