"""Deliveries as traces have them: one span each, by target and type, with nobody's id or value."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.provisioning.world import target, world

from rollbook.client.traced import no_span
from rollbook.provisioning.worker import Worker

pytestmark = pytest.mark.anyio


async def test_each_delivery_is_a_span(tmp_path: Path) -> None:
    """A span begins and ends with each delivery; its name and attributes are the target's name and the type."""
    begun: list[tuple[str, dict[str, str]]] = []
    ended: list[str] = []

    @contextmanager
    def span(name: str, /, **about: str) -> Iterator[object]:
        begun.append((name, about))
        with no_span(name) as tell:
            yield tell
        ended.append(name)

    async with world(tmp_path) as hub:
        for name in ("marker-ada", "marker-alan"):
            await hub.hire(name)
        engine = replace(hub.engine, span=span)  # type: ignore[arg-type]  # what a context manager of any kind is
        await Worker(engine, hub.connect).run([target()])
    assert begun == [("deliver app", {"rollbook.target": "app", "rollbook.type": "User"})] * 2
    assert ended == ["deliver app"] * 2
