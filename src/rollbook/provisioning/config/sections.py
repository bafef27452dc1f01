"""The sections of the file, one source and one target at a time: rules, scopes and secrets in them.

Reads the plain data rather than the checked shape, so that a mistake in one place hides none in another.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rollbook.protocol.catalog import Catalog
from rollbook.protocol.errors import InvalidFilter, ScimError
from rollbook.protocol.filter_parser import parse_filter
from rollbook.protocol.quirks import RFC, Leniency
from rollbook.protocol.resolve import resolve
from rollbook.protocol.resolved import ResolvedFilter, paths
from rollbook.protocol.schema import AttributePath, ResourceType
from rollbook.protocol.values import JsonValue
from rollbook.provisioning import model
from rollbook.provisioning.config.access import AccessReader
from rollbook.provisioning.config.authority import AuthorityReader
from rollbook.provisioning.config.document import Document, Place
from rollbook.provisioning.config.drifts import DriftReader
from rollbook.provisioning.config.fit import Wanted, is_reference
from rollbook.provisioning.config.joining import JoinReader
from rollbook.provisioning.config.options import OptionReader
from rollbook.provisioning.config.profiles import ProfileReader
from rollbook.provisioning.config.rules import CLEARS, RuleReader, Use
from rollbook.provisioning.config.secret import read_secret
from rollbook.provisioning.config.tables import read_tables
from rollbook.provisioning.config.times import TimeReader
from rollbook.provisioning.expressions import Subject
from rollbook.provisioning.mapping import CopyAttribute, CopyColumn, Unique, expressions
from rollbook.provisioning.names import Names
from rollbook.provisioning.profile import NO_PROFILE, Profile, Rate
from rollbook.provisioning.schedule import Quiet, Schedule


@dataclass(frozen=True)
class SourceRules:
    """What the section of a source says in rules, and which columns it reads where."""

    users: model.ObjectMapping
    references: tuple[model.Assignment, ...]
    names: tuple[model.Assignment, ...]
    groups: tuple[model.GroupRule, ...]
    columns: tuple[str, ...]
    path: str
    uses: tuple[Use, ...] = field(repr=False)
    options: Mapping[str, Any] = field(repr=False)
    schedule: Schedule | None = None
    changes: model.Changes | None = None
    tables: str = ""
    """Changes with the content of the tables that rules look in; empty without any."""
    join: tuple[model.JoinRule, ...] = ()


@dataclass(frozen=True)
class TargetRules:
    """What the section of a target says in rules."""

    token: str = field(repr=False)
    scope: ResolvedFilter | None
    users: model.ObjectMapping
    groups: model.TargetGroups | None
    quiet: Quiet | None = None
    profile: Profile = NO_PROFILE
    rate: tuple[Rate, ...] = ()
    leave: model.LeavePolicy = model.LeavePolicy.same(model.Leave.DISABLE)  # noqa: RUF009 - it is frozen
    access: model.Access = model.Access()  # noqa: RUF009 - it is frozen
    protect: ResolvedFilter | None = None
    clear: model.Clear = model.Clear.REMOVE
    """Where a rule does not say it."""
    audit: Schedule | None = None
    tables: str = ""
    """Changes with the content of the tables that rules look in; empty without any."""
    expires: int | None = None
    """When the credentials end, as the file says."""


class SectionReader:
    """Reads what the shape does not check: names, rules, filters and secrets, section by section."""

    def __init__(
        self, document: Document, folder: Path, catalog: Catalog, environment: Mapping[str, str]
    ) -> None:
        self._document = document
        self._folder = folder
        self._environment = environment
        user, group = catalog.resource_type("User"), catalog.resource_type("Group")
        if user is None or group is None:
            raise ValueError("a catalog always has User and Group")
        self._user, self._group = Names(user), Names(group)
        self._all = tuple(map(Names, catalog.resource_types))
        self._options = OptionReader(document, folder, environment)
        self._times = TimeReader(document)
        self._joining = JoinReader(document, self._user)
        self._authority = AuthorityReader(document, self._user)
        self._profiles = ProfileReader(document)
        self._access = AccessReader(document, folder, environment)
        self._tables = read_tables(document, folder)

    def sources(self) -> dict[str, SourceRules]:
        """The rules of every source."""
        return {name: self._source(("sources", name), raw) for name, raw in self._section("sources")}

    def settled(self, sources: Mapping[str, model.Source]) -> dict[str, model.Source]:
        """The sources, each knowing which attributes and people it shares with others."""
        return self._authority.settle(sources)

    def targets(self) -> dict[str, TargetRules]:
        """The rules of every target."""
        return {name: self._target(("targets", name), raw) for name, raw in self._section("targets")}

    def drifts(
        self, sources: Mapping[str, SourceRules], targets: Mapping[str, TargetRules]
    ) -> dict[str, model.DriftPolicy | None]:
        """What every target's file says of drift; sources are asked who owns what."""
        owned = {
            name: [one.path for one in (*rules.users.assignments, *rules.references)]
            for name, rules in sources.items()
        }
        reader = DriftReader(self._document, self._user, owned)
        return {
            name: reader.policy(("targets", name, "drift"), raw.get("drift"), targets[name].users)
            for name, raw in self._section("targets")
        }

    def sensitive(self) -> frozenset[str]:
        """The attributes that are masked, by their full names in small letters. One that no schema has is a mistake."""
        data = self._document.data
        written = data.get("sensitive") if isinstance(data, dict) else None
        found: set[str] = set()
        for index, name in enumerate(written if isinstance(written, list) else ()):
            named = [
                names.find(str(name)) or names.resource_type.find_in_extensions(str(name))
                for names in self._all
            ]
            paths = {path.text.lower() for path in named if path is not None}
            if not paths:
                near = self._user.suggest(str(name))
                mark = self._document.value(("sensitive", index))
                note = f"did you mean: {near}" if near else None
                self._document.report("RB107", f"no schema has an attribute {name}", mark, "", note)
            found |= paths
        return frozenset(found)

    def alerts(self) -> model.Alerts:
        """Who is told what needs somebody."""
        data = self._document.data
        raw = data.get("alerts") if isinstance(data, dict) else None
        if not isinstance(raw, dict):
            return model.Alerts()
        return self._options.alerts(("alerts",), raw)

    def _section(self, name: str) -> list[tuple[str, dict[str, Any]]]:
        data = self._document.data
        section = data.get(name) if isinstance(data, dict) else None
        items = section.items() if isinstance(section, dict) else ()
        return [(key, raw) for key, raw in items if isinstance(raw, dict)]

    def _source(self, place: Place, raw: dict[str, Any]) -> SourceRules:
        reader = RuleReader(self._document, self._user, Subject.RECORD, tables=self._tables)
        if isinstance(raw.get("key"), str):
            reader.uses.append(Use(raw["key"], self._document.value((*place, "key"))))
        mapping = reader.mapping((*place, "users"), raw.get("users"))
        if isinstance(raw.get("users"), dict) and raw.get("create") is not False:
            reader.require((*place, "users"))
        join = self._joining.rules((*place, "join"), raw.get("join"), reader)
        references = tuple(one for one in mapping.assignments if is_reference(one.path))
        names = tuple(one for one in mapping.assignments if isinstance(one.rule, Unique))
        plain = tuple(
            one
            for one in mapping.assignments
            if not is_reference(one.path) and not isinstance(one.rule, Unique)
        )
        groups = self._source_groups((*place, "groups"), raw.get("groups"), reader)
        if isinstance(raw.get("encoding"), str):
            self._check_encoding((*place, "encoding"), raw["encoding"])
        columns = tuple(dict.fromkeys(use.column for use in reader.uses if not use.optional))
        options = self._options.read(place, raw)
        where = str(self._folder / str(raw.get("path"))) if "path" in raw else options.get("shown", "")
        return SourceRules(
            model.ObjectMapping(plain),
            references,
            names,
            groups,
            columns,
            where,
            tuple(reader.uses),
            options,
            self._times.schedule((*place, "schedule"), raw.get("schedule")),
            self._changes(place, raw),
            self._used_tables(
                [*(one.rule for one in mapping.assignments), *(group.display_name for group in groups)]
            ),
            join,
        )

    def _used_tables(self, rules: Iterable[model.Rule]) -> str:
        """Changes with the content of the tables that these rules look in."""
        return self._tables.digest(
            {name for rule in rules for found in expressions(rule) for name in found.tables}
        )

    def _changes(self, place: Place, raw: dict[str, Any]) -> model.Changes | None:
        found = self._times.changes((*place, "changes"), raw.get("changes"))
        if found and raw.get("type") == "ldap" and str(raw.get("key")).lower() != "entryuuid":
            mark = self._document.value((*place, "key"))
            reason = "a directory tells who is gone by entryUUID only"
            self._document.report("RB105", "changes need the key entryUUID", mark, reason)
        return found

    def _source_groups(self, place: Place, raw: JsonValue, reader: RuleReader) -> tuple[model.GroupRule, ...]:
        found: list[model.GroupRule] = []
        for index, item in enumerate(raw if isinstance(raw, list) else ()):
            column = item.get("from") if isinstance(item, dict) else None
            if not isinstance(column, str) or not column:
                continue
            here = (*place, index)
            reader.uses.append(Use(column, self._document.value((*here, "from"))))
            name = CopyColumn(column)
            if "displayName" in item:
                rule = reader.rule((*here, "displayName"), item["displayName"], self._display_name)
                reader.refuse_way((*here, "displayName"), item["displayName"])
                found += [model.GroupRule(column, rule)] if rule else []
            else:
                found.append(model.GroupRule(column, name))
        return tuple(found)

    @property
    def _display_name(self) -> Wanted:
        return Wanted(self._group_path("displayName"), many=False)

    def _group_path(self, name: str) -> AttributePath:
        path = self._group.find(name)
        if path is None:
            raise ValueError(f"a group always has {name}")
        return path

    def _check_encoding(self, place: Place, name: str) -> None:
        try:
            "".encode(name)
        except (LookupError, ValueError):
            label = "such as utf-8, cp1252, iso-8859-15 or utf-16"
            self._document.report("RB105", f"{name} is no encoding", self._document.value(place), label)

    def _target(self, place: Place, raw: dict[str, Any]) -> TargetRules:
        profile = self._profiles.profile(place, raw)
        clear = model.Clear(profile.clear or "remove")
        if "clear" in raw:
            clear = CLEARS.get(raw["clear"], clear)
        reader = RuleReader(self._document, self._user, Subject.USER, self._user, self._tables, clear)
        users = reader.mapping((*place, "users"), raw.get("users"))
        if isinstance(raw.get("users"), dict):
            reader.require((*place, "users"))
        token = raw.get("token")
        secret = None
        if isinstance(token, str) and token:
            secret = read_secret(self._document, (*place, "token"), token, self._folder, self._environment)
        scope = self._scope((*place, "scope"), raw.get("scope"), self._user)
        protect = self._scope((*place, "protect"), raw.get("protect"), self._user)
        quiet = self._times.quiet((*place, "quiet"), raw.get("quiet"))
        flattens = not profile.nesting
        groups = self._target_groups((*place, "groups"), raw.get("groups"), clear, flattens=flattens)
        self._profiles.check(place, raw, profile, users)
        rate = self._profiles.rate((*place, "rate"), raw.get("rate")) or profile.rate
        access = self._access.access(place, raw)
        leave = self._times.leave((*place, "leave"), raw.get("leave", "disable"))
        every = (*users.assignments, *(groups.mapping.assignments if groups else ()))
        tables = self._used_tables(one.rule for one in every)
        audit = self._times.schedule((*place, "audit"), raw.get("audit"))
        return TargetRules(
            secret or "",
            scope,
            users,
            groups,
            quiet,
            profile,
            rate,
            leave,
            access,
            protect,
            clear,
            audit,
            tables,
            self._times.moment((*place, "expires"), raw.get("expires")),
        )

    def _target_groups(
        self, place: Place, raw: JsonValue, clear: model.Clear, *, flattens: bool
    ) -> model.TargetGroups | None:
        if not isinstance(raw, dict):
            return None
        reader = RuleReader(self._document, self._group, Subject.GROUP, self._group, self._tables, clear)
        rules = {name: raw[name] for name in ("displayName", "externalId") if raw.get(name) is not None}
        mapping = reader.mapping(place, rules)
        if "displayName" not in rules:
            path = self._group_path("displayName")
            own = model.Assignment(path, CopyAttribute(Subject.GROUP, path))
            mapping = model.ObjectMapping((own, *mapping.assignments))
        scope = self._scope((*place, "scope"), raw.get("scope"), self._group)
        text = raw.get("scope")
        flat = raw.get("nested", "flatten" if flattens else "keep") == "flatten"
        return model.TargetGroups(
            scope, mapping, raw.get("members") is not False, text if isinstance(text, str) else None, flat
        )

    def _scope(self, place: Place, text: JsonValue, names: Names) -> ResolvedFilter | None:
        if not isinstance(text, str):
            return None
        expanded = names.expand_filter(text)
        try:
            return _resolved(expanded.text, names.resource_type)
        except ScimError as error:
            place_in_text = _column(error.detail)
            mark = self._document.value(place)
            if place_in_text is not None:
                mark = self._document.inside(place, expanded.original(place_in_text - 1))
            reason = names.abbreviate(re.sub(r"^filter(, column \d+)?: ", "", error.detail))
            self._document.report("RB111", f"the {place[-1]} is not a filter", mark, reason)
            return None


def _resolved(text: str, resource_type: ResourceType) -> ResolvedFilter:
    """The filter on what the hub stores.

    Raises:
        InvalidFilter: it is none, or tests what is made of a reference when it is read over SCIM.
    """
    strict = Leniency(RFC)
    scope = resolve(parse_filter(text, strict), resource_type, strict)
    for path in paths(scope):
        known = resource_type.references.made_of(path)
        if known is not None:
            raise InvalidFilter(f"filter: {path.text} is not stored; write {known.text}")
    return scope


def _column(detail: str) -> int | None:
    found = re.match(r"filter, column (\d+)", detail)
    return int(found[1]) if found else None
