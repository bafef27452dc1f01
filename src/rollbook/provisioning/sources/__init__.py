"""Where people come from."""

from collections.abc import Callable, Mapping
from pathlib import Path

from rollbook.provisioning import model
from rollbook.provisioning.sources.base import Source
from rollbook.provisioning.sources.csv_file import CsvFile
from rollbook.provisioning.sources.webhook import Webhook, Within


def source_of(source: model.Source, within: Within | None = None) -> Source:
    """The place a source of the configuration describes, not yet opened; `within` is for those that wait in the hub itself."""
    if source.type == "webhook":
        return Webhook(source.name, source.key, source.columns, within)
    return _MAKERS[source.type](source)


def _csv(source: model.Source) -> Source:
    return CsvFile(
        Path(source.path),
        source.key,
        needed=source.columns,
        encoding=source.encoding,
        delimiter=source.delimiter,
    )


def _json_lines(source: model.Source) -> Source:
    from rollbook.provisioning.sources.json_lines import json_lines

    return json_lines(Path(source.path), source.key, source.columns)


def _sql(source: model.Source) -> Source:
    from rollbook.provisioning.sources.sql import Since, sql

    changes = source.changes
    since = None
    if changes is not None and changes.column is not None:
        since = Since(changes.column, changes.query, changes.overlap)
    return sql(source.options["url"], source.options["query"], source.key, source.columns, since)


def _scim(source: model.Source) -> Source:
    from rollbook.client import GuardedTransport, PyqwestTransport, ScimClient
    from rollbook.provisioning.sources.scim_server import scim_server

    url, token = source.options["url"], source.options["token"]
    private = bool(source.options.get("private"))

    def connect() -> ScimClient:
        guarded = GuardedTransport(lambda addresses: PyqwestTransport(addresses=addresses), private=private)
        return ScimClient(url, token, transport=guarded)

    overlap = source.changes.overlap if source.changes else None
    return scim_server(connect, url, source.options.get("filter"), source.key, source.columns, overlap)


def _ldap(source: model.Source) -> Source:
    from rollbook.provisioning.sources.ldap_directory import Directory, ldap_directory

    options = {name: value for name, value in source.options.items() if name != "shown"}
    options["attributes"] = tuple(options.get("attributes", ()))
    changes = source.changes is not None
    return ldap_directory(Directory(**options), source.key, source.columns, changes=changes)


def _rollbook(source: model.Source) -> Source:
    from rollbook.provisioning.sources.rollbook_store import rollbook_store

    return rollbook_store(source.options["database"], source.options["tenant"], source.key, source.columns)


_MAKERS: Mapping[str, Callable[[model.Source], Source]] = {
    "csv": _csv,
    "jsonl": _json_lines,
    "sql": _sql,
    "scim": _scim,
    "ldap": _ldap,
    "rollbook": _rollbook,
}
"""How each type is made. What it needs is imported when there is one."""
