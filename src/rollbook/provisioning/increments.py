"""Where a reading of changes begins, and what is remembered of it once it was applied.

A mark counts only for the configuration that it was made by, and not for longer than the source says. In any doubt everything is read.
"""

from dataclasses import dataclass
from datetime import datetime

from rollbook.provisioning import model
from rollbook.provisioning.mapping import expressions
from rollbook.provisioning.sources.base import Extent
from rollbook.storage.source_marks import SourceMark, SourceMarks

_DAY = "today"


@dataclass(frozen=True)
class Increments:
    """The mark of one source during one pull. Without `marks` there is none, and everything is read."""

    source: model.Source
    tenant: int
    marks: SourceMarks | None
    started: int
    today: datetime

    async def begin(self, *, whole: bool) -> SourceMark | None:
        """The mark that changes are to be read from, None if everything is to be read."""
        changes = self.source.changes
        if whole or changes is None or self.marks is None:
            return None
        mark = await self.marks.mark(self.tenant, self.source.name)
        if mark is None or mark.digest != self._digest:
            return None
        return None if changes.full.after(mark.full_at, self.started) <= self.started else mark

    async def end(self, extent: Extent, former: SourceMark | None) -> None:
        """All of a reading was applied: the next one begins where it ended."""
        if self.source.changes is None or self.marks is None:
            return
        goes_on = extent.since is not None and former is not None
        mark = None
        if extent.mark is not None:
            full_at = former.full_at if former is not None and goes_on else self.started
            mark = SourceMark(self._digest, extent.mark, full_at)
        await self.marks.keep_mark(self.tenant, self.source.name, mark)

    @property
    def _digest(self) -> str:
        """The source's; a new one each day where rules ask what day it is, since then records change that nobody touched."""
        rules = [one.rule for one in (*self.source.users.assignments, *self.source.references)]
        rules += [group.display_name for group in self.source.groups]
        asked = any(
            read.variable == _DAY
            for rule in rules
            for expression in expressions(rule)
            for read in expression.reads
        )
        return f"{self.source.digest} {self.today:%Y-%m-%d}" if asked else self.source.digest
