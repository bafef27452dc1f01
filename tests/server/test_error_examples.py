"""The error reference shows what the server really says."""

import re
from pathlib import Path
from typing import Any

import pytest
from tests.spec.bodies import USERS, patch, user, where

from rollbook.testing.asgi import AsgiCaller

pytestmark = pytest.mark.anyio

PAGE = (Path(__file__).parents[2] / "docs" / "errors.md").read_text("utf-8")

ASKED: dict[str, tuple[str, str, Any]] = {
    "invalidFilter": ("GET", f"{USERS}?filter=userName%20equals%20%22x%22", None),
    "invalidPath": ("PATCH", "{ann}", patch({"op": "add", "path": "nosuch", "value": 1})),
    "invalidSyntax": ("PATCH", "{ann}", patch()),
    "invalidValue": ("PATCH", "{ann}", patch({"op": "replace", "path": "active", "value": "maybe"})),
    "noTarget": (
        "PATCH",
        "{ann}",
        patch({"op": "replace", "path": 'emails[type eq "x"]', "value": {"display": "y"}}),
    ),
    "mutability": ("PATCH", "{ann}", patch({"op": "add", "path": "groups", "value": []})),
    "invalidVers": ("GET", "/scim/v3/Users", None),
    "404": ("GET", f"{USERS}/x", None),
    "uniqueness": ("POST", USERS, user("ann")),
}


@pytest.mark.parametrize("kind", ASKED)
async def test_the_example_is_what_is_said(call: AsgiCaller, kind: str) -> None:
    """Each example of a `detail` that can be had by one request is had by it, word by word."""
    made = (await call("POST", USERS, user("ann"))).json
    method, target, body = ASKED[kind]
    answer = await call(method, target.replace("{ann}", where(made)), body)
    (row,) = re.findall(rf"^\| \d*[^|]*`?{kind}`? \| ([^|]+) \|", PAGE, re.MULTILINE)
    assert answer.json["detail"] == row
