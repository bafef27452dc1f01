"""Tokens: their form, their digests, and who they speak for."""

import dataclasses
from collections.abc import Callable

import pytest

from rollbook.operations import tokens
from rollbook.operations.context import Caller, Tenant
from rollbook.protocol.catalog import core_catalog
from rollbook.protocol.errors import NotFound, Unauthorized
from rollbook.storage.memory import MemoryStore

pytestmark = pytest.mark.anyio

NOW = 1_800_000_000_000
TENANT = Tenant(1, core_catalog())


def test_form() -> None:
    """A token has a prefix, an id, 256 random bits and a checksum, and no two are alike (P-7-02)."""
    made = [tokens.new_token() for _ in range(1000)]
    assert len({text for text, _ in made}) == 1000
    for text, identifier in made:
        assert text.startswith("rb_live_")
        assert tokens.token_id(text) == identifier
        assert text.isascii()
        assert text.replace("_", "").isalnum()


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda text: text[:-1], id="prefix"),
        pytest.param(lambda text: text + "x", id="suffix"),
        pytest.param(str.upper, id="other-case"),
        pytest.param(lambda text: f'"{text}"', id="quotes"),
        pytest.param(lambda text: text[:-1] + "\0", id="nul"),
        pytest.param(lambda text: text[:30] + "ü" + text[31:], id="non-ascii"),
        pytest.param(lambda _: "x" * 65_536, id="64-kB"),
        pytest.param(lambda _: "", id="empty"),
    ],
)
def test_near_misses(spoil: Callable[[str], str]) -> None:
    """What is almost a token has no id (T-02)."""
    assert tokens.token_id(spoil(tokens.new_token()[0])) is None


async def test_verify() -> None:
    """A kept token speaks for its tenant until it expires; the store holds no secret (T-03, P-7-03)."""
    store = MemoryStore(core_catalog())
    text = await tokens.issue(store, 1, "hr", now=NOW, expires=NOW + 10_000, user="u-1")
    verifier = tokens.Verifier(store, await tokens.pepper(store))
    found = await verifier.verify(text, NOW)
    assert found.caller(TENANT) == Caller(TENANT, "token hr", "u-1", found.token_id)
    (kept,) = await store.tokens(1)
    assert text[-49:] not in repr(dataclasses.astuple(kept))
    with pytest.raises(Unauthorized, match="ended"):
        await verifier.verify(text, NOW + 10_000)


async def test_unknown_and_foreign() -> None:
    """A well-formed token that was never kept is unknown; one of another tenant finds nothing here (T-10)."""
    store = MemoryStore(core_catalog())
    verifier = tokens.Verifier(store, await tokens.pepper(store))
    foreign = await tokens.issue(store, 2, "other", now=NOW, expires=None)
    with pytest.raises(Unauthorized, match="not known"):
        await verifier.verify(tokens.new_token()[0], NOW)
    with pytest.raises(NotFound, match="no such tenant"):
        (await verifier.verify(foreign, NOW)).caller(TENANT)


async def test_bootstrap() -> None:
    """The token from the environment speaks for the default tenant."""
    store = MemoryStore(core_catalog())
    key = await tokens.pepper(store)
    verifier = tokens.Verifier(store, key, tokens.digest(key, "from-the-environment"))
    assert (await verifier.verify("from-the-environment", NOW)).name == "bootstrap"
    with pytest.raises(Unauthorized):
        await verifier.verify("from-the-environmenT", NOW)


async def test_pepper_is_kept() -> None:
    """The key of digests is made once for each store, and differs between stores."""
    one, other = MemoryStore(core_catalog()), MemoryStore(core_catalog())
    assert await tokens.pepper(one) == await tokens.pepper(one)
    assert await tokens.pepper(one) != await tokens.pepper(other)
