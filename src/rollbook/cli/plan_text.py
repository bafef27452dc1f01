"""Values and lines of a plan as text. Pure."""

import json
from collections.abc import Collection, Iterable
from datetime import UTC, datetime

from rollbook.protocol.values import JsonValue
from rollbook.provisioning.differences import Difference
from rollbook.provisioning.items import Action
from rollbook.provisioning.masking import shown
from rollbook.provisioning.model import ObjectMapping

SYMBOLS = {
    Action.CREATE: "+",
    Action.CHANGE: "~",
    Action.COMPLETE: "~",
    Action.DISABLE: "-",
    Action.DELETE: "-",
    Action.KEEP: "=",
    Action.NOTHING: "=",
    Action.PARK: "!",
    Action.WAIT: "!",
}
"""What a line begins with."""

_LONGEST = 200


def printable(text: str) -> str:
    """The text with everything that a terminal would act on, or nobody would see, written as an escape (T-89)."""
    return "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in text)


def difference_rows(differences: Iterable[Difference], sensitive: Collection[str] = ()) -> list[str]:
    """One row for each attribute: the new value alone where there was none."""
    rows = []
    for item in differences:
        name = item.path._replace(urn=None).text
        old, new = (_text(shown(item, value, sensitive)) for value in (item.old, item.new))
        rows.append(f"{name:<20} {new}" if item.old is None else f"{name:<20} {old} → {new}")
    return rows


def mapped_names(mapping: ObjectMapping) -> list[str]:
    """The attributes that a mapping fills, each once, without the URNs of extensions."""
    return list(dict.fromkeys(item.path._replace(urn=None).text for item in mapping.assignments))


def moment(milliseconds: int) -> str:
    """A time for people, in their own zone."""
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC).astimezone():%Y-%m-%d %H:%M:%S}"


def _text(value: JsonValue) -> str:
    if value is None:
        return "(none)"
    text = printable(json.dumps(value, ensure_ascii=False))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
