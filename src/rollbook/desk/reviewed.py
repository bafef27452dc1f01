"""What a plan was made of that somebody has agreed to; nothing else may be acted on (I-27)."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from dataclasses import dataclass

from rollbook.desk.errors import DeskError
from rollbook.desk.plan_lines import TOLD
from rollbook.provisioning import model
from rollbook.provisioning.wanted import kinds_of, record_label
from rollbook.storage.base import LogEntry
from rollbook.storage.sql.store import SqlStore

_PAGE = 500

ANEW = "make a new plan and look at it: rollbook plan -o FILE, or an order of that kind"


@dataclass(frozen=True)
class Reviewed:
    """What was read of each source, and the last change of the hub before the plan was made anew."""

    sources: Mapping[str, int]
    change: int
    taken: frozenset[str] = frozenset()
    """Sources that were taken over since then already, by a worker that was ended in the middle."""

    async def check_hub(
        self, store: SqlStore, targets: Iterable[model.Target], done: str, pulled: Collection[str] = ()
    ) -> None:
        """See that nobody but the sources in `pulled` has changed anything since that would go to these targets.

        Raises:
            DeskError: somebody has; says whom, and with `done` what has not happened.
        """
        types = {name for target in targets for name in kinds_of(target, store.catalog)}
        ours = {f"source {name}" for name in {*self.taken, *pulled}}
        found: dict[tuple[str, str], str] = {}
        number = 0
        async for entry in self._since(store):
            if entry.resource_type in types and entry.author not in ours:
                number += 1
                if len(found) < TOLD:
                    found[entry.resource_type, entry.id] = f"{entry.operation} by {entry.author}"
        if number:
            named = [f"  hub: {await _label(store, *whose)}: {what}" for whose, what in found.items()]
            text = "\n".join(named)
            raise DeskError(
                f"the world has moved since the plan was made anew ({number} changes of the hub), so {done}:\n{text}\n"
                f"{ANEW}"
            )

    async def _since(self, store: SqlStore) -> AsyncIterator[LogEntry]:
        after = self.change
        while page := await store.changes(store.home, after, _PAGE):
            after = page[-1].sequence
            for entry in page:
                yield entry


async def _label(store: SqlStore, type_name: str, id: str) -> str:
    kind = store.catalog.resource_type(type_name)
    record = kind and await store.get(store.home, kind, id, members=False, groups=False)
    return (record and kind and record_label(record, kind)) or id
