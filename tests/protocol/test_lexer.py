"""Tokens of filters and paths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbook.protocol.lexer import Kind, tokenize


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("", ""),
        ("   ", ""),
        ("title pr", "word:title word:pr"),
        ('userName eq"x"', 'word:userName word:eq string:"x"'),
        ("not(a)", "word:not (:( word:a ):)"),
        ("emails[type eq 1].value", "word:emails [:[ word:type word:eq word:1 ]:] word:.value"),
        (r'"a\"b"', r'string:"a\"b"'),
        ('"a b"', 'string:"a b"'),
        ("'a b' pr", "single-quoted text:'a b' word:pr"),
        ("O'Brien", "word:O'Brien"),
        ("urn:a:2.0:U:x.y", "word:urn:a:2.0:U:x.y"),
        ('"open', 'bad:"'),
        ('"a\\', 'bad:"'),
        ('"a\nb"', 'bad:"'),
        ("'a'b'", "bad:'"),
        ("a\tb", "word:a bad:\t"),
        ("a\u00a0b", "word:a bad:\u00a0"),
    ],
)
def test_tokens(text: str, kinds: str) -> None:
    """Text falls into words, strings and brackets; spaces vanish; what is neither is one BAD token."""
    tokens = tokenize(text)
    shown = [f"{token.kind.value}:{token.text}" for token in tokens[:-1]]
    assert " ".join(shown) == kinds
    assert tokens[-1] == (Kind.END, "", len(text), len(text)) or text.isspace()


@given(st.text(st.sampled_from("ab.:()[]\"'\\ \t\n1ü\ud800"), max_size=60))
def test_tokens_are_slices_in_order(text: str) -> None:
    """Any text gives tokens that are slices of it, without overlap, at most one per character, END last."""
    tokens = tokenize(text)
    assert tokens[-1].kind is Kind.END
    assert len(tokens) <= len(text) + 1
    position = 0
    for token in tokens[:-1]:
        assert token.start >= position
        assert text[token.start : token.end] == token.text
        assert text[position : token.start].strip(" ") == ""
        position = token.end
    if all(token.kind is not Kind.BAD for token in tokens):
        assert text[position:].strip(" ") == ""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("x" * 100, repr("x" * 40)),
        ("", "the end"),
        ('"a', 'a quotation mark (") without its partner'),
        ("\t", "'\\t'"),
        ('"text"', '"text"'),
        ("a\ud800", "'a\\ud800'"),
    ],
)
def test_shown(text: str, shown: str) -> None:
    """A token is quoted in messages short, in one line, and without characters that cannot be sent."""
    assert tokenize(text)[0].shown == shown
