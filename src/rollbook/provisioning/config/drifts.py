"""What is decided about drift: whether its attributes are the target's, and can be taken over where they are to be."""

from collections.abc import Iterable, Mapping
from typing import Any

from rollbook.protocol.schema import AttributePath
from rollbook.provisioning import model
from rollbook.provisioning.config.document import Document, Place
from rollbook.provisioning.drift import copied_from
from rollbook.provisioning.model import MEMBERS, Drift, DriftPolicy
from rollbook.provisioning.names import Names, suggest


class DriftReader:
    """Reads the policy of one target after another, and reports what cannot be done."""

    def __init__(
        self, document: Document, names: Names, owned: Mapping[str, Iterable[AttributePath]]
    ) -> None:
        """`owned` has the hub's attributes that sources fill, by source: the next pull would put them back."""
        self._document = document
        self._names = names
        self._owned = owned

    def policy(self, place: Place, raw: Any, users: model.ObjectMapping) -> DriftPolicy | None:
        """What is decided, None if nothing is; the shape says what is wrong with words."""
        if isinstance(raw, str) and raw in set(Drift):
            found = DriftPolicy(Drift(raw))
        elif isinstance(raw, dict):
            words = {str(name): word for name, word in raw.items() if word in set(Drift)}
            default = Drift(words.pop("default", Drift.REPORT))
            named = {self._named(place, name, users): Drift(word) for name, word in words.items()}
            found = DriftPolicy(default, {name: drift for name, drift in named.items() if name is not None})
        else:
            return None
        if found.default is Drift.TAKE_OVER:
            where = (*place, "default") if isinstance(raw, dict) else place
            self._check_default(where, found, users)
        return found

    def _named(self, place: Place, name: str, users: model.ObjectMapping) -> str | None:
        here, raw = (*place, name), self._document.data
        for step in here:
            raw = raw[step]
        if name == MEMBERS:
            if raw == Drift.TAKE_OVER:
                self._report("RB118", "members cannot be taken over", here, "write report or overwrite")
            return name
        path = self._names.find(name)
        mapped = {one.path for one in users.assignments} | {
            one.path._replace(sub=None) for one in users.assignments
        }
        if path is None or path not in mapped:
            near = suggest(name, [one.path.text for one in users.assignments])
            note = (
                f"did you mean: {near}" if near else "only attributes under users of this target can be named"
            )
            self._report("RB107", f"{name} is not mapped at this target", here, note)
            return None
        if raw == Drift.TAKE_OVER:
            reason = self._why_not(path, users)
            if reason is not None:
                self._report("RB118", f"{name} cannot be taken over", here, reason)
        return path.text

    def _check_default(self, place: Place, policy: DriftPolicy, users: model.ObjectMapping) -> None:
        for one in users.assignments:
            reason = self._why_not(one.path, users) if policy.of(one.path) is Drift.TAKE_OVER else None
            if reason is not None:
                title = f"{one.path._replace(urn=None).text} cannot be taken over"
                advice = (
                    f"{reason}; name what is to be taken over, and let the default be report or overwrite"
                )
                mark = self._document.value(place)
                self._document.report("RB118", title, mark, "", advice)
                return

    def _why_not(self, path: AttributePath, users: model.ObjectMapping) -> str | None:
        source = copied_from(users, path)
        if source is None:
            return "it is no plain copy (from) of an attribute of the hub"
        for name, paths in self._owned.items():
            if any(_overlap(source, one) for one in paths):
                return f"source {name} fills it: the next pull would put it back"
        return None

    def _report(self, code: str, title: str, place: Place, note: str) -> None:
        self._document.report(code, title, self._document.key(place), "", note)


def _overlap(one: AttributePath, other: AttributePath) -> bool:
    same = one._replace(sub=None) == other._replace(sub=None)
    return same and (one.sub is None or other.sub is None or one.sub == other.sub)
