"""Lookup tables: text → text, by name, for `lookup` in expressions. Pure; `config` reads them."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import orjson


@dataclass(frozen=True, eq=False)
class Tables:
    """All tables of a configuration. Make one and keep it: expressions compiled with it share its environment."""

    content: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)

    def lookup(self, table: str, text: str) -> str:
        """What stands beside the text, the empty text if it is not in the table."""
        return self.content[table].get(text, "")

    def lookup_or(self, table: str, text: str, default: str) -> str:
        """What stands beside the text, the default if it is not in the table."""
        return self.content[table].get(text, default)

    def digest(self, names: Iterable[str]) -> str:
        """Changes with the content of these tables; empty without any."""
        used = {name: self.content[name] for name in names if name in self.content}
        content = orjson.dumps(used, option=orjson.OPT_SORT_KEYS)
        return hashlib.blake2b(content, digest_size=16).hexdigest() if used else ""


NO_TABLES = Tables()
"""For expressions that stand alone."""
