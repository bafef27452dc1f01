"""Everything that can be found wrong with rollbook.yaml without running it, the files it names included."""

import codecs
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rollbook.protocol.catalog import Catalog
from rollbook.provisioning.config.document import Document
from rollbook.provisioning.config.load import Loaded, load
from rollbook.provisioning.config.problems import Problem
from rollbook.provisioning.config.rules import Use
from rollbook.provisioning.names import suggest
from rollbook.provisioning.sources.base import SourceError
from rollbook.provisioning.sources.csv_file import CsvFile


def check_config(
    path: Path, catalog: Catalog, environment: Mapping[str, str], *, secrets: bool = True
) -> tuple[Problem, ...]:
    """Every mistake in the file, in its order. Sources that are not there yet are not looked into.

    Without `secrets` it does not matter whether these are there.

    Raises:
        OSError: the file cannot be read.
    """
    return problems_of(looked_into(path, catalog, environment, secrets=secrets))


def problems_of(loaded: Loaded) -> tuple[Problem, ...]:
    """Every mistake that was found, in the order of the file."""
    return tuple(sorted(loaded.document.problems, key=lambda one: (one.mark.line, one.mark.column)))


def looked_into(
    path: Path, catalog: Catalog, environment: Mapping[str, str], *, secrets: bool = True
) -> Loaded:
    """The file, read and looked into as far as `check_config` does; mistakes are in its document.

    Raises:
        OSError: it cannot be read.
    """
    loaded = load(path, catalog, environment, secrets=secrets)
    for name, rules in loaded.sources.items():
        file = _file(loaded, name, Path(rules.path))
        if file is not None and Path(rules.path).exists():
            _check_columns(loaded.document, name, file, rules.uses)
    return loaded


def _file(loaded: Loaded, name: str, path: Path) -> CsvFile | None:
    """The source as far as its section can be understood, or None."""
    raw: dict[str, Any] = loaded.document.data["sources"][name]
    encoding, delimiter, key = raw.get("encoding"), raw.get("delimiter", ","), raw.get("key")
    if raw.get("type") != "csv" or not isinstance(raw.get("path"), str) or not isinstance(key, str):
        return None
    if not isinstance(delimiter, str) or len(delimiter) != 1:
        return None
    try:
        codecs.lookup(encoding or "utf-8")
    except (LookupError, TypeError):
        return None
    return CsvFile(path, key, encoding=encoding, delimiter=delimiter)


def _check_columns(document: Document, name: str, file: CsvFile, uses: Iterable[Use]) -> None:
    try:
        columns = file.columns()
    except SourceError as error:
        document.report(
            "RB115", "the source cannot be read", document.value(("sources", name, "path")), error.detail
        )
        return
    for use in uses:
        if use.optional or use.column in columns:
            continue
        near = suggest(use.column, columns)
        document.report(
            "RB114",
            "a rule reads a column that the source does not have",
            use.mark,
            f'not in source "{name}" (csv, {len(columns)} columns)',
            f"did you mean: {near}" if near else f"it has: {', '.join(columns)[:300]}",
        )
