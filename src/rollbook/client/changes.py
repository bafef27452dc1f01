"""One document held against another: the PATCH operations that lead from what was read to what is wanted. Pure."""

from collections.abc import Iterator, Sequence

from rollbook.protocol.values import JsonObject, JsonValue

_NOT_OURS = frozenset({"id", "meta", "schemas"})
_EMPTY: tuple[JsonValue, ...] = (None, [], {})


def patch_operations(present: JsonObject, wanted: JsonObject) -> list[JsonObject]:
    """One operation for each attribute that differs, members one by one (C-6-03, C-6-05, C-6-07)."""
    found: list[JsonObject] = []
    for name in dict.fromkeys([*wanted, *present]):
        old, new = present.get(name), wanted.get(name)
        if name.lower() in _NOT_OURS or _same(old, new):
            continue
        if name.lower().startswith("urn:"):
            found += _extension(name, _object(old), _object(new))
        elif name.lower() == "members" and _all_with_values(old) and _all_with_values(new):
            found += _members(_values(old), _values(new))
        else:
            found.append(_operation(name, new))
    return found


def for_writing(document: JsonObject) -> JsonObject:
    """A document as it is sent: without `id` and `meta`, which are the service's to say (C-3-03), and `schemas` complete (C-3-02)."""
    kept = {name: value for name, value in document.items() if name.lower() not in {"id", "meta"}}
    listed = kept.get("schemas")
    if isinstance(listed, list):
        known = {str(urn).lower() for urn in listed}
        more = [name for name in kept if name.lower().startswith("urn:") and name.lower() not in known]
        kept["schemas"] = [*listed, *more]
    return kept


def member_operations(add: Sequence[str], remove: Sequence[str]) -> list[JsonObject]:
    """Operations for members by id: removals by value path, additions in one list (C-6-07)."""
    found: list[JsonObject] = [
        {"op": "remove", "path": f"members[value eq {_quoted(one)}]"} for one in remove
    ]
    if add:
        found.append({"op": "add", "path": "members", "value": [{"value": one} for one in add]})
    return found


def _extension(urn: str, old: JsonObject, new: JsonObject) -> Iterator[JsonObject]:
    for name in dict.fromkeys([*new, *old]):
        if not _same(old.get(name), new.get(name)):
            yield _operation(f"{urn}:{name}", new.get(name))


def _operation(path: str, value: JsonValue) -> JsonObject:
    # No value is said by removing, never by empty text (C-3-09).
    if value in _EMPTY:
        return {"op": "remove", "path": path}
    return {"op": "replace", "path": path, "value": value}


def _members(old: Sequence[str], new: Sequence[str]) -> list[JsonObject]:
    before, after = set(old), set(new)
    return member_operations(
        [one for one in new if one not in before], [one for one in old if one not in after]
    )


def _same(one: JsonValue, other: JsonValue) -> bool:
    # True == 1 for Python, not for JSON.
    return (one in _EMPTY and other in _EMPTY) or (one == other and type(one) is type(other))


def _object(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _all_with_values(value: JsonValue) -> bool:
    return value is None or (
        isinstance(value, list)
        and all(isinstance(item, dict) and isinstance(item.get("value"), str) for item in value)
    )


def _values(value: JsonValue) -> list[str]:
    return [item["value"] for item in value or ()]


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
