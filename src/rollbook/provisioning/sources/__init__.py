"""Where people come from."""

from collections.abc import Callable, Mapping
from pathlib import Path

from rollbook.provisioning import model
from rollbook.provisioning.sources.base import Source
from rollbook.provisioning.sources.csv_file import CsvFile


def source_of(source: model.Source) -> Source:
    """The place a source of the configuration describes, not yet opened."""
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
    from rollbook.provisioning.sources.sql import sql

    return sql(source.options["url"], source.options["query"], source.key, source.columns)


def _scim(source: model.Source) -> Source:
    from rollbook.client import GuardedTransport, PyqwestTransport, ScimClient
    from rollbook.provisioning.sources.scim_server import scim_server

    url, token = source.options["url"], source.options["token"]
    private = bool(source.options.get("private"))

    def connect() -> ScimClient:
        guarded = GuardedTransport(lambda addresses: PyqwestTransport(addresses=addresses), private=private)
        return ScimClient(url, token, transport=guarded)

    return scim_server(connect, url, source.options.get("filter"), source.key, source.columns)


def _ldap(source: model.Source) -> Source:
    from rollbook.provisioning.sources.ldap_directory import Directory, ldap_directory

    options = {name: value for name, value in source.options.items() if name != "shown"}
    options["attributes"] = tuple(options.get("attributes", ()))
    return ldap_directory(Directory(**options), source.key, source.columns)


_MAKERS: Mapping[str, Callable[[model.Source], Source]] = {
    "csv": _csv,
    "jsonl": _json_lines,
    "sql": _sql,
    "scim": _scim,
    "ldap": _ldap,
}
"""How each type is made. What it needs is imported when there is one."""
