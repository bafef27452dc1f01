"""Telling people what needs them: by webhook and by mail, once for each thing, and never with personal data."""

import asyncio
import smtplib
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from enum import StrEnum

import orjson

from rollbook.client import GuardedTransport, HttpRequest, Limits, PyqwestTransport
from rollbook.protocol.errors import TargetRefused
from rollbook.protocol.values import JsonObject

SECONDS = 10.0
"""How long a webhook or a mail server may take."""

AGAIN_MILLISECONDS = 3_600_000
"""When people are told again of what is not over."""


class Kind(StrEnum):
    """What people are told of."""

    BRAKE = "brake"
    QUARANTINE = "quarantine"
    OUT_OF_ORDER = "out of order"
    CANARY = "first run failed"
    VANISHED = "accounts gone"
    SOURCE = "source failed"
    PARKED = "given up"
    DRIFT = "drift"
    MISTAKE = "mistake in Rollbook"
    EXPIRES = "credentials end"
    UNCERTAIN = "to be decided"
    RECOVERED = "recovered"


@dataclass(frozen=True)
class Alert:
    """One thing people should know: about which source or target, what, and what to do."""

    kind: Kind
    subject: str
    text: str
    hint: str | None = None
    at: int = 0


Send = Callable[[Alert], Coroutine[None, None, None]]


def as_json(alert: Alert) -> JsonObject:
    """An alert as a webhook gets it."""
    when = datetime.fromtimestamp(alert.at / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    # `text` is what Slack, Teams, Mattermost and others show.
    line = f"Rollbook: {alert.subject}: {alert.kind}: {alert.text}"
    return {**asdict(alert), "kind": alert.kind.value, "at": when, "text": line, "detail": alert.text}


def webhook(url: str, *, private: bool = False) -> Send:
    """Sends alerts as JSON in a POST; `private` says that the host's name may lead to an inner network (T-64)."""

    async def send(alert: Alert) -> None:
        limits = Limits(connect=SECONDS, total=SECONDS, answer_bytes=65_536)
        transport = GuardedTransport(
            lambda addresses: PyqwestTransport(limits, addresses=addresses), private=private
        )
        try:
            headers = {"content-type": "application/json"}
            answer = await transport.send(HttpRequest("POST", url, headers, orjson.dumps(as_json(alert))))
        finally:
            await transport.close()
        if answer.status >= _REFUSED:
            raise TargetRefused(f"the webhook answered {answer.status}", http_status=answer.status)

    return send


_REFUSED = 300
"""Redirects too: they are not followed."""


def mail(server: str, sender: str, to: Sequence[str]) -> Send:
    """Sends alerts as mail; `server` is a host, or host:port."""

    def send_now(alert: Alert) -> None:
        message = EmailMessage()
        message["Subject"] = f"Rollbook: {alert.subject}: {alert.kind}"
        message["From"] = sender
        message["To"] = ", ".join(to)
        message.set_content("\n\n".join(filter(None, (alert.text, alert.hint))))
        host, _, port = server.partition(":")
        with smtplib.SMTP(host, int(port or 25), timeout=SECONDS) as connection:
            with suppress(smtplib.SMTPNotSupportedError):
                connection.starttls()
            connection.send_message(message)

    async def send(alert: Alert) -> None:
        await asyncio.to_thread(send_now, alert)

    return send


@dataclass
class Alerter:
    """Sends each alert in every way that is configured: once an hour at most, until it is over."""

    ways: Sequence[Send]
    now: Callable[[], int]
    log: Callable[[Alert, str | None], None]
    """Told of each alert, with None, and of each that could not be sent, with the reason."""
    _open: dict[tuple[str, Kind], int] = field(default_factory=dict)
    """When people were told last of what is not over."""

    async def once(self, alert: Alert) -> bool:
        """Tell people of what nothing makes over, and whoever calls tells once; False if it could be sent in no way."""
        return await self._send(alert)

    async def tell(self, alert: Alert) -> bool:
        """Tell people, unless they were told just now: then False. What cannot be sent is logged, and stops nothing."""
        key, now = (alert.subject, alert.kind), self.now()
        if now - self._open.get(key, -AGAIN_MILLISECONDS) < AGAIN_MILLISECONDS:
            return False
        self._open[key] = now
        await self._send(alert)
        return True

    async def over(self, subject: str, text: str) -> None:
        """Say that all is well again, if people were told that it was not."""
        known = [key for key in self._open if key[0] == subject]
        for key in known:
            del self._open[key]
        if known:
            await self._send(Alert(Kind.RECOVERED, subject, text))

    async def _send(self, alert: Alert) -> bool:
        stamped = Alert(alert.kind, alert.subject, alert.text, alert.hint, self.now())
        self.log(stamped, None)
        failed = 0
        for way in self.ways:
            try:
                await way(stamped)
            except Exception as error:  # noqa: BLE001 - whatever a webhook or a mail server does
                failed += 1
                self.log(stamped, f"{type(error).__name__}: {error}"[:200])
        return not self.ways or failed < len(self.ways)
