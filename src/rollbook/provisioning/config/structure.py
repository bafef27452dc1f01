"""The file's structure against its shape: pydantic's findings, told as problems of the file."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from rollbook.provisioning.config.document import Document, Place
from rollbook.provisioning.config.rule_shapes import UNION_TAGS
from rollbook.provisioning.config.shape import ConfigShape, allowed_keys
from rollbook.provisioning.config.source_shapes import SOURCES
from rollbook.provisioning.names import suggest


def check_structure(document: Document) -> ConfigShape | None:
    """The file as a model, or None if its structure is wrong; then the problems are in the document."""
    try:
        return ConfigShape.model_validate(document.data)
    except ValidationError as error:
        unread = {problem.mark for problem in document.problems}
        for found in error.errors(include_url=False):
            if document.value(_place(document, found["loc"])) not in unread:
                _report(document, found)
        return None


def _report(document: Document, found: Mapping[str, Any]) -> None:
    place = _place(document, found["loc"])
    tell = _TELL.get(found["type"])
    if tell is not None:
        tell(document, place, found)
        return
    if place == ("version",):
        title = "this Rollbook knows version 1 of the format only"
        document.report("RB106", title, document.value(place), "write 1, or install the Rollbook it is for")
        return
    title, label = _words(found)
    document.report("RB105", f"{_name(place)} {title}", document.value(place), label)


def _place(document: Document, loc: tuple[str | int, ...]) -> Place:
    """Pydantic's place without what is not in the file: tags of unions, `[key]`."""
    place: Place = ()
    for step in loc:
        if (*place, step) in document.spots or step not in UNION_TAGS | {"[key]"}:
            place = (*place, step)
    return place


def _unknown(document: Document, place: Place, _: Mapping[str, Any]) -> None:
    known = allowed_keys(place[:-1], _type_at(document, place[:2]))
    near = suggest(str(place[-1]), known)
    notes = (f"did you mean: {near}",) if near else (f"there are: {', '.join(known)}",)
    document.report("RB103", f"there is no key {place[-1]} here", document.key(place), "", *notes)


def _type_at(document: Document, place: Place) -> object:
    """The type that a source or target says it has."""
    found: Any = document.data
    for step in place:
        found = found.get(step) if isinstance(found, dict) else None
    return found.get("type") if isinstance(found, dict) else None


def _no_kind(document: Document, place: Place, found: Mapping[str, Any]) -> None:
    if (*place, "type") not in document.spots:
        _missing(document, (*place, "type"), found)
        return
    choices = ", ".join(SOURCES)
    near = suggest(str(_type_at(document, place)), list(SOURCES))
    mark = document.value((*place, "type"))
    notes = (f"did you mean: {near}",) if near else ()
    document.report(
        "RB105", f"type of {_name(place)} is not one of the choices", mark, f"write {choices}", *notes
    )


def _missing(document: Document, place: Place, _: Mapping[str, Any]) -> None:
    where = document.key(place[:-1])
    document.report(
        "RB104",
        f"{_name(place[:-1])} needs {place[-1]}",
        where,
        f"no {place[-1]} here",
        _HINTS.get(place[-1]),
    )


def _bad_name(document: Document, place: Place, found: Mapping[str, Any]) -> None:
    if found["loc"][-1] == "[key]":
        label = "use letters, digits, hyphens, dots and underscores, at most 64"
        document.report("RB105", f"{place[-1]} cannot be a name", document.key(place), label)
    else:
        label = "write http://host/path or https://host/path, without user, query and fragment"
        document.report("RB105", f"{_name(place)} is not a base URL", document.value(place), label)


def _not_one(document: Document, place: Place, _: Mapping[str, Any]) -> None:
    document.report(
        "RB109",
        f"{_name(place)} is not one rule",
        document.key(place),
        "write one of from, value, expr and unique",
    )


_TELL: Mapping[str, Callable[[Document, Place, Mapping[str, Any]], None]] = {
    "extra_forbidden": _unknown,
    "missing": _missing,
    "string_pattern_mismatch": _bad_name,
    "value_error": _not_one,
    "union_tag_not_found": _no_kind,
    "union_tag_invalid": _no_kind,
}
"""Findings with a form of their own."""

_HINTS: Mapping[str | int, str] = {
    "version": "write: version: 1",
    "type": "a source is of type csv, jsonl, sql, scim, ldap, rollbook or webhook, a target of type scim",
    "secret": "secret: ${NAME_OF_A_VARIABLE}, file:/run/secrets/name or command:…",
    "column": "column: the one that says when a record was changed last, such as updated_at",
    "key": "key: the column that identifies a person for ever, such as employee_id",
    "token": "token: ${NAME_OF_A_VARIABLE}, file:/run/secrets/name or command:…",
    "users": "users: {userName: {from: …}}",
}


def _words(found: Mapping[str, Any]) -> tuple[str, str]:
    kind, context = str(found["type"]), found.get("ctx", {})
    match kind:
        case "literal_error":
            return "is not one of the choices", f"write {context['expected']}"
        case "string_type":
            return "must be text", "put it in quotes if it is a number or true"
        case "string_too_short" | "too_short":
            return "is empty", "write at least one"
        case "string_too_long":
            return "is too long", f"at most {context['max_length']} character"
        case "bool_type":
            return "must be true or false", "without quotes"
        case "int_type" | "float_type":
            return "must be a number", "without quotes"
        case "dict_type" | "model_type" | "model_attributes_type":
            return "must be a mapping", "write keys and values below it"
        case "list_type" | "tuple_type":
            return "must be a list", "write each value after a hyphen, or in [ ]"
        case _:
            return "is out of range", str(found["msg"]).replace("Input should be", "must be")


def _name(place: Place) -> str:
    """The place in words: `users.userName of source hr`."""
    match place:
        case ():
            return "the file"
        case ("sources" | "targets" as section, str() as name, *rest):
            thing = f"{section[:-1]} {name}"
            return f"{_steps(rest)} of {thing}" if rest else thing
        case _:
            return _steps(place)


def _steps(steps: Iterable[str | int]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).removeprefix(".")
