"""The servers under test: how each is started, and how it is known to be ready."""

import asyncio
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pyqwest
from bench.wrk import Call, Service, send

PEERS = Path(__file__).with_name("peers")
NODE_PACKAGES = ("scimmy-routers@1", "express@5")


@dataclass(frozen=True)
class Kind:
    """A server: its base path, how many users it is given, and how many candidates for membership."""

    name: str
    base: str
    candidates: int
    workers: int = 0
    """Serving processes, if it is ours."""


BARE = Kind("bare route", "", candidates=0)
ROLLBOOK = Kind("rollbook", "/scim/v2", candidates=12_000, workers=1)
POSTGRES = Kind("rollbook, PostgreSQL", "/scim/v2", candidates=6_000, workers=1)
POSTGRES_2 = Kind("rollbook, PostgreSQL, 2 processes", "/scim/v2", candidates=6_000, workers=2)
SCIM2 = Kind("scim2-server", "/v2", candidates=400)
SCIMMY = Kind("scimmy-routers", "/scim/v2", candidates=400)


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


@asynccontextmanager
async def started(
    kind: Kind, directory: Path, sizes: Sequence[str] = (), database: str = ""
) -> AsyncIterator[Service]:
    """Run a server for as long as the block lasts. `sizes` are those of the bare route's answers."""
    service = Service(kind.name, f"http://127.0.0.1:{free_port()}", kind.base, secrets.token_urlsafe(16))
    process = _start(kind, service, directory, _command(kind, service, directory, sizes, database))
    try:
        await _until_ready(service, process, directory)
        yield service
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def _start(kind: Kind, service: Service, directory: Path, command: list[str]) -> subprocess.Popen[bytes]:
    root = Path(__file__).parent.parent
    with (directory / f"{kind.name}.log").open("wb") as log:
        return subprocess.Popen(
            command,
            env={**os.environ, "ROLLBOOK_BOOTSTRAP_TOKEN": service.token, "PYTHONPATH": str(root)},
            cwd=root,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _command(kind: Kind, service: Service, directory: Path, sizes: Sequence[str], database: str) -> list[str]:
    port, token = service.url.rpartition(":")[2], service.token
    if kind.workers:
        serve = [sys.executable, "-m", "rollbook", "serve", "--port", port, "--database", database]
        return [*serve, "--workers", str(kind.workers)] if kind.workers > 1 else serve
    match kind.name:
        case SCIM2.name:
            return [sys.executable, "-m", "bench.peers.scim2", port, token]
        case SCIMMY.name:
            return ["node", str(directory / "node" / "scimmy.mjs"), port, token]
        case _:
            return [sys.executable, "-m", "bench.peers.bare", port, *sizes]


async def _until_ready(service: Service, process: subprocess.Popen[bytes], directory: Path) -> None:
    log = directory / f"{service.name}.log"
    path = f"{service.base}/Users?count=1" if service.base else "/"
    async with pyqwest.HTTPTransport() as transport:
        client = pyqwest.Client(transport)
        for _ in range(600):
            if process.poll() is not None:
                raise RuntimeError(f"{service.name} ended: {log.read_text('utf-8', 'replace')[-2000:]}")
            with suppress(OSError):
                status, _ = await send(client, service, Call("GET", path))
                if status in {200, 404}:
                    return
            await asyncio.sleep(0.05)
    raise RuntimeError(f"{service.name} does not answer: {log.read_text('utf-8', 'replace')[-2000:]}")


def install_scimmy(directory: Path) -> str | None:
    """Install the Node peer into the directory; why not, if it cannot be."""
    if not shutil.which("npm"):
        return "node is not installed"
    home = directory / "node"
    if home.exists():  # for a size before this one
        return None
    home.mkdir()
    shutil.copy(PEERS / "scimmy.mjs", home)
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", *NODE_PACKAGES]
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False, timeout=180)
    return None if done.returncode == 0 else f"npm install failed: {done.stderr.strip()[-300:]}"


def install_scim2(_: Path) -> str | None:
    """Why the Python peer cannot be measured, if it cannot; it comes with the tests."""
    return None if importlib.util.find_spec("scim2_server") else "scim2-server is not installed"
