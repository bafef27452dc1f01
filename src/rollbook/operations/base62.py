"""Numbers in letters and digits: what ids, secrets and checksums of tokens are written in."""

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

ID_LENGTH = 12
"""Characters of a public id."""


def base62(number: int, length: int) -> str:
    """The last `length` digits of a number, those that count most first."""
    digits: list[str] = []
    for _ in range(length):
        number, rest = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[rest])
    return "".join(reversed(digits))
