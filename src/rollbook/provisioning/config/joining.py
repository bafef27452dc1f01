"""`join:` of a source: which attributes of the hub a new record is compared with, and that an index finds them."""

from collections.abc import Iterator

from rollbook.protocol.schema import AttributePath
from rollbook.protocol.values import JsonValue
from rollbook.provisioning import model
from rollbook.provisioning.config.document import Document, Place
from rollbook.provisioning.config.fit import Wanted
from rollbook.provisioning.config.rules import RuleReader
from rollbook.provisioning.names import Names
from rollbook.storage.sql.index import indexed_paths


class JoinReader:
    """Reads the rules; `names` are those of the hub's users."""

    def __init__(self, document: Document, names: Names) -> None:
        self._document = document
        self._names = names
        self._indexed = frozenset(path.text for path in indexed_paths(names.resource_type))

    def rules(self, place: Place, raw: JsonValue, reader: RuleReader) -> tuple[model.JoinRule, ...]:
        """The rules in order; those with a mistake are reported and left out."""
        found: list[model.JoinRule] = []
        for index, item in enumerate(raw if isinstance(raw, list) else ()):
            if isinstance(item, dict):
                found += self._rule((*place, index), item, reader)
        return tuple(found)

    def _rule(self, place: Place, raw: dict[str, JsonValue], reader: RuleReader) -> Iterator[model.JoinRule]:
        several = raw.get("all")
        if ("attribute" in raw) is ("all" in raw):
            self._refuse(place, "a rule of join names one attribute, or several below all")
            return
        if isinstance(several, list):
            places = [((*place, "all", index), one) for index, one in enumerate(several)]
        else:
            places = [(place, raw)]
        tests = [self._test(here, one, reader) for here, one in places if isinstance(one, dict)]
        whole = tuple(test for test in tests if test is not None)
        if len(whole) < len(tests) or not whole:
            return
        if not any(self._finds(test) for test in whole):
            self._refuse(
                place,
                "nobody can be looked up by this rule",
                "one attribute in it must be indexed, and compared as it is (without normalize)",
                "compare with what the hub has in its normal form: {attribute: userName, expr:"
                " 'lower(normalize(record.login))'}, or put a second attribute beside it below all",
            )
            return
        words = " and ".join(self._words(test) for test in whole)
        yield model.JoinRule(whole, words, raw.get("sure") is not False)

    def _finds(self, test: model.JoinTest) -> bool:
        return not test.normalize and test.path.text in self._indexed

    def _words(self, test: model.JoinTest) -> str:
        return self._names.written(test.path) + (" (normalised)" if test.normalize else "")

    def _test(self, place: Place, raw: dict[str, JsonValue], reader: RuleReader) -> model.JoinTest | None:
        name = raw.get("attribute")
        path = self._path((*place, "attribute"), name) if isinstance(name, str) else None
        if path is None:
            return None
        ways = {key: raw[key] for key in ("from", "expr") if key in raw}
        if not raw.keys() <= {"attribute", "from", "expr", "normalize", "sure", "all"}:
            return None  # told by the check of the structure
        if len(ways) != 1:
            self._refuse(place, f"{name} is compared with nothing", "write one of from and expr")
            return None
        rule = reader.rule(place, ways, Wanted(path, many=False))
        return None if rule is None else model.JoinTest(path, rule, raw.get("normalize") is True)

    def _path(self, place: Place, name: str) -> AttributePath | None:
        path, mark = self._names.find(name), self._document.value(place)
        if path is None:
            near = self._names.suggest(name)
            note = f"did you mean: {near}" if near else None
            self._document.report("RB107", f"User has no attribute {name}", mark, "", note)
            return None
        if path.leaf.is_complex:
            parts = ", ".join(f"{name}.{sub.name}" for sub in path.leaf.sub_attributes)
            self._document.report("RB125", f"{name} has parts", mark, "name one of them", f"it has: {parts}")
            return None
        return path

    def _refuse(self, place: Place, title: str, label: str = "", *notes: str) -> None:
        self._document.report("RB125", title, self._document.key(place), label, *notes)
