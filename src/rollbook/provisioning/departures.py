"""People whose records are gone: counted before anything is written, then treated by the source's policy."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

from rollbook.protocol.errors import RequestError
from rollbook.provisioning.hub import Hub, Writer
from rollbook.provisioning.model import Leave
from rollbook.provisioning.people import UserRules, Watched, differences, disabled
from rollbook.provisioning.report import Action, Observe, PersonChange, PullProblem, PullReport
from rollbook.provisioning.survey import Survey, check_shrinkage
from rollbook.storage.source_records import SourceRecord

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
            outcomes = await asyncio.gather(*map(self._leave, page))
            await self.writer.keep([record for record in outcomes if record is not None])

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

    async def _leave(self, record: SourceRecord) -> SourceRecord | None:
        """Treat one by the policy; the record to remember, None if there is none any more."""
        gone = replace(record, digest="", missing_since=self.hub.now())
        try:
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
