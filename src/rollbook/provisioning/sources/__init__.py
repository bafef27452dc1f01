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


_MAKERS: Mapping[str, Callable[[model.Source], Source]] = {"csv": _csv}
