"""What `rollbook serve` can be told: its options, each with the words of its help."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Host = Annotated[str, typer.Option(help="Address to listen on.")]

Port = Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)]

Database = Annotated[
    str | None,
    typer.Option(
        help="sqlite:///relative.db, sqlite:////absolute.db or postgresql://user@host/name; ROLLBOOK_DATABASE"
        " says the same. Without either, a SQLite file in your data directory.",
        metavar="URL",
    ),
]

Schemas = Annotated[
    Path | None,
    typer.Option(help="Directory with Schema and ResourceType files (*.json) in RFC form.", metavar="DIR"),
]

Profile = Annotated[
    str,
    typer.Option(
        help="Whose deviations from the RFCs are accepted: auto, rfc for nobody's, or one client's.",
        metavar="NAME",
    ),
]

Setting = Annotated[
    list[str] | None,
    typer.Option("--set", help="A setting of the tenant; may be repeated.", metavar="NAME=VALUE"),
]

Workers = Annotated[
    int, typer.Option(help="Serving processes; more than one with PostgreSQL only.", min=1, max=256)
]

Config = Annotated[
    Path | None,
    typer.Option(
        help="A rollbook.yaml: its targets are kept in step beside serving, by one process.",
        metavar="FILE",
    ),
]

Works = Annotated[
    bool, typer.Option("--work/--no-work", help="Whether it does; without, --config is only checked.")
]

InsecureHttp = Annotated[bool, typer.Option("--insecure-http", help="Serve other machines without TLS.")]

Drain = Annotated[
    float,
    typer.Option(
        help="Seconds for which /readyz says no before connections are refused, once asked to end: as long as"
        " a load balancer needs to notice.",
        min=0,
        max=300,
        metavar="SECONDS",
    ),
]

Metrics = Annotated[
    str | None,
    typer.Option(
        help="Tell figures to Prometheus at an address of their own, such as 127.0.0.1:9464, under /metrics.",
        metavar="HOST:PORT",
    ),
]

TlsCert = Annotated[
    Path | None,
    typer.Option(
        help="Certificates to serve HTTPS with (PEM, the server's own first); they are read anew when they change.",
        metavar="FILE",
    ),
]

TlsKey = Annotated[Path | None, typer.Option(help="The key of the first certificate (PEM).", metavar="FILE")]

ClientCa = Annotated[
    Path | None,
    typer.Option(
        help="Ask clients for certificates of these authorities (PEM); one may stand for a token. Needs the extra uvicorn.",
        metavar="FILE",
    ),
]

ClientCrl = Annotated[
    Path | None,
    typer.Option(help="What these have revoked (PEM): a list of each.", metavar="FILE"),
]

ClientCert = Annotated[
    Literal["optional", "required"] | None,
    typer.Option(
        help="Whether clients have to show a certificate: optional, as it is without this, or required.",
    ),
]

TrustedProxy = Annotated[
    list[str] | None,
    typer.Option(
        help="A network whose proxies say who asks, in X-Forwarded-* or Forwarded; may be repeated. Nobody else's"
        " such headers are read.",
        metavar="CIDR",
    ),
]

PublicUrl = Annotated[
    str | None,
    typer.Option(help="What issued URIs start with, such as https://scim.example.com.", metavar="URL"),
]

AccessLog = Annotated[
    bool, typer.Option("--access-log", help="Log a line of every request, with nothing of anybody in it.")
]
