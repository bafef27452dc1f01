"""How targets are reached: what the file says, what is missing or too much, and that it works against a real endpoint."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from tests.provisioning.test_config import TARGET, load, mistakes
from tests.provisioning.world import CATALOG

from rollbook.client import Grant
from rollbook.protocol.errors import TargetRefused
from rollbook.provisioning.targets.scim import connect
from rollbook.provisioning.wanted import kinds_of
from rollbook.testing.http_server import served
from rollbook.testing.scripted_target import Profile, ScriptedTarget

OAUTH = '    oauth: {token_url: URL/token, client_id: rollbook, client_secret: "${TOKEN}"}\n'


def written(more: str, *, token: bool = False) -> str:
    """A target with these keys, with or without its token."""
    text = TARGET.replace("    users:\n", f"{more}    users:\n")
    return text if token else text.replace("    token: ${TOKEN}\n", "")


def test_what_may_be_said(tmp_path: Path) -> None:
    """Files are read, secrets are looked up, and neither is shown."""
    for name in ("cert", "key", "ca", "own"):
        (tmp_path / f"{name}.pem").write_text(f"PEM {name}", "utf-8")
    text = written(
        "    oauth: {token_url: https://id.example.com/t, client_id: r, private_key: own.pem, algorithm: ES256}\n"
        "    certificate: cert.pem\n    certificate_key: key.pem\n    ca_file: ca.pem\n    private: true\n"
        "    proxy: http://proxy.example.com:3128\n"
    )
    access = load(tmp_path, text, X="").targets["t"].access
    assert access.grant == Grant("https://id.example.com/t", "r", key="PEM own", algorithm="ES256")
    assert access.certificate == (b"PEM cert", b"PEM key")
    assert (access.ca, access.private, access.proxy) == (b"PEM ca", True, "http://proxy.example.com:3128")
    assert "PEM key" not in repr(access)
    assert "PEM own" not in repr(access)
    basic = (
        load(tmp_path, written("    basic: {user: r, password: '${P}'}\n"), P="s3cret").targets["t"].access
    )
    assert basic.basic == ("r", "s3cret")
    assert "s3cret" not in repr(basic)


@pytest.mark.parametrize(
    ("text", "code", "title"),
    [
        (written(""), "RB104", "target t needs token"),
        (written("    basic: {user: r, password: '${TOKEN}'}\n", token=True), "RB105", "target t has token and basic"),
        (written("    basic: {user: r, password: s3cret}\n"), "RB112", "a secret must not stand in the file"),
        (written("    oauth: {token_url: https://x/t, client_id: r}\n"), "RB105", "oauth needs client_secret or private_key, and not both"),
        (written("    oauth: {client_id: r, client_secret: '${TOKEN}'}\n"), "RB104", "oauth of target t needs token_url"),
        (written("    certificate: none.pem\n"), "RB104", "a certificate needs certificate_key"),
        (written("    ca_file: none.pem\n", token=True), "RB113", "the file {folder}/none.pem cannot be read"),
        (written("    oath: {}\n", token=True), "RB103", "there is no key oath here"),
    ],
)  # fmt: skip
def test_mistakes(tmp_path: Path, text: str, code: str, title: str) -> None:
    """Each with what would be accepted."""
    found = {(problem.code, problem.title) for problem in mistakes(tmp_path, text)}
    assert (code, title.format(folder=tmp_path)) in found


class WithTokens(ScriptedTarget):
    """A target with a token endpoint beside it."""

    def __init__(self) -> None:
        super().__init__(Profile(token="given"))
        self.fetched = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The ASGI interface."""
        if scope["path"] != "/token":
            await super().__call__(scope, receive, send)
            return
        body = (await receive())["body"]
        assert b"client_secret=t0ken" in body
        self.fetched += 1
        answer = json.dumps({"access_token": "given", "token_type": "Bearer", "expires_in": 600}).encode()
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


def test_oauth_against_a_real_endpoint(tmp_path: Path) -> None:
    """A token is fetched once, and used."""
    service = WithTokens()
    service.add("Users", {"userName": "ada"})
    with served(service) as url:
        text = written(OAUTH.replace("URL", url)).replace("https://example.com/scim", f"{url}/v2")
        target = load(tmp_path, text).targets["t"]

        async def go() -> object:
            far = connect(target)
            try:
                kind = kinds_of(target, CATALOG)["User"]
                await far.read(kind, "remote-1")
                return await far.read(kind, "remote-1")
            finally:
                await far.close()

        assert asyncio.run(go()) is not None
    assert service.fetched == 1


def test_t_64_a_name_that_leads_inward_is_refused(tmp_path: Path) -> None:
    """Unless that is said: every name of ours that leads here is known to this machine's resolver."""
    import socket

    name = socket.gethostname()
    try:
        inner = socket.gethostbyname(name)
    except OSError:
        pytest.skip("this machine does not know its own name")
    if not inner.startswith(("127.", "10.", "172.", "192.168.")):
        pytest.skip("this machine's name leads to a public address")
    target = load(tmp_path, TARGET.replace("https://example.com/scim", f"https://{name}/scim")).targets["t"]

    async def go() -> None:
        far = connect(target)
        try:
            await far.read(kinds_of(target, CATALOG)["User"], "1")
        finally:
            await far.close()

    with pytest.raises(TargetRefused, match="say private: true"):
        asyncio.run(go())
