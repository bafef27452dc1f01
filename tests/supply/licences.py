"""What Rollbook builds on is under licences that let it be used and passed on: part of `make check` (T-93).

Licences are read from the metadata of what is installed, so that no network is asked.
"""

import re
import sys
from collections.abc import Iterable
from importlib.metadata import Distribution, distributions

ALLOWED = frozenset(
    {
        "0BSD",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "CC0-1.0",
        "ISC",
        "MIT",
        "MIT-0",
        "MPL-2.0",
        "PSF-2.0",
        "Unlicense",
    }
)
"""SPDX names. MPL-2.0 asks for nothing as long as its own files are not changed."""

LESSER = {"psycopg", "psycopg-binary", "psycopg-pool", "python-ldap"}
"""Those that may be LGPL as well, being in an extra: who does not ask for it has none."""

CHOSEN = {"apsw": "MIT", "docutils": "BSD-2-Clause"}
"""Those whose metadata says something else: apsw is under any licence of the OSI, as one likes; of docutils one file for an editor,
which is not installed, is under the GPL."""

WORDS = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "DFSG approved": "MIT",  # stands beside the licence itself
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Public Domain": "CC0-1.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
}
"""Names from before there were SPDX expressions in metadata."""


def permits(expression: str, allowed: Iterable[str] = ALLOWED) -> bool:
    """Whether an SPDX expression leaves a way by licences that are allowed alone."""
    known = set(allowed)
    tokens = re.findall(r"[()]|[\w.+-]+", expression)

    def either(at: int) -> tuple[bool, int]:
        value, at = both(at)
        while at < len(tokens) and tokens[at] == "OR":
            other, at = both(at + 1)
            value = value or other
        return value, at

    def both(at: int) -> tuple[bool, int]:
        value, at = one(at)
        while at < len(tokens) and tokens[at] == "AND":
            other, at = one(at + 1)
            value = value and other
        return value, at

    def one(at: int) -> tuple[bool, int]:
        if at < len(tokens) and tokens[at] == "(":
            value, at = either(at + 1)
            return value, at + 1
        return at < len(tokens) and tokens[at] in known, at + 1

    value, end = either(0)
    return value and end == len(tokens)


def licence(package: Distribution) -> str:
    """What its metadata says, as an SPDX expression; the words as they are if they are none that is known."""
    said = package.metadata
    name = said["Name"].lower()
    if name in CHOSEN:
        return CHOSEN[name]
    if expression := said.get_all(
        "License-Expression"
    ):  # not said[…]: from Python 3.12 that warns of what is not there
        return str(expression[0])
    classified = [
        line.rpartition(" :: ")[2]
        for line in said.get_all("Classifier") or ()
        if line.startswith("License ::") and line.count("::") > 1
    ]
    if classified:  # whether several are a choice is not said
        return " AND ".join(WORDS.get(words, re.sub(r"\W+", "-", words)) for words in classified)
    words = "".join(said.get_all("License") or ()).strip()
    if re.match(r"Apache License\s+Version 2\.0", words):
        return "Apache-2.0"
    return WORDS.get(words, words)


def refused() -> list[str]:
    """Each package that is installed and whose licence is none of those, with the licence."""
    found = []
    for package in distributions():
        name = package.metadata["Name"].lower()
        allowed = ALLOWED | {"LGPL-3.0-only", "LGPL-2.1-or-later"} if name in LESSER else ALLOWED
        if not permits(licence(package), allowed):
            found.append(f"{name} {package.version}: {licence(package)[:80] or 'no licence'}")
    return sorted(found)


if __name__ == "__main__":
    names = refused()
    print(
        "\n".join(names) if names else f"licences: all of {len(list(distributions()))} packages are allowed"
    )
    sys.exit(bool(names))
