"""Whatever is raised becomes one SCIM Error answer."""

from pathlib import Path

import pytest

from rollbook.protocol import errors
from rollbook.server.errors import ErrorBoundary, error_answer
from rollbook.server.requests import Receive, Scope, Send
from rollbook.storage.sql.files import prepare
from rollbook.storage.sql.readers import STOPPED, Reading
from rollbook.storage.sql.sqlite import SqliteConnection
from rollbook.testing.asgi import AsgiCaller

CLASSES = [
    *errors.BY_SCIM_TYPE.values(),
    *errors.BY_STATUS.values(),
    errors.StoreUnavailable,
    errors.InternalError,
]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error(kind: type[errors.ScimError]) -> None:
    """Status, scimType and detail are those of the error; status is a string in the body (P-3.12-01, P-3.2-05)."""
    answer = error_answer(kind("what to do"))
    assert answer.status == kind.status
    assert isinstance(answer.body, bytes)
    assert f'"status":"{kind.status}"'.encode() in answer.body
    assert b"what to do" in answer.body
    assert (b'"scimType"' in answer.body) == (kind.scim_type is not None)


@pytest.mark.parametrize(
    ("error", "header"),
    [
        (errors.Unauthorized("x"), (b"www-authenticate", b'Bearer realm="rollbook"')),
        (errors.MethodNotAllowed("x", allow=("GET", "PUT")), (b"allow", b"GET, PUT")),
        (errors.StoreUnavailable("x"), (b"retry-after", b"5")),
        (errors.TooManyRequests("x"), (b"retry-after", b"5")),
    ],
)
def test_headers(error: errors.ScimError, header: tuple[bytes, bytes]) -> None:
    """Some statuses come with a header that says how to go on (P-2-01, P-3.2-06, P-3.12-19)."""
    assert header in error_answer(error).headers


@pytest.mark.anyio
async def test_unexpected(capsys: pytest.CaptureFixture[str]) -> None:
    """A crash is a bare 500 with an incident id; what happened is in the log only (P-3.12-18, T-60)."""

    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("SELECT secret FROM somewhere")

    answer = await AsgiCaller(ErrorBoundary(broken))("GET", "/scim/v2/Users")
    assert answer.status == 500
    assert "SELECT" not in answer.json["detail"]
    incident = answer.json["detail"].split()[-1]
    assert incident in capsys.readouterr().out


@pytest.mark.anyio
async def test_t_60_where_the_database_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A read that is stopped is a 503 in words that name no file; the log names it."""
    path = tmp_path / "inner-place.db"
    prepare(path)
    connection = SqliteConnection(path)
    reading = Reading()
    reading.stop()
    connection.read_for(reading)

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        connection.all(
            "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
        )

    answer = await AsgiCaller(ErrorBoundary(slow))("GET", "/scim/v2/Users")
    connection.read_for(None)
    connection.close()
    assert (answer.status, answer.json["detail"]) == (503, STOPPED)
    assert str(path) in capsys.readouterr().out
