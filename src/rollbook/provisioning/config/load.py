"""rollbook.yaml → `model.Config`, or every mistake in it at once."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from rollbook.protocol.catalog import Catalog
from rollbook.protocol.values import JsonValue
from rollbook.provisioning import model
from rollbook.provisioning.config.document import Document, read_document
from rollbook.provisioning.config.problems import ConfigError, Mark
from rollbook.provisioning.config.sections import SectionReader, SourceRules, TargetRules
from rollbook.provisioning.config.shape import ConfigShape
from rollbook.provisioning.config.source_shapes import SourceShape
from rollbook.provisioning.config.structure import check_structure
from rollbook.provisioning.config.target_shapes import TargetShape
from rollbook.provisioning.credentials import earliest, end_of_token
from rollbook.provisioning.mapping import describe
from rollbook.provisioning.profile import Profile

_DIGEST_FORMAT = 1
"""Raised when the same rules begin to mean something else: all links are looked at again then."""


@dataclass(frozen=True)
class Loaded:
    """A file that was read: its configuration unless it has mistakes, its shape, and the rules of its sources and targets."""

    document: Document
    config: model.Config | None
    sources: Mapping[str, SourceRules]
    shape: ConfigShape | None = None
    targets: Mapping[str, TargetRules] = field(default_factory=dict)


def load_config(path: Path, catalog: Catalog, environment: Mapping[str, str]) -> model.Config:
    """The configuration in a file.

    Raises:
        ConfigError: with every mistake found, each with its place in the file.
        OSError: the file cannot be read.
    """
    loaded = load(path, catalog, environment)
    if loaded.config is None:
        raise ConfigError(tuple(loaded.document.problems))
    return loaded.config


def load(path: Path, catalog: Catalog, environment: Mapping[str, str], *, secrets: bool = True) -> Loaded:
    """The same with mistakes left in `document.problems`, so that more can be checked before they are told.

    Without `secrets` none is looked up, and no command is run.
    """
    document = _decoded(str(path), path.read_bytes())
    document.secrets = secrets
    if document.data is None and document.problems:
        return Loaded(document, None, {})
    shape = check_structure(document)
    reader = SectionReader(document, path.parent, catalog, environment)
    sources, targets, alerts = reader.sources(), reader.targets(), reader.alerts()
    drifts = reader.drifts(sources, targets)
    hidden = reader.sensitive()
    if shape is None or document.problems:
        return Loaded(document, None, sources, shape, targets)
    people = {name: _source(name, shape.sources[name], rules) for name, rules in sources.items()}
    people = reader.settled(people)
    if document.problems:
        return Loaded(document, None, sources, shape, targets)
    config = model.Config(
        str(path),
        people,
        {
            name: _target(name, shape.targets[name], rules, hidden, drifts[name])
            for name, rules in targets.items()
        },
        hidden,
        shape.keep_days,
        alerts,
    )
    return Loaded(document, config, sources, shape, targets)


def _decoded(path: str, content: bytes) -> Document:
    try:
        return read_document(path, content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        document = Document(path, content.decode("utf-8", "replace"))
        line = content.count(b"\n", 0, error.start) + 1
        document.report("RB101", "the file is not UTF-8", Mark(line, 1), "save it as UTF-8")
        return document


def _source(name: str, shape: SourceShape, rules: SourceRules) -> model.Source:
    return model.Source(
        name=name,
        type=shape.type,
        path=rules.path,
        key=shape.key,
        users=rules.users,
        groups=rules.groups,
        missing=model.Leave(shape.missing),
        shrink_limit=shape.shrink_limit,
        references=rules.references,
        names=rules.names,
        columns=rules.columns,
        encoding=getattr(shape, "encoding", None),
        delimiter=getattr(shape, "delimiter", ","),
        options=rules.options,
        schedule=rules.schedule,
        changes=rules.changes,
        digest=_source_digest(shape, rules),
        join=rules.join,
        create=shape.create,
    )


def _target(
    name: str,
    shape: TargetShape,
    rules: TargetRules,
    sensitive: frozenset[str],
    drift: model.DriftPolicy | None,
) -> model.Target:
    return model.Target(
        name=name,
        url=shape.url.rstrip("/"),
        token=rules.token,
        scope=rules.scope,
        leave=rules.leave,
        users=rules.users,
        groups=rules.groups,
        digest=_digest(shape, rules),
        concurrency=min(shape.concurrency, rules.profile.concurrency or shape.concurrency),
        timeout=shape.timeout,
        settle=int(1000 * (rules.profile.settle if shape.settle is None else shape.settle)),
        brake=_brake(shape),
        sensitive=sensitive,
        scope_text=shape.scope,
        protect=rules.protect,
        protect_text=shape.protect,
        quiet=rules.quiet,
        temporary_names=shape.temporary_names,
        ends=earliest((rules.expires, end_of_token(rules.token))),
        audit=rules.audit,
        drift=drift,
        profile=_adjusted(rules.profile, shape),
        rate=rules.rate,
        access=rules.access,
    )


def _brake(shape: TargetShape) -> model.BrakeLimit | None:
    if shape.brake == "off":
        return None
    brake, arrivals = shape.brake, shape.brake.arrivals
    new = None if arrivals == "off" else model.ArrivalLimit(arrivals.share, arrivals.least)
    return model.BrakeLimit(brake.share, brake.least, brake.days, new)


def _source_digest(shape: SourceShape, rules: SourceRules) -> str:
    """A hash over all that decides what is read and what is made of it; without secrets, which may be renewed."""
    options = {name: value for name, value in rules.options.items() if name not in _SECRETS}
    parts: list[JsonValue] = [_DIGEST_FORMAT, shape.type, shape.key, rules.path]
    parts += [json.dumps(options, sort_keys=True, default=str), repr(rules.changes)]
    parts += [_described(rules.users), _described(model.ObjectMapping(rules.references))]
    parts.append([[group.column, describe(group.display_name)] for group in rules.groups])
    parts.append(rules.tables)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


_SECRETS = frozenset({"token", "password", "secrets", "url", "database"})
"""Options that are secrets, or may have one in them; where the source is stands in its path too."""


def _adjusted(profile: Profile, shape: TargetShape) -> Profile:
    """The profile with what the configuration says of its cells."""
    etags = profile.etags if shape.etags is None else shape.etags
    by_post = profile.search_by_post if shape.search_by_post is None else shape.search_by_post
    return replace(profile, etags=etags, search_by_post=by_post)


def _digest(shape: TargetShape, rules: TargetRules) -> str:
    """A hash over all that decides what is sent, however the file is laid out."""
    parts: list[JsonValue] = [_DIGEST_FORMAT, shape.url.rstrip("/"), _leave(shape), shape.scope]
    parts += [shape.profile] if shape.profile else []
    parts += [{"protect": shape.protect}] if shape.protect else []
    parts.append(_described(rules.users))
    if shape.groups is not None and rules.groups is not None:
        parts += [shape.groups.scope, rules.groups.members, _described(rules.groups.mapping)]
        parts += ["flatten"] if rules.groups.flat else []
    parts += [rules.tables] if rules.tables else []
    parts += ["temporary names"] if shape.temporary_names else []  # so that those who wait are tried again
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _leave(shape: TargetShape) -> JsonValue:
    return shape.leave if isinstance(shape.leave, str) else shape.leave.model_dump()


def _described(mapping: model.ObjectMapping) -> list[JsonValue]:
    return [_described_one(one) for one in mapping.assignments]


def _described_one(one: model.Assignment) -> list[JsonValue]:
    told: list[JsonValue] = [one.path.text, one.element, describe(one.rule)]
    return told if one.way == model.USUAL else [*told, str(one.way.apply), str(one.way.clear)]
