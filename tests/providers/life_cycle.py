"""Life cycles of clients: requests as they send them, and what they need to see. README.md says how they are written."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rollbook.testing.asgi import AsgiCaller, Response

BASE = "/scim/v2"
HERE = Path(__file__).parent

PHASES = (
    "connection test", "lookup", "create", "conflict", "update", "disable", "enable", "group create", "add member",
    "remove member", "rename", "delete group", "delete user", "paging import",
)  # fmt: skip
"""What every life cycle has steps of, or says why it has none."""


class Deviation(AssertionError):
    """A step was not answered as the client needs it."""

    def __init__(self, step: "Step", answer: Response, problems: list[str]) -> None:
        super().__init__(f"{step}: {'; '.join(problems)}\n→ {answer.status} {answer.body.decode()[:600]}")
        self.step = step
        self.answer = answer


@dataclass(frozen=True)
class Step:
    """One request of a life cycle, and what its answer shows."""

    phase: str
    request: str
    status: int
    body: Any = None
    shows: Any = None
    keep: Mapping[str, str] = field(default_factory=dict)
    quirks: tuple[str, ...] = ()
    about: str = ""

    def __str__(self) -> str:
        """The step as a failing test shows it."""
        return f"{self.phase}: {self.request}"


@dataclass(frozen=True)
class LifeCycle:
    """Everything one file says."""

    name: str
    client: str
    about: str
    headers: Mapping[str, str]
    steps: tuple[Step, ...]
    leaves_out: Mapping[str, str]

    def __str__(self) -> str:
        """The name of its file."""
        return self.name

    @property
    def quirks(self) -> list[str]:
        """The quirks that its steps name, each once."""
        return list(dict.fromkeys(quirk for step in self.steps for quirk in step.quirks))


def read(file: Path) -> LifeCycle:
    """The life cycle in a file; what is not written as it should be is a TypeError."""
    given = json.loads(file.read_text("utf-8"))
    steps = tuple(Step(**{**step, "quirks": tuple(step.get("quirks", ()))}) for step in given.pop("steps"))
    assert given["about"]
    name = f"{file.parent.name}/{file.stem}"
    return LifeCycle(name=name, steps=steps, leaves_out=given.pop("leaves_out", {}), **given)


LIFE_CYCLES = [read(file) for file in sorted(HERE.glob("*/*.json"))]


async def play(life_cycle: LifeCycle, call: AsgiCaller) -> None:
    """Send every step, one after another.

    Raises:
        Deviation: at the first that is answered otherwise.
    """
    known: dict[str, str] = {}
    imported: list[str] = []
    headers = {name.lower(): value for name, value in life_cycle.headers.items()}
    for step in life_cycle.steps:
        method, _, target = _filled(step.request, known).partition(" ")
        body = _filled(step.body, known)
        answer = await call(method, BASE + target, body, headers)
        shown: Any = json.loads(answer.body) if answer.body else None
        problems = list(_differences(_filled(step.shows, known), shown, "")) if step.shows is not None else []
        if answer.status != step.status:
            problems.insert(0, f"status {answer.status}, not {step.status}")
        if problems:
            raise Deviation(step, answer, problems)
        known |= {name: str(shown[part]) for name, part in step.keep.items()}
        if step.phase == "paging import":
            imported += [resource["id"] for resource in shown["Resources"]]
    assert len(imported) == len(set(imported)), "an import sees each resource once"


def _filled(value: Any, known: Mapping[str, str]) -> Any:
    """The value with `${name}` filled in, at any depth."""
    if isinstance(value, str):
        return re.sub(r"\$\{(\w+)\}", lambda found: known[found[1]], value)
    if isinstance(value, dict):
        return {name: _filled(inner, known) for name, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, known) for inner in value]
    return value


def _differences(wanted: Any, shown: Any, where: str) -> Iterator[str]:
    """How an answer differs from what has to be in it: more members are fine, more values are not."""
    if wanted == "*":
        if shown is None:
            yield f"{where} is not there"
    elif isinstance(wanted, dict) and isinstance(shown, dict):
        for name, inner in wanted.items():
            yield from _differences(inner, shown.get(name), f"{where}.{name}")
    elif isinstance(wanted, list) and isinstance(shown, list) and len(wanted) == len(shown):
        for place, inner in enumerate(wanted):
            yield from _differences(inner, shown[place], f"{where}[{place}]")
    elif wanted != shown or type(wanted) is not type(shown):
        yield f"{where} is {json.dumps(shown)[:200]}, not {json.dumps(wanted)}"
