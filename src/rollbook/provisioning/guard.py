"""What may end a run at a target before its calls do: a pause, the brake, a first run that goes wrong."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from rollbook.provisioning import model
from rollbook.provisioning.brake import DAY, Approval, Brake, Wave, Waves, Way
from rollbook.provisioning.wanted import Kind
from rollbook.provisioning.work import Engine
from rollbook.storage.links import Link, Progress, State

GONE_AT_LEAST, GONE_SHARE = 5, 0.2
"""So many accounts of those that a target was known to hold, and more than this share of those asked for, may not be gone (FE-26)."""

_REMEMBERED = 50
"""Accounts that were asked for count half as much after so many others."""

CANARY = 5
"""Those that a first run tries before all others."""

_LOOK_MILLISECONDS = 500
"""How soon a run notices that somebody paused the target."""


@dataclass
class Presence:
    """Of the accounts that a target was known to hold and that were asked for lately: how many are there, how many gone."""

    asked: int = 0
    gone: int = 0

    def note(self, *, there: bool) -> None:
        """Count one."""
        if self.asked >= _REMEMBERED:
            self.asked, self.gone = self.asked // 2, self.gone // 2
        self.asked += 1
        self.gone += not there

    @property
    def is_suspicious(self) -> bool:
        """Whether so many are gone that the target was emptied, restored from an old backup, or is another one."""
        return self.gone >= GONE_AT_LEAST and self.gone > self.asked * GONE_SHARE

    @property
    def told(self) -> str:
        """What there is to suspect, for people."""
        return (
            f"{self.gone} of the {self.asked} accounts asked for last are gone at the target: was it emptied"
            " or restored from a backup, or is this another one?"
        )


class Guard:
    """Asked by a run again and again whether it may go on."""

    def __init__(
        self,
        engine: Engine,
        target: model.Target,
        kinds: Mapping[str, Kind],
        progress: Progress,
        approvals: Iterable[Approval],
        removes: frozenset[str] = frozenset(),
        presence: Presence | None = None,
    ) -> None:
        self._presence = presence or Presence()
        self.vanished: str | None = None
        """Why nobody is made anew at the target, None if whoever is gone may be."""
        self._engine = engine
        self._target = target
        self._progress = progress
        self._approvals = tuple(approvals)
        self._brake = Brake(engine, target, kinds, removes)
        self._names = tuple(kinds)
        self._waves = Waves.none(target.name)
        self._looks_at_all = True
        self._agreed: dict[Way, dict[str, str]] = {}
        self._looked = engine.now()

    async def brake(self, only: str | None = None) -> Sequence[Wave]:
        """Look at who would go and come now, or at one; those that are too many, nothing if the run may go on."""
        self._looks_at_all = only is None
        self._waves = await self._brake.look(self._progress, only)
        for wave in (self._waves.departures, self._waves.arrivals):
            if wave.approval in self._approvals:
                self._agreed.setdefault(wave.way, {}).update(wave.ids)
        return await self._brake.judge(self._progress, self._waves, self._approvals, self._agreed)

    @property
    def leaving(self) -> Collection[int]:
        """The keys of those who go."""
        return self._waves.departures.keys

    def may_leave(self, link: Link) -> bool:
        """Whether the brake has seen that this account goes."""
        was_counted = link.disabled and link.left_at is not None
        return self._target.brake is None or was_counted or link.id in self._waves.departures.ids

    def may_arrive(self, link: Link) -> bool:
        """Whether the brake has seen that this one gets an account; who is brought along with a single one may."""
        if not self._looks_at_all or not self._brake.counts_arrivals(self._progress):
            return True
        return link.remote_id is not None or link.id in self._waves.arrivals.ids

    async def saw(self, *, there: bool) -> bool:
        """Note whether an account that the target was known to hold is there; False if too many are not.

        Then nothing more is done at the target until somebody has looked: making everybody anew would be wrong.
        """
        self._presence.note(there=there)
        if there or not self._presence.is_suspicious:
            return True
        name, presence = self._target.name, self._presence
        self.vanished = presence.told
        presence.asked = presence.gone = 0  # whoever lets work go on has looked
        told = f"{self.vanished} If they are to be made anew: rollbook reset {name} --accounts"
        await self._engine.links.stop(self._engine.tenant, self._progress.number, told)
        return False

    async def paused(self) -> str | None:
        """Why nothing may be done any more, None if it may; asks the database now and then only."""
        if self._engine.now() - self._looked < _LOOK_MILLISECONDS:
            return None
        self._looked = self._engine.now()
        progress = await self._engine.links.target(self._engine.tenant, self._target.name)
        return progress.stopped if progress else None

    async def canary(self) -> int:
        """How many to try before all others; none if the target is known already."""
        figures = await self._engine.links.figures(
            self._engine.tenant, self._progress.number, self._engine.now()
        )
        return 0 if figures.states.get(State.DONE) or figures.states.get(State.LEFT) else CANARY

    async def end(self, *, through: bool) -> None:
        """What was approved of counts no more from now on; a first load that has come `through` is over."""
        links, now = self._engine.links, self._engine.now()
        tenant, number = self._engine.tenant, self._progress.number
        if Way.DEPARTURES in self._agreed:
            await links.approve(tenant, number, now)
        if Way.ARRIVALS in self._agreed:
            await links.count_arrivals(tenant, number, now)
        if through and self._progress.arrivals_from is None:
            await self._end_first_load(now)

    async def _end_first_load(self, now: int) -> None:
        """New accounts count from some days on: people may come one by one at first, or a few to try it with."""
        links, tenant, number = self._engine.links, self._engine.tenant, self._progress.number
        days = (self._target.brake or model.BrakeLimit()).days
        for name in self._names:
            if await links.held(tenant, number, name, 1):
                await links.count_arrivals(tenant, number, now + days * DAY)
                return
