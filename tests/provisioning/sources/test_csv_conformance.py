"""The suite of sources on CSV files."""

import csv
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.provisioning.sources.conformance import *  # noqa: F403 - the suite
from tests.provisioning.sources.conformance import Make

from rollbook.provisioning.sources.base import Source
from rollbook.provisioning.sources.csv_file import CsvFile


@pytest.fixture
def make_source(tmp_path: Path) -> Make:
    """A file with these records."""

    def make(records: Sequence[dict[str, str]], needed: tuple[str, ...] = ()) -> Source:
        path = tmp_path / "people.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["id", "name", "mail"], restval="")
            writer.writeheader()
            writer.writerows(records)
        return CsvFile(path, "id", needed=needed)

    return make
