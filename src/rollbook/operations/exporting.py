"""Resources of one moment as lines: a head, then users and all else that has no members, then what has."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import orjson

from rollbook.operations.lines import head_line, written
from rollbook.protocol.resolved import ResolvedFilter
from rollbook.protocol.schema import ResourceType
from rollbook.storage.base import Record
from rollbook.storage.sql.store import SqlStore

Wish = tuple[ResourceType, ResolvedFilter | None]
"""Resources of a type, those that match or all."""

EVERY = 500
"""Resources between two words on how far it is."""


@dataclass
class Exported:
    """How many resources of each type were written, and of how many attributes that are never returned were left out."""

    counts: Counter[str] = field(default_factory=Counter)
    left_out: int = 0


async def export(
    store: SqlStore,
    tenant: int,
    wishes: Sequence[Wish],
    write: Callable[[bytes], object],
    progress: Callable[[int], object],
    *,
    secrets: bool,
    settings: Sequence[str] = (),
) -> Exported:
    """Write every resource that is wished for; `write` and `progress` are called in a thread.

    The line of one resource is in memory at a time. With `secrets`, hashes of passwords are in it.
    """
    done = Exported()
    left_out = ", ".join(_left_out(store, wishes, secrets=secrets))
    write(orjson.dumps(head_line(store.epoch, store.catalog, settings, left_out)) + b"\n")

    def see(kind: ResourceType, record: Record) -> None:
        line, is_less = written(record, kind, secrets=secrets)
        write(orjson.dumps(line) + b"\n")
        done.counts[kind.name] += 1
        done.left_out += is_less
        if done.counts.total() % EVERY == 0:
            progress(done.counts.total())

    ordered = sorted(wishes, key=lambda wish: wish[0].memberships is not None)
    await store.scan(tenant, ordered, see)
    progress(done.counts.total())
    return done


def _left_out(store: SqlStore, wishes: Sequence[Wish], *, secrets: bool) -> Iterator[str]:
    """What a tenant has that is not in the file, for whoever finds it one day."""
    yield from ("tokens", "issuers", "clients", "history", "audit log", "links")
    if not secrets:
        yield "hashes of passwords"
    wished = {kind.name for kind, _ in wishes}
    yield from (
        f"resources of type {each.name}" for each in store.catalog.resource_types if each.name not in wished
    )
    if any(chosen is not None for _, chosen in wishes):
        yield "what the filter does not find"
