"""Items as they are kept: what was wanted and sent, masked, and what came back (I-12, T-68). Pure."""

from rollbook.protocol.values import JsonObject
from rollbook.provisioning.items import Item
from rollbook.provisioning.masking import shown
from rollbook.storage.runs import Entry


def changes_of(item: Item) -> list[JsonObject]:
    """The differences of an item, each with the old and the new value as people may see them."""
    return [
        {
            "attribute": one.attribute,
            "old": shown(one, one.old, item.sensitive),
            "new": shown(one, one.new, item.sensitive),
        }
        for one in item.differences
    ]


def entry_of(run: int, item: Item, now: int) -> Entry | None:
    """What is kept of an item; nothing where nothing was different."""
    if not item.changes:
        return None
    told: JsonObject = {
        "label": item.label,
        "reason": item.reason,
        "changes": changes_of(item),
        "added": item.added,
        "removed": item.removed,
        "failure": item.failure,
        "hint": item.hint,
        "next": item.next_try,
    }
    return Entry(run, now, item.action.value, {name: value for name, value in told.items() if value})
