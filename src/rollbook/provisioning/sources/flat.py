"""Documents as records: names with dots for what is inside, one line for each of several values. Pure."""

from collections.abc import Mapping

import orjson

from rollbook.protocol.values import JsonValue

_MOST_FIELDS = 2_000
"""Fields of one record; more are a mistake, or an attack."""


def flat(document: Mapping[str, JsonValue]) -> dict[str, str]:
    """The texts of a document by name.

    `{"name": {"first": "Ada"}}` has `name.first`; a list of plain values has one line for each; of a list of objects with a `type`, such as SCIM
    emails, the value of each type has a name of its own (`emails.work`), and the primary or first value that of the list; other lists of
    objects have JSON in each line. Extensions of SCIM have the short name of their URN (`enterprise.department`).

    Raises:
        ValueError: it has too many fields.
    """
    found: dict[str, str] = {}
    _add(found, "", document)
    if len(found) > _MOST_FIELDS:
        raise ValueError(f"more than {_MOST_FIELDS} fields")
    return found


def _add(found: dict[str, str], name: str, value: JsonValue) -> None:
    match value:
        case None:
            return
        case Mapping():
            for inner, part in value.items():
                short = _short(inner)
                _add(found, f"{name}.{short}" if name else short, part)
        case list():
            _add_list(found, name, value)
        case _:
            found[name] = _text(value)


def _add_list(found: dict[str, str], name: str, values: list[JsonValue]) -> None:
    objects = [value for value in values if isinstance(value, Mapping)]
    if objects and len(objects) == len(values) and all("value" in value for value in objects):
        best = next((value for value in objects if value.get("primary") is True), objects[0])
        found[name] = (
            "\n".join(_text(value["value"]) for value in objects) if name in _PLAIN else _text(best["value"])
        )
        for value in objects:
            if isinstance(value.get("type"), str):
                found.setdefault(f"{name}.{value['type']}", _text(value["value"]))
    elif values:
        found[name] = "\n".join(_text(value) for value in values)


_PLAIN = frozenset({"groups", "roles", "entitlements", "members"})
"""Lists of which every value counts."""


def _short(name: str) -> str:
    """The short name of an extension: `urn:…:extension:enterprise:2.0:User` → `enterprise`."""
    if not name.lower().startswith("urn:"):
        return name
    parts = name.split(":")
    return parts[-3] if len(parts) > 3 else parts[-1]


def _text(value: JsonValue) -> str:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case None:
            return ""
        case int() | float():
            return str(value)
        case _:
            return orjson.dumps(value).decode()
