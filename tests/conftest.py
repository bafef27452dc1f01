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
