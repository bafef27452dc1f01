"""What issued URIs start with."""

import pytest

from rollbook.operations.context import Tenant
from rollbook.protocol.catalog import core_catalog
from rollbook.server.sites import Sites

TENANT = Tenant(1, core_catalog())


def scope(host: str | None) -> dict[str, object]:
    """An ASGI scope as far as sites look at it."""
    headers = [] if host is None else [(b"host", host.encode("latin-1"))]
    return {"scheme": "http", "headers": headers}


@pytest.mark.parametrize(
    ("host", "base"),
    [
        ("localhost", "http://localhost/scim/v2"),
        ("LOCALHOST:8080", "http://localhost:8080/scim/v2"),
        ("127.0.0.1:9", "http://127.0.0.1:9/scim/v2"),
        ("[::1]:9", "http://[::1]:9/scim/v2"),
        ("evil.example", "http://fallback:1/scim/v2"),
        ("localhost:80@evil.example", "http://fallback:1/scim/v2"),
        ("localhost/evil", "http://fallback:1/scim/v2"),
        ("localhost:٣", "http://fallback:1/scim/v2"),
        ("", "http://fallback:1/scim/v2"),
        (None, "http://fallback:1/scim/v2"),
    ],
)
def test_origin(host: str | None, base: str) -> None:
    """Loopback names are believed, any other Host is not (A-46, T-50)."""
    if host is not None:
        host = host.encode().decode("latin-1")
    assert Sites("/scim/v2", "http://fallback:1").site(scope(host), TENANT).base == base


def test_public_url() -> None:
    """A configured public URL wins over every Host (P-1.3-03)."""
    sites = Sites("/scim/v2", "http://fallback:1", "https://scim.example.com/")
    assert sites.site(scope("localhost"), TENANT).base == "https://scim.example.com/scim/v2"


def test_hosts_are_bounded() -> None:
    """Callers who invent ports do not fill the memory."""
    sites = Sites("/scim/v2", "http://fallback:1")
    for port in range(2000):
        sites.site(scope(f"localhost:{port}"), TENANT)
    assert len(sites._known) <= 257
