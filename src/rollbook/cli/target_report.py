"""Which attributes of whom a target holds: from the links and the mapping, streamed."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from rollbook.cli.plan_text import mapped_names, printable
from rollbook.cli.provision_output import console_of, line_on
from rollbook.cli.transfer import FORMULA
from rollbook.protocol.values import JsonObject, JsonValue
from rollbook.provisioning.differences import Difference, value_at
from rollbook.provisioning.masking import shown
from rollbook.provisioning.model import MappingError
from rollbook.provisioning.wanted import Kind, kinds_of
from rollbook.provisioning.work import read_wish

if TYPE_CHECKING:
    from rollbook.desk.desk import Desk
    from rollbook.provisioning import model

_PAGE = 500


async def rows(desk: "Desk", target: "model.Target", *, values: bool) -> AsyncIterator[JsonObject]:
    """One row for each account: whose it is, its state, and the attributes it holds, as we last wanted them."""
    engine = desk.engine
    progress = await engine.links.target(engine.tenant, target.name)
    kinds, after = kinds_of(target, engine.catalog), 0
    while progress and (page := await engine.links.accounts(engine.tenant, progress.number, after, _PAGE)):
        after = page[-1].key
        for link in page:
            kind = kinds.get(link.resource_type)
            if kind is None:
                continue
            held, label = await _held(desk, target, kind, link.id)
            yield {
                "type": link.resource_type,
                "id": link.id,
                "label": label or link.id,
                "account": link.remote_id,
                "state": link.state.value,
                "disabled": link.disabled,
                "attributes": held if values else sorted(held),
            }


async def _held(
    desk: "Desk", target: "model.Target", kind: Kind, id: str
) -> tuple[dict[str, JsonValue], str | None]:
    try:
        wish = await read_wish(desk.engine, kind, id)
    except MappingError:
        return {}, None
    document = wish.document or {}
    found = {}
    for item in kind.managed:
        value = value_at(document, item.path)
        if value is not None:
            name = item.path._replace(urn=None).text
            found[name] = shown(Difference(item.path, None, value), value, target.sensitive)
    return found, wish.label


async def print_json_lines(found: AsyncIterator[JsonObject]) -> None:
    """One JSON object for each account."""
    async for row in found:
        print(json.dumps(row, ensure_ascii=False))


async def print_csv(
    found: AsyncIterator[JsonObject], target: "model.Target", writer: Any, desk: "Desk"
) -> None:
    """One line for each account, one column for each attribute: its value, or x."""
    names: list[str] = []
    for kind in kinds_of(target, desk.engine.catalog).values():
        names += [name for name in mapped_names(kind.mapping) if name not in names]
    tops = list(dict.fromkeys(name.partition(".")[0] for name in names))
    writer.writerow(["type", "id", "label", "account", "state", *tops])
    async for row in found:
        held = row["attributes"]
        cells = [
            (json.dumps(held[top], ensure_ascii=False) if isinstance(held, dict) else "x")
            if top in held
            else ""
            for top in tops
        ]
        told = [row["type"], row["id"], row["label"], row["account"], row["state"], *cells]
        writer.writerow([_as_text(cell) for cell in told])


def _as_text(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula: what begins like one gets an apostrophe in front."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell


async def print_text(found: AsyncIterator[JsonObject], target: "model.Target", desk: "Desk") -> None:
    """What leaves, then who is there, then how many accounts hold which attribute."""
    out = console_of()
    line_on(out, f"{target.name} ({target.url})", "bold")
    for name, kind in kinds_of(target, desk.engine.catalog).items():
        names = [*mapped_names(kind.mapping), *(["members"] if kind.members else [])]
        line_on(out, f"  of a {name} it may hold {', '.join(names)}; nothing else", "dim")
    counts: Counter[str] = Counter()
    accounts = 0
    async for row in found:
        accounts += 1
        counts.update(row["attributes"])
        off = "  (switched off)" if row["disabled"] else ""
        held = row["attributes"]
        told = json.dumps(held, ensure_ascii=False) if isinstance(held, dict) else ", ".join(held)
        line_on(out, f"  {row['type']:<6} {printable(row['label']):<28} {printable(told)}{off}")
    line_on(out, "")
    line_on(out, f"{accounts} accounts", "bold")
    for name, number in counts.most_common():
        line_on(out, f"  {name:<28} {number}")
