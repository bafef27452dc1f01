"""People who swap a value that nobody else may have: each waits for the other to let go of it (FE-21).

The target refuses the first who asks. Then it is looked who has the value, what that one is to have, who has that, and so on:
if it comes back to the one who asked, it is a ring, and no order of changes leads out of it. A target that allows it has
one of them by a name of the moment; everybody else waits, and people are told what they can do.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from rollbook.protocol.attributes import Type
from rollbook.provisioning.differences import Difference, value_at
from rollbook.provisioning.model import MappingError
from rollbook.provisioning.targets.base import Target
from rollbook.provisioning.work import Engine, Work, is_unique, read_wish
from rollbook.storage.links import Link

MOST = 20
"""So many people a ring may have; a longer one waits for somebody."""

MARK = "rollbook-swap-"
"""How names of the moment begin."""

ADVICE = (
    "they wait for each other: rename one of them at the target by hand, or let Rollbook do it for a moment, with"
    " temporary_names: true at this target in rollbook.yaml"
)


@dataclass(frozen=True)
class Ring:
    """What somebody wants to have, and who has to let go of something for it, in order; the last one waits for the first."""

    difference: Difference
    others: Sequence[Link]
    labels: Sequence[str]
    closed: bool
    """Whether the last one waits for the first; else that one has let go already, in a run that was broken off."""

    def is_first(self, link: Link) -> bool:
        """Whether it is for this one to begin: one of them does, whoever is asked first."""
        return all(link.key < other.key for other in self.others)

    @property
    def told(self) -> str:
        """It, for people."""
        return f"{self.difference.attribute} goes round between this one and {', '.join(self.labels)}"


async def ring_of(
    engine: Engine, far: Target, number: int, work: Work, differences: Sequence[Difference]
) -> Ring | None:
    """The ring that keeps somebody from a change, None if there is none: then the value is free some day, or is a stranger's."""
    for one in differences:
        if not _may_swap(work, one):
            continue
        others, closed = await _others(engine, far, number, work, one)
        if others and (closed or is_temporary(one.old)):
            return Ring(one, [link for link, _ in others], [label for _, label in others], closed)
    return None


def temporary(work: Work, ring: Ring) -> Difference:
    """Another value for as long as the ring is being undone: no name of anybody, and the same again after a crash."""
    old = str(ring.difference.old)
    digest = hashlib.blake2b(work.link.id.encode(), digest_size=5).hexdigest()
    _, at, domain = old.rpartition("@")
    return Difference(ring.difference.path, old, f"{MARK}{digest}{at}{domain if at else ''}")


def is_temporary(value: object) -> bool:
    """Whether a value is a name of the moment."""
    return isinstance(value, str) and value.startswith(MARK)


def _may_swap(work: Work, difference: Difference) -> bool:
    path = difference.path
    return (
        path.sub is None
        and path.attribute.type is Type.STRING
        and not path.attribute.multi_valued
        and is_unique(work.kind, difference)
        and isinstance(difference.old, str)
        and isinstance(difference.new, str)
    )


async def _others(
    engine: Engine, far: Target, number: int, work: Work, difference: Difference
) -> tuple[list[tuple[Link, str]], bool]:
    """Who stands between somebody and a value, one behind the other, and whether the last of them waits for the first.

    Nobody if it leads to a stranger's account, or to somebody who keeps what they have.
    """
    kind, value = work.kind, difference.new
    found: list[tuple[Link, str]] = []
    seen = {work.link.id}
    while isinstance(value, str) and len(found) < MOST:
        accounts = await far.find(kind, difference.path, value)
        if len(accounts) != 1:
            return ([] if accounts else found), False
        if accounts[0].id == work.link.remote_id:
            return found, True
        name = kind.resource_type.name
        holder = await engine.links.holder(engine.tenant, number, name, accounts[0].id)
        if holder is None or holder.id in seen:
            return [], False
        seen.add(holder.id)
        try:
            wish = await read_wish(engine, kind, holder.id)
        except MappingError:
            return [], False
        wanted = None if wish.document is None else value_at(wish.document, difference.path)
        if wish.left is not None or wanted == value:
            return [], False
        found.append((holder, wish.label or holder.id))
        value = wanted
    return [], False
