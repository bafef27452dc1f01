"""A plan in a file: written by `plan -o`, done by `apply FILE`, which refuses if the world has moved since."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rollbook import __version__
from rollbook.protocol.values import JsonObject
from rollbook.provisioning.brake import Approval
from rollbook.provisioning.entries import changes_of
from rollbook.provisioning.masking import shown
from rollbook.settings import SettingsError

if TYPE_CHECKING:
    from rollbook.cli.provision_work import Desk, Planned, PlanWatch, SourceReport
    from rollbook.provisioning import model
    from rollbook.provisioning.items import Item
    from rollbook.provisioning.report import PersonChange

FORMAT = 1
_TOLD = 20
"""Differences that a refusal names."""

_Lines = dict[str, list[JsonObject]]


class Recorder:
    """Gathers a plan while another one prints it."""

    def __init__(self, sensitive: frozenset[str], also: "PlanWatch | None" = None) -> None:
        self._sensitive = sensitive
        self._also = also
        self._sources: _Lines = {}
        self._targets: _Lines = {}
        self._lines: list[JsonObject] = []

    def source(self, source: "model.Source") -> None:
        """Begin a source."""
        self._lines = self._sources[source.name] = []
        if self._also:
            self._also.source(source)

    def person(self, change: "PersonChange") -> None:
        """One person of a source."""
        self._lines.append(
            {
                "who": change.key,
                "action": change.action.value,
                "changes": [
                    {
                        "attribute": one.attribute,
                        "old": shown(one, one.old, self._sensitive),
                        "new": shown(one, one.new, self._sensitive),
                    }
                    for one in change.differences
                ],
                "joins": list(change.joins),
                "leaves": list(change.leaves),
            }
        )
        if self._also:
            self._also.person(change)

    def source_end(self, report: "SourceReport") -> None:
        """That was the source."""
        if self._also:
            self._also.source_end(report)

    def target(self, target: "model.Target") -> None:
        """Begin a target."""
        self._lines = self._targets[target.name] = []
        if self._also:
            self._also.target(target)

    def item(self, item: "Item") -> None:
        """One person or group of a target."""
        # Without ids: who is new gets another one each time a plan is made.
        self._lines.append(
            {
                "who": item.label,
                "type": item.resource_type,
                "action": item.action.value,
                "reason": item.reason,
                "changes": changes_of(item),
                "added": item.added,
                "removed": item.removed,
                "failure": item.failure,
            }
        )
        if self._also:
            self._also.item(item)

    def plan(self, planned: "Planned", targets: Sequence[str], reads_sources: bool) -> "SavedPlan":
        """What was gathered."""
        refused = {
            one.target: Approval(one.departures.number, one.departures.plan)
            for one in planned.targets
            if one.departures
        }
        kept = {name: self._targets.get(name, []) for name in targets}
        return SavedPlan(kept, dict(self._sources), reads_sources, refused)


@dataclass(frozen=True)
class SavedPlan:
    """What is to be done at targets and sources, and whose departures have to be approved for it."""

    targets: Mapping[str, list[JsonObject]]
    sources: Mapping[str, list[JsonObject]]
    reads_sources: bool
    departures: Mapping[str, Approval] = field(default_factory=dict)

    async def check(self, desk: "Desk") -> None:
        """Make the plan anew, and compare.

        Raises:
            SettingsError: it would not be the same any more; says where.
        """
        again = Recorder(desk.config.sensitive)
        planned = await desk.plan(self.targets, again, read_sources=self.reads_sources)
        now = again.plan(planned, list(self.targets), self.reads_sources)
        moved = [
            *_moved("source", self.sources, now.sources),
            *_moved("target", self.targets, now.targets),
        ]
        if self.departures != now.departures:
            moved.append("other accounts than those of the file would be taken away")
        if moved or planned.failed:
            told = "\n".join(f"  {line}" for line in moved[:_TOLD])
            more = f"\n  and {len(moved) - _TOLD} more" if len(moved) > _TOLD else ""
            raise SettingsError(
                f"the world has moved since the plan was made, so nothing was done:\n{told}{more}\n"
                "look at a new one: rollbook plan -o FILE"
            )


def named(names: Sequence[str], targets: Iterable[str]) -> SavedPlan | None:
    """The plan in the file that is named in place of targets, None if targets are named.

    Raises:
        SettingsError: the file is no plan.
    """
    if len(names) != 1 or names[0] in set(targets) or not Path(names[0]).is_file():
        return None
    return load(Path(names[0]))


def approvals(saved: SavedPlan | None, number: int | None, plan: str | None) -> tuple[Approval, ...]:
    """What somebody has agreed to.

    Raises:
        SettingsError: a number without a plan, or the other way round, or not that of the file.
    """
    if saved is not None and saved.departures:
        due = sum(one.number for one in saved.departures.values())
        if number != due:
            raise SettingsError(
                f"this plan takes away {due} accounts, which the brake would not let happen;"
                f" if it is right, say so: --accept-deletions {due}"
            )
        return tuple(saved.departures.values())
    if (number is None) != (plan is None):
        raise SettingsError("--accept-deletions and --plan go together; rollbook plan prints both")
    return () if number is None or plan is None else (Approval(number, plan),)


def save(file: Path, plan: SavedPlan) -> None:
    """Write a plan; it holds personal data, so that nobody else may read it.

    Raises:
        SettingsError: the file cannot be written.
    """
    document = {
        "rollbook": __version__,
        "format": FORMAT,
        "readsSources": plan.reads_sources,
        "sources": plan.sources,
        "targets": plan.targets,
        "departures": {name: [one.number, one.plan] for name, one in plan.departures.items()},
    }
    try:
        file.touch(mode=0o600)
        if file.is_file():  # it may have been there before, open to others
            file.chmod(0o600)
        file.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", "utf-8")
    except OSError as error:
        raise SettingsError(f"{file} cannot be written: {error.strerror}") from None


def load(file: Path) -> SavedPlan:
    """Read a plan.

    Raises:
        SettingsError: it is none, or of another version.
    """
    try:
        found = json.loads(file.read_text("utf-8"))
        if found["format"] != FORMAT:
            raise SettingsError(f"{file} is a plan of another Rollbook ({found['rollbook']}); make it anew")
        departures = {
            name: Approval(int(number), plan) for name, (number, plan) in found["departures"].items()
        }
        if not found["targets"]:  # to the engine no name at all means every target
            raise SettingsError(f"{file} names no target; make it anew: rollbook plan -o {file}")
        targets, sources = _lines(found["targets"]), _lines(found["sources"])
        return SavedPlan(targets, sources, bool(found["readsSources"]), departures)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SettingsError(f"{file} is no plan of rollbook plan -o: {type(error).__name__}") from None


def _lines(found: Mapping[str, list[JsonObject]]) -> _Lines:
    """The lines of a file, which anybody may have edited.

    Raises:
        KeyError, TypeError, AttributeError: they are not what they should be.
    """
    for lines in found.values():
        for line in lines:
            hash((line["who"], line["action"], *(one["attribute"] for one in line["changes"])))
    return {name: list(lines) for name, lines in found.items()}


def _moved(
    kind: str, before: Mapping[str, list[JsonObject]], now: Mapping[str, list[JsonObject]]
) -> list[str]:
    """Where two plans differ, in words."""
    found: list[str] = []
    for name in dict.fromkeys((*before, *now)):
        old, new = _by_who(before.get(name, [])), _by_who(now.get(name, []))
        found += [
            f"{kind} {name}: {who}: {_words(old.get(who))}, now {_words(new.get(who))}"
            for who in dict.fromkeys((*old, *new))
            if old.get(who) != new.get(who)
        ]
    return found


def _by_who(lines: Iterable[JsonObject]) -> dict[str, list[JsonObject]]:
    found: dict[str, list[JsonObject]] = {}
    for line in lines:
        found.setdefault(line["who"], []).append(line)
    return found


def _words(lines: list[JsonObject] | None) -> str:
    if not lines:
        return "nothing to do"
    told = []
    for line in lines:
        names = ", ".join(one["attribute"] for one in line["changes"])
        told.append(f"{line['action']} {names}".strip())
    return "; ".join(told)
