"""The functions that expressions may call beyond CEL's own: text in, text or moment out, pure.

They take text only: the library converts lists and maps for a function of ours in a way that ends the
process when an optional value is inside (cel-expr-python 0.1.3). CEL itself has what is needed for those:
`list.first()`, `list.join(" ")`, `text.trim()`, `{"a": "b"}[?key].orValue("")`.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from rollbook.protocol.values import JsonValue

_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue"})
_LETTERS = str.maketrans({
    "ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "ø": "o", "Ø": "O", "đ": "d", "Đ": "D",
    "ð": "d", "Ð": "D", "ł": "l", "Ł": "L", "þ": "th", "Þ": "Th", "ħ": "h", "Ħ": "H", "ı": "i", "ĸ": "k",
    "ŋ": "n", "Ŋ": "N", "ŧ": "t", "Ŧ": "T", "’": "'", "‘": "'", "–": "-", "—": "-",
})  # fmt: skip
"""Letters that no decomposition takes apart."""


def normalize(text: str) -> str:
    """Text in plain letters, German umlauts as two letters (Müller → Mueller); other scripts stay."""
    return unaccent(unicodedata.normalize("NFC", text).translate(_UMLAUTS))


def unaccent(text: str) -> str:
    """Text without accents, umlauts as one letter (Müller → Muller); other scripts stay."""
    decomposed = unicodedata.normalize("NFKD", text.translate(_LETTERS))
    return unicodedata.normalize("NFC", "".join(c for c in decomposed if not unicodedata.combining(c)))


def slug(text: str) -> str:
    """Small plain letters and digits, anything between them as one hyphen (Anna-Lena Groß → anna-lena-gross)."""
    return "-".join(re.findall(r"[a-z0-9]+", normalize(text).lower()))


def translit(text: str) -> str:
    """Text of any script in Latin letters (Ελένη → Eleni, Иван → Ivan); German umlauts as two letters."""
    from anyascii import anyascii

    return anyascii(unicodedata.normalize("NFC", text).translate(_UMLAUTS))


def date(text: str) -> datetime:
    """The moment a date or date and time names: 2026-11-23, 2026-11-23T09:30:00Z; UTC if it names no zone."""
    try:
        return _in_utc(datetime.fromisoformat(text.strip()))
    except ValueError:
        raise ValueError(
            f'{text[:40]!r} is not a date such as 2026-11-23; name its form: date(text, "%d.%m.%Y")'
        ) from None


def date_in_form(text: str, form: str) -> datetime:
    """The moment that text names in the given form, as in date("31.12.2026", "%d.%m.%Y")."""
    try:
        return _in_utc(datetime.strptime(text.strip(), form))  # noqa: DTZ007 - the zone is added at once
    except ValueError:
        raise ValueError(f"{text[:40]!r} is not a date in the form {form[:40]!r}") from None


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def coalesce(*texts: str) -> str:
    """The first text that is not empty, or the empty text."""
    return next(filter(None, texts), "")


@dataclass(frozen=True)
class Function:
    """A function by the name expressions use, how many texts it takes, and what it gives."""

    name: str
    takes: int
    call: Callable[..., JsonValue | datetime]
    gives: type[str] | type[datetime] = str


FUNCTIONS: tuple[Function, ...] = (
    Function("lower", 1, str.lower),
    Function("upper", 1, str.upper),
    Function("normalize", 1, normalize),
    Function("unaccent", 1, unaccent),
    Function("slug", 1, slug),
    Function("translit", 1, translit),
    Function("date", 1, date, datetime),
    Function("date", 2, date_in_form, datetime),
    Function("coalesce", 2, coalesce),
    Function("coalesce", 3, coalesce),
    Function("coalesce", 4, coalesce),
)
"""Every function, one row per number of arguments."""

DESCRIPTIONS: Mapping[str, str] = {
    "lower(text)": "all letters small, of every script",
    "upper(text)": "all letters capital, of every script",
    "normalize(text)": "plain letters, German umlauts as two: Müller → Mueller, José → Jose",
    "unaccent(text)": "plain letters, umlauts as one: Müller → Muller",
    "slug(text)": "for names of accounts: Anna-Lena Groß → anna-lena-gross",
    "translit(text)": "letters of any script in plain Latin ones: Ελένη → Eleni, Иван → Ivan, Müller → Mueller",
    "date(text)": "2026-11-23, with time and zone if it has them, as a moment to compare with today",
    "date(text, form)": 'the same in a form of your own: date(record.born, "%d.%m.%Y")',
    "coalesce(text, …)": "the first of two to four texts that is not empty",
    'lookup("table", text)': "what stands beside the text in a table of the configuration; empty if it is not there",
    'lookup("table", text, default)': "the same, with what to take if it is not there",
}
"""What each function does, for the documentation."""
