"""Each example of docs/client.md runs, in order, as in `python -m asyncio`."""

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from rollbook.testing.http_server import served
from rollbook.testing.scripted_target import Profile, ScriptedTarget

pytestmark = pytest.mark.anyio

PAGE = (Path(__file__).parents[2] / "docs" / "client.md").read_text("utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


async def test_the_examples(capsys: pytest.CaptureFixture[str]) -> None:
    """They end with what they say, on a service with Bulk and ETags."""
    target = ScriptedTarget(Profile(etags=True, bulk_operations=10))
    with served(target) as url:
        names: dict[str, Any] = {}
        for text in EXAMPLES:
            code = compile(
                text.replace("https://example.com/scim", url),
                "client.md",
                "exec",
                ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
            )
            done = eval(code, names)
            if inspect.isawaitable(done):
                await done
    shown = capsys.readouterr().out
    assert "DELETE 404 nobody no resource nobody" in shown
    assert sorted(item["userName"] for item in target.resources["Users"].values()) == ["ada", "grace"]
    assert target.named("Groups", "Navy")["members"] == [{"value": target.named("Users", "grace")["id"]}]
    assert target.named("Users", "ada")["emails"][0]["value"] == "ada@example.com"


def test_every_method_is_written_about() -> None:
    """Each public method of the client, and each thing the package offers to callers, is on the page."""
    from rollbook.client import ScimClient

    methods = [
        name for name, _ in inspect.getmembers(ScimClient, inspect.isfunction) if not name.startswith("_")
    ]
    assert [name for name in methods if not re.search(rf"\b{name}\b", PAGE)] == []
