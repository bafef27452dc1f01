"""Comparison operators as SQL on one column: of keys, which are bytes, or of ids, which are text."""

from typing import NamedTuple

from rollbook.protocol.filters import Operator
from rollbook.storage.sql.connection import Parameter
from rollbook.storage.sql.dialects import SQLITE
from rollbook.storage.sql.index import CUT, KEPT, cut

SYMBOLS = {Operator.GT: ">", Operator.GE: ">=", Operator.LT: "<", Operator.LE: "<="}


class Condition(NamedTuple):
    """A boolean expression and its parameters; inexact ones are also true of some values they should not be."""

    sql: str
    parameters: tuple[Parameter, ...]
    exact: bool = True


def on_key(column: str, operator: Operator, key: bytes) -> Condition:
    """The condition on a column of keys, of which long ones are cut (`index.cut`)."""
    if operator is Operator.EQ:
        return Condition(f"{column} = ?", (cut(key),))
    if operator in {Operator.CO, Operator.EW}:
        return _inside(column, operator, key)
    short = key[:KEPT]
    exact = short == key  # what a cut key keeps decides unless the operand is longer than that
    if operator is Operator.SW:
        return _from_to(column, short, _after(short), exact=exact)
    if exact:
        return Condition(f"{column} {SYMBOLS[operator]} ?", (key,))
    if operator in {Operator.GT, Operator.GE}:
        return Condition(f"{column} >= ?", (short,), exact=False)
    return _from_to(column, b"", _after(short), exact=False)


def on_text(column: str, operator: Operator, text: str) -> Condition:
    """The condition on a column of text that is compared as it stands."""
    match operator:
        case Operator.EQ:
            return Condition(f"{column} = ?", (text,))
        case Operator.CO:
            return Condition(SQLITE.contains.format(column=column), (text,))
        case Operator.SW:
            return Condition(
                f"{column} >= ? AND substr({column}, 1, CAST(? AS INTEGER)) = ?", (text, len(text), text)
            )
        case Operator.EW:
            return Condition(SQLITE.ends_with.format(column=column), (-len(text), text))
        case _:
            return Condition(f"{column} {SYMBOLS[operator]} ?", (text,))


def _inside(column: str, operator: Operator, key: bytes) -> Condition:
    """Exact on keys that are whole; those that are cut have a row of their own to be looked at."""
    whole = f"length({column}) < {CUT}"
    if operator is Operator.CO:
        return Condition(f"{SQLITE.key_contains.format(column=column)} AND {whole}", (key,))
    return Condition(f"{SQLITE.key_ends_with.format(column=column)} AND {whole}", (-len(key), key))


def _from_to(column: str, first: bytes, end: bytes | None, *, exact: bool) -> Condition:
    if end is None:
        return Condition(f"{column} >= ?", (first,), exact)
    return Condition(f"{column} >= ? AND {column} < ?", (first, end), exact)


def _after(prefix: bytes) -> bytes | None:
    """The least bytes above all that begin with the prefix, None if there are none."""
    shorter = prefix.rstrip(b"\xff")
    return shorter[:-1] + bytes([shorter[-1] + 1]) if shorter else None
