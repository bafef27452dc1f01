"""What `pull`, `plan` and `apply` print for scripts: JSON."""

import json
import sys
from collections.abc import Collection, Sequence
from dataclasses import asdict

from rollbook.desk.reports import Planned, SourceReport
from rollbook.protocol.values import JsonObject
from rollbook.provisioning import model
from rollbook.provisioning.brake import Wave, Way
from rollbook.provisioning.differences import Difference
from rollbook.provisioning.items import Item
from rollbook.provisioning.masking import shown
from rollbook.provisioning.orders import Report
from rollbook.provisioning.report import PersonChange


class JsonPlan:
    """Gathers a plan and prints it as one JSON object."""

    def __init__(self, sensitive: frozenset[str] = frozenset()) -> None:
        self._sensitive = sensitive
        self._people: list[JsonObject] = []
        self._items: list[JsonObject] = []
        self._sources: dict[str, list[JsonObject]] = {}
        self._targets: dict[str, list[JsonObject]] = {}

    def source(self, source: model.Source) -> None:
        """Begin a source."""
        self._people = self._sources[source.name] = []

    def person(self, change: PersonChange) -> None:
        """One person of a source."""
        self._people.append(
            {
                "key": change.key,
                "name": change.name,
                "action": change.action.value,
                "differences": _differences(change.differences, self._sensitive),
                "joins": list(change.joins),
                "leaves": list(change.leaves),
            }
        )

    def source_end(self, report: SourceReport) -> None:
        """The figures are printed with all others."""

    def target(self, target: model.Target) -> None:
        """Begin a target."""
        self._items = self._targets[target.name] = []

    def item(self, item: Item) -> None:
        """One person or group of a target."""
        self._items.append(item_json(item))

    def end(self, planned: Planned) -> None:
        """Print."""
        sources = [
            {**source_json(report), "changes": self._sources.get(report.source, [])}
            for report in planned.sources
        ]
        targets = [
            {
                "target": preview.target,
                "stopped": preview.stopped,
                "hint": preview.hint,
                **brake_json(preview.braked),
                "vanished": preview.vanished,
                "seconds": preview.seconds,
                "counts": dict(preview.counts),
                "items": self._targets.get(preview.target, []),
            }
            for preview in planned.targets
        ]
        print_json({"pending": planned.pending, "sources": sources, "targets": targets})


def brake_json(refused: Sequence[Wave]) -> JsonObject:
    """What the brake has against a run: departures, and arrivals."""
    found = {
        wave.way: {wave.way.value: wave.number, "plan": wave.plan, "reason": wave.refusal} for wave in refused
    }
    return {"brake": found.get(Way.DEPARTURES), "arrivalsBrake": found.get(Way.ARRIVALS)}


def _differences(differences: Sequence[Difference], sensitive: Collection[str] = ()) -> list[JsonObject]:
    return [
        {
            "attribute": item.attribute,
            "old": shown(item, item.old, sensitive),
            "new": shown(item, item.new, sensitive),
        }
        for item in differences
    ]


def item_json(item: Item) -> JsonObject:
    """An item for scripts."""
    kept = {name: value for name, value in asdict(item).items() if name != "sensitive"}
    differences = _differences(item.differences, item.sensitive)
    return {**kept, "action": item.action.value, "differences": differences}


def source_json(source: SourceReport) -> JsonObject:
    """What a pull did, or a plan of one would."""
    found: JsonObject = {"source": source.source, "error": source.error, "seconds": source.seconds}
    if source.report is not None:
        report = source.report
        names = (
            "rows", "created", "changed", "unchanged", "disabled", "deleted", "kept", "held", "unlisted", "partial"
        )  # fmt: skip
        found |= {name: getattr(report, name) for name in names}
        found |= {name: getattr(report, name) for name in ("unmatched", "uncertain", "ignored")}
        found["problems"] = [asdict(problem) for problem in report.problems]
    return found


def report_json(report: Report) -> JsonObject:
    """What a run did at a target."""
    return {
        "target": report.target,
        "counts": {str(name): count for name, count in report.counts.items()},
        "writes": report.writes,
        "seconds": report.seconds,
        "held": report.held,
        "stopped": report.stopped,
        "hint": report.hint,
        **brake_json(report.braked),
        "run": report.run,
        "failures": [item_json(item) for item in report.failures],
    }


def print_json(value: JsonObject) -> None:
    """Print an object for scripts."""
    json.dump(value, sys.stdout, ensure_ascii=False, indent=2)
    sys.stdout.write("\n")
