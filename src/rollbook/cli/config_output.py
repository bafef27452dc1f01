"""What `rollbook config show` prints: YAML that could stand in the file."""

import json
import re
from collections.abc import Iterator, Sequence

from rollbook.cli.plan_text import printable
from rollbook.protocol.values import JsonValue
from rollbook.provisioning.config.document import Place
from rollbook.provisioning.config.effective import Setting

_WIDEST = 72
_PLAIN = re.compile(r"[A-Za-z/$][\w./${}@+-]*\Z", re.ASCII)
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
"""What some reader of YAML does not take for text."""


def origins_of(settings: Sequence[Setting]) -> dict[str, str]:
    """Place, steps joined by dots → where the value is from."""
    return {".".join(map(str, one.place)): one.origin for one in settings}


def lines_of(settings: Sequence[Setting], *, origin: bool) -> Iterator[str]:
    """The settings as YAML; with `origin`, each value with where it is from behind it."""
    written = list(_written(settings))
    width = min(max((len(text) for text, _ in written), default=0), _WIDEST)
    for text, told in written:
        yield f"{text:<{width}}  # {printable(told)}" if origin and told else text


def _written(settings: Sequence[Setting]) -> Iterator[tuple[str, str]]:
    before: Place = ()
    for one in settings:
        shared = 0
        while shared < len(before) and before[shared] == one.place[shared]:
            shared += 1
        hyphen = ""
        for depth in range(shared, len(one.place)):
            step, last = one.place[depth], depth == len(one.place) - 1
            indent = "  " * depth
            if isinstance(step, int):
                hyphen = f"{indent}- "
                if last:
                    yield f"{hyphen}{_text(one.value)}", one.origin
                continue
            start, hyphen = (hyphen or indent), ""
            yield f"{start}{_text(step)}:{f' {_text(one.value)}' if last else ''}", one.origin if last else ""
        before = one.place


def _text(value: JsonValue) -> str:
    if isinstance(value, str) and _PLAIN.match(value) and value.lower() not in _WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)
