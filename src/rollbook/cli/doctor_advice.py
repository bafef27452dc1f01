"""What `rollbook doctor` advises if the database cannot be opened, by the words of what went wrong."""

_BY_WORDS = (
    ("Connection refused", "start the database server, or correct host and port in the URL"),
    ("could not translate host name", "correct the host in the URL, or the name service of this machine"),
    ("timeout expired", "see that host and port are right, and that no firewall is in between"),
    ("password authentication failed", "give the right password, in ~/.pgpass or PGPASSWORD"),
    ("no password supplied", "give the password, in ~/.pgpass or PGPASSWORD"),
    ("no pg_hba.conf entry", "let this machine and user in: pg_hba.conf of the database server"),
    ('role "', "correct the user in the URL, or make it: createuser NAME"),
    ('database "', "correct its name in the URL, or make it: createdb --owner=USER NAME; then: rollbook database migrate"),
    ("too many clients", "raise max_connections of the database server, or let fewer processes use it"),
    ("no tables yet", "make them: rollbook database migrate"),
    ("read-only", "let the user that runs this write the file and its directory; or make the disk writable again"),
    ("not a SQLite database", "name the right file with --database, or bring a backup back: rollbook database restore FILE --replace"),
    ("is empty", "rollbook database restore FILE --replace, or rm the file"),
)  # fmt: skip
_ELSE = "see that it is there and may be read, and try again"


def advice_for(words: str) -> str:
    """What to do about a database that answered with these words."""
    return next((advice for part, advice in _BY_WORDS if part in words), _ELSE)


def time_in_words(seconds: float) -> str:
    """A length of time as people say it, in the largest unit of which there are two."""
    units = (("days", 86_400), ("hours", 3_600), ("minutes", 60))
    return next(
        (f"{seconds / size:.0f} {unit}" for unit, size in units if seconds >= 2 * size), f"{seconds:.0f} s"
    )


def counted(number: int, what: str) -> str:
    """A number with its noun: `1 target`, `2 targets`."""
    return f"{number} {what}{'' if number == 1 else 's'}"
