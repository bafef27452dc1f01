"""A real server process with a resource type of our own beside User and Group."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.blackbox.rollbook_process import Server, serving

from rollbook.protocol.values import JsonObject


@contextmanager
def judged(home: Path, *settings: str, definitions: Sequence[JsonObject] = ()) -> Iterator[Server]:
    """A server told `NAME=VALUE` settings, with these definitions."""
    directory = home / "schemas"
    directory.mkdir()
    for number, definition in enumerate(definitions):
        (directory / f"{number}.json").write_text(json.dumps(definition), "utf-8")
    told = [word for setting in settings for word in ("--set", setting)]
    with serving(home, "--schemas", "schemas", *told) as server:
        yield server


def base(server: Server) -> str:
    """The base URI it is served at."""
    return f"http://127.0.0.1:{server.port}/scim/v2"
