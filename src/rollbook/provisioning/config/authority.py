"""`authority:`: whose value counts where several sources fill the same attribute of the same people.

Several sources are taken to feed the same people once one of them says how it joins, or that it creates nobody, or the
file orders them. Otherwise everything is as it was when each source had people of its own.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from rollbook.protocol.schema import AttributePath
from rollbook.provisioning import model
from rollbook.provisioning.config.document import Document, Place
from rollbook.provisioning.config.problems import Mark
from rollbook.provisioning.names import Names, suggest
from rollbook.provisioning.people import owned_places


class AuthorityReader:
    """Reads the order, and reports what is missing in it."""

    def __init__(self, document: Document, names: Names) -> None:
        self._document = document
        self._names = names
        data = document.data if isinstance(document.data, dict) else {}
        raw, sources = data.get("authority"), data.get("sources")
        self._raw: dict[str, Any] = raw if isinstance(raw, dict) else {}
        self._sources: dict[str, Any] = sources if isinstance(sources, dict) else {}

    def settle(self, sources: Mapping[str, model.Source]) -> dict[str, model.Source]:
        """The sources, each with what it shares and with whom; as they are if they have people of their own."""
        known = len(self._document.problems)
        ranks = self._ranks(sources)
        if len(self._document.problems) > known:
            return dict(sources)
        if not ranks and not any(source.join or not source.create for source in sources.values()):
            return dict(sources)
        shared = self._shared(sources, ranks)
        peers = {name: model.Peer(source.create, source.missing) for name, source in sources.items()}
        return {name: _among(source, shared, peers) for name, source in sources.items()}

    def _ranks(self, sources: Mapping[str, model.Source]) -> dict[str, tuple[str, ...]]:
        """Attribute → the order of sources, as the file has it."""
        found: dict[str, tuple[str, ...]] = {}
        for name, order in self._raw.items():
            path = self._names.find(str(name))
            if path is None:
                near = self._names.suggest(str(name))
                note = f"did you mean: {near}" if near else None
                mark = self._document.key(("authority", name))
                self._document.report("RB107", f"User has no attribute {name}", mark, "", note)
                continue
            listed = [str(one) for one in order] if isinstance(order, list) else []
            for index, source in enumerate(listed):
                if source not in sources:
                    near = suggest(source, sources)
                    mark = self._document.value(("authority", name, index))
                    told = f"did you mean: {near}" if near else f"there are: {', '.join(sources)}"
                    self._document.report("RB126", f"there is no source {source}", mark, "", told)
            found[path.text] = tuple(dict.fromkeys(listed))
        return found

    def _shared(
        self, sources: Mapping[str, model.Source], ranks: Mapping[str, tuple[str, ...]]
    ) -> list[model.Shared]:
        fillers = _fillers(sources)
        shared: list[model.Shared] = []
        for path, names in fillers.items():
            if len(names) == 1:
                shared += [model.Shared(path, names)] if _is_active(path) else []
                continue
            order = ranks.get(path.text) or ranks.get(path._replace(sub=None).text)
            left_out = [name for name in names if name not in (order or ())]
            if order is None or left_out:
                self._report(path, names, order, left_out)
            else:
                shared.append(model.Shared(path, tuple(name for name in order if name in names)))
        return shared

    def _report(
        self, path: AttributePath, names: tuple[str, ...], order: tuple[str, ...] | None, left_out: list[str]
    ) -> None:
        whole = path._replace(sub=None)
        written = self._names.written(whole)
        best = ", ".join([*(order or ()), *left_out] if order else names)
        marks = {name: self._mark(name, whole) for name in names}
        if order is None:
            last = names[-1]
            others = ", ".join(f"{name} in line {marks[name].line}" for name in names[:-1])
            title, label = f"several sources fill {written}", f"so does {others}"
        else:
            last = left_out[0]
            title, label = f"authority does not say where {last} stands for {written}", "it fills it too"
        note = f"say whose value counts, best first: authority: {{{written}: [{best}]}}"
        self._document.report("RB126", title, marks[last], label, note)

    def _mark(self, source: str, whole: AttributePath) -> Mark:
        """Where a source fills an attribute."""
        place: Place = ("sources", source, "users")
        rules = self._sources.get(source, {}).get("users", {})
        for name in rules if isinstance(rules, dict) else ():
            found = self._names.find(str(name))
            if found is not None and found._replace(sub=None) == whole:
                return self._document.key((*place, name))
        return self._document.key(place)


def _fillers(sources: Mapping[str, model.Source]) -> dict[AttributePath, tuple[str, ...]]:
    """Each place that sources fill, and which do: as a whole where one of them fills the whole."""
    places = {name: owned_places(source) for name, source in sources.items()}
    wholes = {path for every in places.values() for path in every if path.sub is None}
    found: dict[AttributePath, dict[str, None]] = {}
    for name, every in places.items():
        for path in every:
            whole = path._replace(sub=None)
            found.setdefault(whole if whole in wholes else path, {})[name] = None
    return {path: tuple(names) for path, names in found.items()}


def _among(
    source: model.Source, shared: Iterable[model.Shared], peers: Mapping[str, model.Peer]
) -> model.Source:
    """The source with what it shares; what decides about that is in its digest, so that all is read anew."""
    mine = tuple(one for one in shared if source.name in one.order or _is_active(one.path))
    decides = [source.digest, source.create, [one.text for one in source.join]]
    text = repr([*decides, [(one.path.text, one.order) for one in mine]])
    return replace(
        source,
        shared=mine,
        peers={name: peer for name, peer in peers.items() if name != source.name},
        digest=hashlib.sha256(text.encode()).hexdigest(),
    )


def _is_active(path: AttributePath) -> bool:
    return path.urn is None and path.attribute.name == "active"
