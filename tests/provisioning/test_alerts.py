"""Alerts by webhook and mail, to real servers; what cannot be sent stops nothing."""

import asyncio
import json
from typing import Any

import pytest

from rollbook.protocol.errors import TargetRefused
from rollbook.provisioning.alerts import AGAIN_MILLISECONDS, Alert, Alerter, Kind, mail, webhook
from rollbook.testing.http_server import served

ALERT = Alert(Kind.BRAKE, "wiki", "it would disable 40 of 120", "rollbook plan wiki", 1_795_424_000_000)


def test_a_webhook_gets_json() -> None:
    """With a line that chat programs show, and what and whose it is."""
    got: list[bytes] = []

    async def hook(_scope: Any, receive: Any, send: Any) -> None:
        got.append((await receive())["body"])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    with served(hook) as url:
        asyncio.run(webhook(f"{url}/hook")(ALERT))
    body = json.loads(got[0])
    assert body["text"] == "Rollbook: wiki: brake: it would disable 40 of 120"
    assert (body["kind"], body["subject"], body["hint"]) == ("brake", "wiki", "rollbook plan wiki")
    assert body["at"].endswith("Z")


@pytest.mark.anyio
async def test_a_webhook_is_not_turned_inward() -> None:
    """Where clouds tell secrets no alert goes, whoever has written the URL (T-64)."""
    with pytest.raises(TargetRefused, match="no call goes there"):
        await webhook("http://169.254.169.254/hook", private=True)(ALERT)


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_webhook_that_refuses_is_told_of(status: int) -> None:
    """So that it is logged: an alert that nobody gets must not seem sent; redirects are not followed."""

    async def hook(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        headers = [(b"location", b"http://169.254.169.254/")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    with served(hook) as url, pytest.raises(TargetRefused, match=str(status)):
        asyncio.run(webhook(url)(ALERT))


@pytest.mark.anyio
async def test_a_mail_is_sent() -> None:
    """To everybody who is named, by a server that offers no TLS."""
    lines: list[str] = []

    async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 here\r\n")
        data = False
        while line := (await reader.readline()).decode():
            lines.append(line.strip())
            if data:
                if line == ".\r\n":
                    data = False
                    writer.write(b"250 kept\r\n")
                continue
            word = line[:4].lower()
            data = word == "data"
            writer.write({"data": b"354 go on\r\n", "quit": b"221 bye\r\n"}.get(word, b"250 well\r\n"))
            if word == "quit":
                break
        writer.close()

    listening = await asyncio.start_server(server, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    await mail(f"127.0.0.1:{port}", "rollbook@x", ["a@x", "b@x"])(ALERT)
    listening.close()
    assert "Subject: Rollbook: wiki: brake" in lines
    assert "it would disable 40 of 120" in lines
    assert "rollbook plan wiki" in lines
    assert {"rcpt to:<a@x>", "rcpt to:<b@x>"} <= {line.lower() for line in lines}  # RFC 5321 2.4: any case


@pytest.mark.anyio
async def test_people_are_told_once_until_it_is_over() -> None:
    """Once an hour, again when it comes back; over only if they were told; another way that fails stops nothing."""
    sent: list[tuple[Kind, str]] = []
    failed: list[str] = []
    now = [0]

    async def keep(alert: Alert) -> None:
        sent.append((alert.kind, alert.subject))

    async def broken(_alert: Alert) -> None:
        raise ConnectionError("no such host")

    def log(_alert: Alert, why: str | None) -> None:
        failed.extend([] if why is None else [why])

    alerter = Alerter([broken, keep], lambda: now[0], log)
    await alerter.over("wiki", "well")
    for _ in range(3):
        await alerter.tell(ALERT)
    await alerter.tell(Alert(Kind.SOURCE, "hr", "cut"))
    now[0] = AGAIN_MILLISECONDS
    await alerter.tell(ALERT)
    await alerter.over("wiki", "well")
    await alerter.over("wiki", "well")
    assert sent == [
        (Kind.BRAKE, "wiki"),
        (Kind.SOURCE, "hr"),
        (Kind.BRAKE, "wiki"),
        (Kind.RECOVERED, "wiki"),
    ]
    assert failed == ["ConnectionError: no such host"] * 4
