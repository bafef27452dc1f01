"""Sphinx settings, and the tables that are made from the code so that they cannot grow old."""

import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import typer
from pydantic import BaseModel

sys.path.insert(
    0, str(Path(__file__).parents[1])
)  # the specification's table and the life cycles of clients are beside the package, not in it

from spec.table import count, deferred, rows
from tests.providers.life_cycle import LIFE_CYCLES, LifeCycle, Step

from rollbook import __version__
from rollbook.cli.main import app
from rollbook.operations.tenant_settings import SETTINGS, Limits
from rollbook.protocol import errors
from rollbook.protocol.quirks import CLIENTS, PROFILES, TABLE
from rollbook.provisioning import profile
from rollbook.provisioning.config import rule_shapes, shape, source_shapes, target_shapes
from rollbook.provisioning.config.problems import CODES
from rollbook.provisioning.functions import DESCRIPTIONS
from rollbook.server.requests import MOST_VALUES
from rollbook.storage.sql.search import PAGE_BYTES

project = "Rollbook"
author = "the Rollbook developers"
copyright = author
version = release = __version__

extensions = ["myst_parser"]
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_title = f"Rollbook {__version__}"
exclude_patterns = ["_build"]
myst_enable_extensions = ["substitution", "deflist"]
myst_heading_anchors = 3
smartquotes = False  # tables are full of options and of JSON


def table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    lines = [list(headings)]
    lines += [["---"] * len(lines[0]), *(list(row) for row in rows)]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def quirks() -> str:
    """Every quirk, what it accepts, where it comes from, and which profiles have it on."""
    rows = (
        (
            f"`{quirk}`",
            described.accepts,
            described.source,
            ", ".join(profile.name for profile in PROFILES.values() if quirk in profile.quirks),
        )
        for quirk, described in TABLE.items()
    )
    return table(("name", "what it accepts", "source", "on in"), rows)


def quirks_of(client: str) -> str:
    """The quirks that a client is known to need, those of no client in particular aside."""
    known = [
        (f"`{quirk}`", described.accepts)
        for quirk, described in TABLE.items()
        if client in described.clients and described.clients != CLIENTS
    ]
    return table(("name", "what it accepts"), known)


def requests_of(client: str) -> str:
    """What a client sends from its first day to its last, and what it is answered, as the tests play it."""
    cycles = [cycle for cycle in LIFE_CYCLES if cycle.client == client]
    return "\n\n".join(f"{cycle.about}:\n\n{_requests(cycle)}" for cycle in cycles)


def _requests(cycle: LifeCycle) -> str:
    shown: dict[tuple[str, ...], str] = {}  # what is sent twice in a phase is shown once
    for step in cycle.steps:
        if not _is_look_of_the_test(step):
            sent = (step.phase, _shown_request(step), _shown_body(step.body), _shown_answer(step))
            shown.setdefault(sent, f"{step.phase}: {step.about}" if step.about else step.phase)
    return table(
        ("when", "it sends", "with", "Rollbook answers"),
        ((when, *sent) for (_, *sent), when in shown.items()),
    )


def _is_look_of_the_test(step: Step) -> bool:
    """Whether a step reads what was just changed only to see that it was: clients do that less."""
    is_plain = re.fullmatch(r"GET /\w+/\$\{\w+\}", step.request) is not None
    return is_plain and not step.about and step.phase not in {"lookup", "update"}


def _shown_request(step: Step) -> str:
    request = re.sub(r"\$\{\w+\}", "{id}", unquote_plus(step.request))
    if step.phase == "paging import":
        request = re.sub(r"(startIndex|count)=\d+", r"\1=…", request)
    return f"`{request}`"


def _shown_body(body: Any) -> str:
    if body is None:
        return ""
    if "Operations" in body:
        text = json.dumps(body["Operations"], ensure_ascii=False)
        return f"`{re.sub(r'[$][{][a-z]+[}]', '…', text)}`"
    told = [f'`"active": {json.dumps(body["active"])}`'] if "active" in body else []
    told += [f"{len(body['members'])} members"] if "members" in body else []
    return ", ".join(("the whole resource", *told))


def _shown_answer(step: Step) -> str:
    shows = step.shows if isinstance(step.shows, dict) else {}
    if shows.get("totalResults") == 0:
        return f"{step.status}, an empty list"
    return f"{step.status} `{shows['scimType']}`" if "scimType" in shows else str(step.status)


def support_levels() -> str:
    """How many requirements of each level there are, are met, and wait."""
    levels = dict.fromkeys(row.level for row in rows())
    counts = {level: count((row for row in rows() if row.level == level), ()) for level in levels}
    return table(
        ("level", "requirements", "met", "not yet, or on purpose not"),
        ((level, str(of.rows), str(of.rows - of.deferred), str(of.deferred)) for level, of in counts.items()),
    )


def support() -> str:
    """Every requirement, by section."""
    parts = []
    for section in dict.fromkeys(row.section for row in rows()):
        lines = (
            (f"`{row.id}`", row.level, row.requirement, _support(row.id))
            for row in rows()
            if row.section == section
        )
        parts.append(f"## {section}\n\n{table(('id', 'level', 'requirement', 'met'), lines)}")
    return "\n\n".join(parts)


def _support(id: str) -> str:
    reason = deferred().get(id)
    if reason is None:
        return "yes"
    waits = reason.removeprefix("nothing: ")
    return f"no: {waits}" if waits != reason else f"waits for {reason}"


