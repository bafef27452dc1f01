"""Sends a list of requests as fast as they are answered: with wrk, or, where it is missing, with a client of ours."""

import asyncio
import json
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pyqwest

CONNECTIONS = 32
SCRIPT = Path(__file__).with_name("requests.lua")
WRK = shutil.which("wrk")
SLOW = 0.2
"""Seconds from which a call is timed alone: thirty-two at once would only queue, and say nothing."""


@dataclass(frozen=True)
class Call:
    """One HTTP request; `path` starts behind the host."""

    method: str
    path: str
    body: str = ""


@dataclass(frozen=True)
class Service:
    """A server under load: `url` is scheme and host, `base` the path before `/Users`."""

    name: str
    url: str
    base: str
    token: str


@dataclass(frozen=True)
class Figure:
    """What came of a load. `exhausted` says that the requests were sent more than once round."""

    per_second: float
    p50_ms: float
    p99_ms: float
    requests: int
    failed: int
    driver: str
    exhausted: bool = False


async def measure(service: Service, calls: Sequence[Call], seconds: float) -> Figure:
    """Requests per second and latencies over `CONNECTIONS` connections, or one by one if they take long."""
    if await _seconds_alone(service, calls) > SLOW:
        return await _drive(service, calls, seconds, connections=1, driver="one by one")
    if not WRK:
        return await _drive(service, calls, seconds, connections=CONNECTIONS, driver="pyqwest")
    return await asyncio.to_thread(_with_wrk, service, calls, seconds)


async def _seconds_alone(service: Service, calls: Sequence[Call]) -> float:
    """How long one call takes when nothing else is going on."""
    async with pyqwest.HTTPTransport() as transport:
        client = pyqwest.Client(transport)
        await send(
            client, service, calls[-2 % len(calls)]
        )  # answered once an earlier load has been worked off
        started = time.monotonic()
        await send(client, service, calls[-3 % len(calls)])
        return time.monotonic() - started


def _with_wrk(service: Service, calls: Sequence[Call], seconds: float) -> Figure:
    with TemporaryDirectory() as directory:
        file = Path(directory) / "requests"
        file.write_text("".join(f"{call.method}\t{call.path}\t{call.body}\n" for call in calls), "utf-8")
        command = [str(WRK), "-t1", f"-c{CONNECTIONS}", f"-d{seconds:.0f}s", "--timeout", "30s"]
        command += ["-s", str(SCRIPT), service.url, "--", str(file), service.token]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 120)
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    result = json.loads(line.removeprefix("RESULT "))
    return Figure(
        per_second=result["requests"] / result["seconds"],
        p50_ms=result["p50_ms"],
        p99_ms=result["p99_ms"],
        requests=result["requests"],
        failed=result["refused"] + result["broken"] + result["timeouts"],
        driver="wrk",
        exhausted=result["requests"] > len(calls),
    )


async def _drive(
    service: Service, calls: Sequence[Call], seconds: float, *, connections: int, driver: str
) -> Figure:
    times: list[float] = []
    failed = 0
    started = time.monotonic()
    queue = iter(range(10**9))

    async def work() -> None:
        nonlocal failed
        while time.monotonic() - started < seconds or not times:
            before = time.monotonic()
            status, _ = await send(client, service, calls[next(queue) % len(calls)])
            times.append(time.monotonic() - before)
            failed += status >= 400

    async with pyqwest.HTTPTransport() as transport:
        client = pyqwest.Client(transport)
        await asyncio.gather(*(work() for _ in range(connections)))
    spent = time.monotonic() - started
    times.sort()
    p50, p99 = times[len(times) // 2] * 1e3, times[len(times) * 99 // 100] * 1e3
    return Figure(len(times) / spent, p50, p99, len(times), failed, driver, len(times) > len(calls))


async def send(client: pyqwest.Client, service: Service, call: Call) -> tuple[int, bytes]:
    """One request; its status and body."""
    headers = {"Authorization": f"Bearer {service.token}", "Content-Type": "application/scim+json"}
    content = call.body.encode() or None
    response = await client.execute(call.method, service.url + call.path, headers, content)
    return response.status, response.content


async def send_all(service: Service, calls: Sequence[Call], *, at_once: int = 16) -> list[bytes]:
    """Send every call once; the bodies in order.

    Raises:
        RuntimeError: a call was refused.
    """
    answers: list[bytes] = [b""] * len(calls)
    numbers = iter(range(len(calls)))

    async def work(client: pyqwest.Client) -> None:
        for number in numbers:
            status, answers[number] = await send(client, service, calls[number])
            if status >= 400:
                raise RuntimeError(
                    f"{service.name} refused {calls[number]} with {status}: {answers[number]!r}"
                )

    async with pyqwest.HTTPTransport() as transport:
        client = pyqwest.Client(transport)
        await asyncio.gather(*(work(client) for _ in range(at_once)))
    return answers
