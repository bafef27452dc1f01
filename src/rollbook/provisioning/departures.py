"""People whose records are gone: counted before anything is written, then treated by the source's policy."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from rollbook.protocol.errors import RequestError
from rollbook.provisioning.hub import Hub, Writer
from rollbook.provisioning.model import Leave
from rollbook.provisioning.people import UserRules, Watched, differences, disabled
from rollbook.provisioning.report import Action, Observe, PersonChange, PullProblem, PullReport
from rollbook.provisioning.several import Several, heard
from rollbook.provisioning.source_groups import SourceGroups, moves_of
from rollbook.provisioning.survey import Survey, check_shrinkage
from rollbook.storage.source_records import Feed, SourceRecord

_PAGE = 1000


@dataclass
class Departures:
    """Those a source knew and no longer has."""

    rules: UserRules
    hub: Hub
    writer: Writer
    report: PullReport
    observe: Observe
    survey: Survey
    _several: Several = field(init=False)
    _groups: SourceGroups = field(init=False)

    def __post_init__(self) -> None:
        self._several = Several(self.rules)
        self._groups = SourceGroups(self.hub, self.rules.source.name, self.writer)

    async def close_cases(self) -> None:
        """Forget what nobody has decided about records that are gone, or that are not joined by rules any more."""
        matches, name, key = self.hub.matches, self.rules.source.name, ""
        if matches is None or self.report.partial:
            return
        while page := await matches.open_cases(self.hub.tenant, name, key, _PAGE):
            key = page[-1].key
            joins = bool(self.rules.source.join)
            await self.writer.close_cases(
                [case.key for case in page if not joins or case.key not in self.survey.keys]
            )

    async def check(self, label: str) -> int:
        """How many are gone.

        Raises:
            SourceError: too many at once (FE-11, I-14).
        """
        missing = 0
        async for page in self._missing():
            missing += len(page)
        if missing:
            known = await self.hub.records.count(self.hub.tenant, self.rules.source.name)
            check_shrinkage(label, known, missing, self.rules.source.shrink_limit)
        # Who is said to be gone is gone, whatever else could not be read.
        lost = [row for row in self.survey.bad if row.key is None and not self.survey.partial]
        if not (missing and lost):
            return missing
        self.report.held = missing
        reason = (
            f"{missing} people have no record any more, but {len(lost)} rows do not say whose they are"
            f" (the first is line {lost[0].line}): everybody was left as they are"
        )
        self.report.report(PullProblem(None, None, reason))
        return 0

    async def apply(self) -> None:
        """Disable, delete or keep them."""
        async for page in self._missing():
            feeds = await self._feeds(page)
            outcomes = await asyncio.gather(*(self._leave(one, feeds.get(one.id, ())) for one in page))
            await self.writer.keep([record for record in outcomes if record is not None])
            await self._listen(page, feeds)

    async def _feeds(self, page: Sequence[SourceRecord]) -> Mapping[str, Sequence[Feed]]:
        """What other sources say of these people."""
        return await self.hub.records.feeds(self.hub.tenant, self._several.peers, [one.id for one in page])

    async def _listen(self, page: Sequence[SourceRecord], before: Mapping[str, Sequence[Feed]]) -> None:
        """Decide anew where another source said something else meanwhile."""
        now = await self._feeds(page) if self._several.peers else {}
        for record in page:
            feeds = now.get(record.id, ())
            if heard(feeds) != heard(before.get(record.id, ())):
                await self._withdraw(record, feeds, forget=self._forgets)

    def _missing(self) -> AsyncIterator[Sequence[SourceRecord]]:
        return self._named() if self.survey.partial else self._absent()

    async def _named(self) -> AsyncIterator[Sequence[SourceRecord]]:
        """Those the source says are gone; in a reading of changes, nobody else is taken to be."""
        gone = [key for key in dict.fromkeys(self.survey.gone) if key not in self.survey.keys]
        for start in range(0, len(gone), _PAGE):
            found = await self.hub.records.find(
                self.hub.tenant, self.rules.source.name, gone[start : start + _PAGE]
            )
            missing = [record for record in found.values() if record.missing_since is None]
            if missing:
                yield missing

    async def _absent(self) -> AsyncIterator[Sequence[SourceRecord]]:
        """Those whose records are not there any more."""
        key = ""
        name = self.rules.source.name
        while page := await self.hub.records.after(self.hub.tenant, name, key, _PAGE):
            key = page[-1].key
            missing = [record for record in page if record.key not in self.survey.keys]
            if missing:
                yield missing

    async def _leave(self, record: SourceRecord, feeds: Sequence[Feed]) -> SourceRecord | None:
        """Treat one by the policy; the record to remember, None if there is none any more."""
        gone = replace(record, digest="", missing_since=self.hub.now())
        try:
            if self.rules.source.is_joined:
                return await self._leave_to_others(record, feeds)
            match self.rules.source.missing:
                case Leave.KEEP:
                    self.report.kept += 1
                    self.observe(PersonChange(record.key, None, Action.KEEP))
                    return gone
                case Leave.DELETE:
                    await self._delete(record)
                    return None
                case Leave.DISABLE:
                    return gone if await self._disable(record) else None
        except RequestError as error:
            self.report.report(PullProblem(None, record.key, error.detail))
            return record

    async def _leave_to_others(self, record: SourceRecord, feeds: Sequence[Feed]) -> SourceRecord | None:
        """One of several sources has lost a person: what it said counts no more, and who still has them goes on.

        Cases: 1. nobody has them any more, and all would delete them; 2. the record is forgotten; 3. it is kept.
        """
        source = self.rules.source
        if source.create and self._several.departure(feeds, source.missing) is Leave.DELETE:
            await self._delete(record)
            for peer, other in feeds:
                await self.writer.drop_of(peer, [other.key])
            return None
        await self._withdraw(record, feeds, forget=self._forgets)
        if self._forgets:
            await self.writer.drop([record.key])
            return None
        groups = record.groups if source.missing is Leave.KEEP else ()
        return replace(record, digest="", missing_since=self.hub.now(), groups=groups)

    @property
    def _forgets(self) -> bool:
        """Whether nothing is kept of a record that is gone."""
        source = self.rules.source
        return source.missing is Leave.DELETE or (not source.create and source.missing is Leave.DISABLE)

    async def release(self, record: SourceRecord) -> None:
        """Take back everything a record gave its user, and forget whose it was."""
        feeds = await self._feeds([record])
        await self._withdraw(record, feeds.get(record.id, ()), forget=True, left=False)
        await self.writer.drop([record.key])

    async def _withdraw(
        self, record: SourceRecord, feeds: Sequence[Feed], *, forget: bool, left: bool = True
    ) -> None:
        """Take back what the source gave a person, as far as nobody else gives it."""
        made = self._several.leaving(record, feeds, forget=forget, left=left)
        decide = Watched(self.rules.revision(made.document, places=made.places, active=made.active))
        changed = await self.writer.update(self.rules.user_type, record.id, decide)
        leaves = record.groups if forget or self.rules.source.missing is not Leave.KEEP else ()
        if leaves:
            await self._groups.apply(moves_of([(record.id, leaves, ())]))
        if not changed and not leaves:
            return
        action = Action.DISABLE if made.active is False else Action.CHANGE
        if action is Action.DISABLE:
            self.report.disabled += 1
        else:
            self.report.changed += 1
        shown = differences(self.rules, decide.before, decide.after)
        name = decide.after.get("userName")
        self.observe(PersonChange(record.key, name, action, shown, leaves=leaves))

    async def _delete(self, record: SourceRecord) -> None:
        if await self.writer.delete(self.rules.user_type, record.id):
            self.report.deleted += 1
            self.observe(PersonChange(record.key, None, Action.DELETE, leaves=record.groups))
        await self.writer.drop([record.key])

    async def _disable(self, record: SourceRecord) -> bool:
        decide = Watched(disabled)
        changed = await self.writer.update(self.rules.user_type, record.id, decide)
        if changed is None:
            await self.writer.drop([record.key])
            return False
        if changed:
            self.report.disabled += 1
            shown = differences(self.rules, decide.before, decide.after)
            self.observe(PersonChange(record.key, decide.after.get("userName"), Action.DISABLE, shown))
        return True
