"""Fixtures every test may use."""

import pytest
from hypothesis import HealthCheck, settings

# Timings are never asserted: a busy machine must not fail a property.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio, as the product does."""
    return "asyncio"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what the judges that are not ours have counted (`tests/judges`)."""
    reports = (report for kind in terminalreporter.stats.values() for report in kind)
    properties = (each for report in reports for each in getattr(report, "user_properties", ()))
    lines = sorted({str(said) for name, said in properties if name == "judge"})
    if lines:
        terminalreporter.section("judges that are not ours")
    for line in lines:
        terminalreporter.write_line(line)


def pytest_addoption(parser: pytest.Parser) -> None:
    """A longer search than fits into every run."""
    parser.addoption("--thorough", action="store_true", help="let schemathesis search for minutes")


@pytest.fixture
def thorough(request: pytest.FixtureRequest) -> bool:
    """Whether to search for long."""
    return bool(request.config.getoption("--thorough"))
