"""Access tokens that end soon: whoever uses one has to be given the next one in time (A-66)."""

from collections.abc import Iterator
from datetime import timedelta

from rollbook.cli.doctor_advice import time_in_words
from rollbook.cli.doctor_checks import SOON, Finding, State
from rollbook.storage.sql.connection import Backend

SHOWN = 10

# One that was meant to be short says nothing new, nor does one that was replaced: the next has its name.
ENDING = """
    SELECT tenant.name, token.name, token.id, token.expires
    FROM token JOIN tenant ON tenant.number = token.tenant
    WHERE token.origin = '' AND token.revoked IS NULL AND token.expires > ? AND token.expires <= ?
    AND token.expires - token.created > ?
    AND NOT EXISTS (
        SELECT 1 FROM token AS later
        WHERE later.tenant = token.tenant AND later.name = token.name AND later.created > token.created
        AND later.revoked IS NULL AND (later.expires IS NULL OR later.expires > token.expires)
    )
    ORDER BY token.expires, token.id LIMIT ?
"""


def tokens(found: Backend, now: int) -> Iterator[Finding]:
    """Those of all tenants that end within 30 days and have no successor, the first first."""
    soon = SOON // timedelta(milliseconds=1)
    with found.snapshot() as connection:
        ending = connection.all(ENDING, (now, now + soon, 2 * soon, SHOWN))
    if not ending:
        yield Finding("tokens", State.OK, f"none ends within {SOON.days} days without a successor")
    for tenant, name, identifier, expires in ending:
        left = time_in_words((expires - now) / 1000)
        yield Finding(
            "tokens",
            State.WARN,
            f"{name!r} of tenant {tenant} ends in {left}, and there is no other of that name",
            f"rollbook --tenant {tenant} token rotate {identifier} --overlap 24h; give it to whoever uses it",
        )
