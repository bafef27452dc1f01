"""The configuration as it is followed: what is written, what a profile says, and defaults; where each value is from.

Secrets are named as the file names them, never looked up. Rules are shown as they are written.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from rollbook.protocol.values import JsonValue
from rollbook.provisioning.config.command import command_name
from rollbook.provisioning.config.document import SECRET_REFERENCE, Document, Place
from rollbook.provisioning.config.load import Loaded
from rollbook.provisioning.config.rule_shapes import RuleShape
from rollbook.provisioning.config.sections import TargetRules
from rollbook.provisioning.masking import MASK
from rollbook.provisioning.profile import Rate

_URL_PASSWORD = re.compile(r"(://[^/@\s:]*):[^/@\s]*@")


@dataclass(frozen=True)
class Setting:
    """One value, its place in the file or where it would stand, and where it is from."""

    place: Place
    value: JsonValue
    origin: str


def settings_of(loaded: Loaded, environment: Mapping[str, str]) -> tuple[Setting, ...]:
    """Every value that is followed, in the order of the format. None without a shape."""
    if loaded.shape is None:
        return ()
    found = []
    for place, value in _leaves((), _plain(loaded.shape)):
        rules = loaded.targets.get(str(place[1])) if place[0] == "targets" and len(place) > 1 else None
        if rules is not None and place[2:3] in {("rate",), ("concurrency",), ("clear",)}:
            continue
        found.append(Setting(place, _shown(value), _origin(loaded.document, place, value, environment)))
    for name, rules in loaded.targets.items():
        at = max(index for index, one in enumerate(found) if one.place[:2] == ("targets", name)) + 1
        found[at:at] = _by_profile(loaded.document, ("targets", name), rules, loaded)
    return tuple(found)


def nested(settings: tuple[Setting, ...]) -> JsonValue:
    """The values as the file has them."""
    top: dict[Any, Any] = {}
    for one in settings:
        holder = top
        for step in one.place[:-1]:
            holder = holder.setdefault(step, {})
        holder[one.place[-1]] = one.value
    return _lists(top)


def _lists(value: Any) -> JsonValue:
    if not isinstance(value, dict):
        return value
    held = {key: _lists(one) for key, one in value.items()}
    return list(held.values()) if held and all(isinstance(key, int) for key in held) else held


def _plain(value: Any) -> Any:
    """A shape as data: without what is not there, rules without their defaults."""
    match value:
        case RuleShape():
            return _plain(value.model_dump(by_alias=True, exclude_unset=True))
        case BaseModel():
            fields = type(value).model_fields
            held = {(field.alias or name): getattr(value, name) for name, field in fields.items()}
            held |= value.model_extra or {}
            return {name: _plain(one) for name, one in held.items() if one is not None}
        case Mapping():
            return {name: _plain(one) for name, one in value.items()}
        case list() | tuple():
            return [_plain(one) for one in value]
        case _:
            return value


def _leaves(place: Place, value: Any) -> Iterator[tuple[Place, Any]]:
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not value or not isinstance(value, dict | list):
        yield place, value
    for step, held in steps:
        yield from _leaves((*place, step), held)


def _shown(value: Any) -> JsonValue:
    if not isinstance(value, str):
        return value
    found = SECRET_REFERENCE.match(value)
    if found and found[3]:
        return f"command:{command_name(found[3])} …"  # arguments may be secrets themselves
    return _URL_PASSWORD.sub(rf"\1:{MASK}@", value)


def _origin(document: Document, place: Place, value: Any, environment: Mapping[str, str]) -> str:
    if place not in document.spots:
        return "default"
    told = f"{document.path}:{document.value(place).line}"
    found = SECRET_REFERENCE.match(value) if isinstance(value, str) else None
    if found is None:
        return told
    variable, file, command = found.groups()
    if variable:
        is_set = "" if environment.get(variable) else ", which is not set"
        return f"{told}, environment variable {variable}{is_set}"
    return f"{told}, file {file}" if file else f"{told}, command {command_name(command)}"


def _by_profile(document: Document, place: Place, rules: TargetRules, loaded: Loaded) -> Iterator[Setting]:
    """What a profile may say better than the defaults."""
    shape = loaded.shape
    written = shape.targets[str(place[1])].concurrency if shape is not None else 0
    profile = rules.profile
    said = f"profile {profile.name}"

    def origin(key: str, *, by_profile: bool) -> str:
        if by_profile:
            return said
        return _origin(document, (*place, key), None, {})

    most = min(written, profile.concurrency or written)
    yield Setting((*place, "concurrency"), most, origin("concurrency", by_profile=most < written))
    is_told = (*place, "clear") in document.spots
    yield Setting(
        (*place, "clear"), str(rules.clear), origin("clear", by_profile=not is_told and bool(profile.clear))
    )
    own = (*place, "rate") in document.spots
    for index, rate in enumerate(rules.rate):
        for key, value in _rate(rate).items():
            yield Setting((*place, "rate", index, key), value, origin("rate", by_profile=not own))
    if not rules.rate:
        yield Setting((*place, "rate"), [], "default")


def _rate(rate: Rate) -> dict[str, JsonValue]:
    told: dict[str, JsonValue] = {"requests": rate.requests, "per": f"{rate.per / 1000:g}s"}
    told |= {"methods": sorted(rate.methods)} if rate.methods else {}
    told |= {"resource": rate.resource} if rate.resource else {}
    return told | {"burst": rate.most_at_once}
