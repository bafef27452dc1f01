"""What came of pulls, plans and deliveries, and who is told of it meanwhile."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from rollbook.provisioning import model
from rollbook.provisioning.items import Item
from rollbook.provisioning.orders import Report
from rollbook.provisioning.preview import Preview
from rollbook.provisioning.report import PersonChange, PullReport


@dataclass(frozen=True)
class SourceReport:
    """What a pull did, or why it could not."""

    source: str
    report: PullReport | None
    error: str | None = None
    seconds: float = 0.0
    run: int | None = None
    """The number of the run, None for a rehearsal."""

    @property
    def failed(self) -> bool:
        """Whether anybody was left out; an attribute left empty is a warning only."""
        report = self.report
        return report is None or report.unlisted > 0 or any(not one.warning for one in report.problems)


@dataclass(frozen=True)
class Applied:
    """What an apply did at sources and targets."""

    sources: Sequence[SourceReport]
    targets: Sequence[Report]

    @property
    def run(self) -> int | None:
        """The number by which all of it can be looked at and undone."""
        numbers = [*(one.run for one in self.sources), *(one.run for one in self.targets)]
        return next((number for number in numbers if number), None)

    @property
    def failed(self) -> bool:
        """Whether anything is left undone."""
        return any(source.failed for source in self.sources) or any(target.failed for target in self.targets)


@dataclass
class Planned:
    """The figures of a plan."""

    sources: list[SourceReport] = field(default_factory=list)
    targets: list[Preview] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether a source or a target could not be looked at."""
        return any(source.report is None for source in self.sources) or any(
            preview.stopped for preview in self.targets
        )

    @property
    def pending(self) -> bool:
        """Whether apply would change anything."""
        return any(source.report and source.report.changes for source in self.sources) or any(
            preview.pending for preview in self.targets
        )


class PlanWatch(Protocol):
    """Whoever is told of a plan while it is made."""

    def source(self, source: model.Source) -> None:
        """A source is looked at."""

    def person(self, change: PersonChange) -> None:
        """What a pull would do."""

    def source_end(self, report: SourceReport) -> None:
        """That was the source."""

    def target(self, target: model.Target) -> None:
        """A target is looked at."""

    def item(self, item: Item) -> None:
        """What a run would do."""


def figures(report: PullReport | None) -> dict[str, int]:
    """What a pull has done, in numbers; nothing of one that could not be done."""
    if report is None:
        return {}
    names = ("rows", "created", "changed", "unchanged", "disabled", "deleted", "kept", "held")
    beside = {name: getattr(report, name) for name in ("unmatched", "uncertain", "ignored")}
    return {name: getattr(report, name) for name in names} | {
        **{name: count for name, count in beside.items() if count},
        "problems": len(report.problems) + report.unlisted,
    }