def tenant_settings() -> str:
    """Every setting of a tenant."""
    rows = (
        (f"`{name}`", f"`{_shown(each.default)}`" if _shown(each.default) else "", each.metadata["meaning"])
        for name, each in SETTINGS.items()
    )
    return table(("setting", "default", "meaning"), rows)


def _shown(value: Any) -> str:
    match value:
        case bool():
            return "on" if value else "off"
        case frozenset() | tuple():
            return ", ".join(sorted(map(str, value)))
        case _:
            return str(value)


def functions() -> str:
    """The functions of expressions."""
    return table(("function", "what it gives"), ((f"`{name}`", text) for name, text in DESCRIPTIONS.items()))


_UNTOLD = (None, (), {}, target_shapes.BrakeShape(), target_shapes.ArrivalsShape(), shape.AlertsShape())
"""Defaults that say nothing in a table."""


def keys(model: type[BaseModel]) -> str:
    """The keys of one part of rollbook.yaml."""
    rows = (
        (
            f"`{field.alias or name}`",
            "yes" if field.is_required() else "",
            "" if field.is_required() or field.default in _UNTOLD else f"`{field.default}`",
            field.description or "",
        )
        for name, field in model.model_fields.items()
    )
    return table(("key", "required", "default", "meaning"), rows)


def error_classes() -> str:
    """Every way in which Rollbook says no."""
    return table(
        ("class", "status", "scimType", "meaning"),
        (
            (f"`{cls.__name__}`", str(cls.status), f"`{cls.scim_type}`" if cls.scim_type else "", _fact(cls))
            for cls in _subclasses(errors.ScimError)
        ),
    )


def _subclasses(cls: type[errors.ScimError]) -> Iterator[type[errors.ScimError]]:
    for child in cls.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
            yield from _subclasses(child)


def _fact(cls: type) -> str:
    return " ".join((cls.__doc__ or "").partition("\n\n")[0].split())


def codes() -> str:
    """The codes of mistakes in rollbook.yaml."""
    return table(("code", "what is wrong"), ((f"`{code}`", text) for code, text in CODES.items()))


def limits() -> str:
    """The server's limits."""
    values = Limits()
    rows = (
        ("body of a request", f"{values.body_bytes // 2**20} MiB"),
        (
            "body of a bulk request",
            f"{values.bulk_bytes // 2**20} MiB, {values.bulk_operations:,} operations",
        ),
        ("body of a query (`.search`)", f"{values.search_bytes // 2**10} KiB"),
        ("body at `/admin/v1`", f"{values.administration_bytes // 2**20} MiB"),
        ("members and elements of a body", f"{MOST_VALUES:,}"),
        ("time to send a body", f"{values.body_seconds:.0f} s"),
        ("query string", f"{values.query_bytes // 2**10} KiB"),
        (
            "resources on a page",
            f"{values.page}, {values.default_page} if the client does not say; {PAGE_BYTES // 2**20} MiB of documents",
        ),
    )
    return table(("limit", "value"), rows)


def commands() -> str:
    """Every command with its arguments and options."""
    return "\n\n".join(_command(name, each) for name, each in walk(typer.main.get_command(app), "rollbook"))


def walk(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """The commands below a command, by full name."""
    children = getattr(command, "commands", None)
    if children is None:
        yield name, command
        return
    for child_name, child in children.items():
        yield from walk(child, f"{name} {child_name}")


def _command(name: str, command: Any) -> str:
    options = [parameter for parameter in command.params if getattr(parameter, "help", None)]
    names = {option: [*option.opts, *option.secondary_opts] for option in options}
    rows = (
        (f"`{', '.join(names[option])}`", option.help) for option in options if "--help" not in option.opts
    )
    described = table(("option", "meaning"), rows)
    return f"## `{name}`\n\n{' '.join((command.help or '').split())}\n\n{described}"


WITH_A_PAGE = ("entra", "okta", "onelogin", "jumpcloud", "keycloak", "authentik")
"""The clients that have a page of their own."""

myst_substitutions = {
    "quirks": quirks(),
    **{f"quirks_{name}": quirks_of(name) for name in WITH_A_PAGE},
    **{f"requests_{name}": requests_of(name) for name in WITH_A_PAGE},
    "support_levels": support_levels(),
    "support": support(),
    "tenant_settings": tenant_settings(),
    "functions": functions(),
    "config_keys": keys(shape.ConfigShape),
    "source_keys": keys(source_shapes.SourceShape),
    "source_group_keys": keys(source_shapes.SourceGroupShape),
    "target_keys": keys(target_shapes.TargetShape),
    "changes_keys": keys(source_shapes.SqlChangesShape),
    "schedule_keys": keys(rule_shapes.ScheduleShape),
    "quiet_keys": keys(target_shapes.QuietShape),
    "alert_keys": keys(shape.AlertsShape),
    "mail_keys": keys(shape.MailShape),
    "rate_keys": keys(target_shapes.RateShape),
    "profile_count": str(len(profile.names())),
    "oauth_keys": keys(target_shapes.OAuthShape),
    "leave_keys": keys(target_shapes.LeaveShape),
    "arrival_keys": keys(target_shapes.ArrivalsShape),
    "brake_keys": keys(target_shapes.BrakeShape),
    "target_group_keys": keys(target_shapes.TargetGroupsShape),
    "rule_keys": keys(rule_shapes.RuleShape),
    "table_keys": keys(shape.TableFileShape),
    "error_classes": error_classes(),
    "codes": codes(),
    "limits": limits(),
    "commands": commands(),
}
