# ruff: noqa: S101 - a suite of tests asserts
"""Conformance: texts that contain, begin or end with others, however a store finds them."""

import json
from collections.abc import Callable

import pytest

from rollbook.protocol.resource import Change
from rollbook.testing.store_steps import AUTHOR, TENANT, USER, FullStore, add_user, find, update, user

NAMES = (
    "annabelle", "Hannah", "ANNA", "bob", "o'brien", 'quo"te', "Åsa Öberg", "50%_off", "back\\slash",
    "日本語の名前", "a\nb c", "x" * 600 + " end",
)  # fmt: skip

PARTS = (
    "ann", "anna", "ANNA", "annah", "nnab", "an", "rien", "o'b", 'o"t', "öbe", "asa", "%_o", "0%_off", "k\\s",
    "語の名", "名前", "zzz", "b c", " end", "xxxx", "x" * 600,
)  # fmt: skip

HOLDS: dict[str, Callable[[str, str], bool]] = {
    "co": lambda name, part: part in name,
    "sw": lambda name, part: name.startswith(part),
    "ew": lambda name, part: name.endswith(part),
}


class TestTexts:
    """`co`, `sw` and `ew` find what comparing each text finds (P-3.4.2.2-03)."""

    pytestmark = pytest.mark.anyio

    @pytest.mark.parametrize("operator", HOLDS)
    async def test_parts_of_texts(self, store: FullStore, operator: str) -> None:
        """Case is ignored, characters mean themselves, and what was changed or deleted is not found by its former text."""
        for number, name in enumerate(NAMES):
            await add_user(store, f"u{number:02}", displayName=f"former {name}" if number % 2 else name)
            if number % 2:
                await update(store, f"u{number:02}", Change(user(f"u{number:02}", displayName=name)))
        await add_user(store, "gone", displayName="annabelle")
        await store.delete(TENANT, USER, "gone", AUTHOR)
        await add_user(store, "elsewhere", tenant=2, displayName="annabelle")
        for part in (*PARTS, "former"):
            found = await find(store, f"displayName {operator} {json.dumps(part)}")
            wanted = part.casefold()
            assert [record.id for record in found.records] == [
                f"u{number:02}"
                for number, name in enumerate(NAMES)
                if HOLDS[operator](name.casefold(), wanted)
            ], part
            assert found.total == len(found.records)
