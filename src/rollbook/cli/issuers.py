"""`rollbook issuer`: outside issuers whose JWT access tokens a tenant takes."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rollbook.cli.tokens import Hold, Without
from rollbook.cli.transfer import AsJson, Database, on_store

if TYPE_CHECKING:
    from rollbook.operations.issuer_care import IssuerWish
    from rollbook.operations.issuers import Issuer
    from rollbook.storage.sql.store import SqlStore

_AUTHOR = "rollbook issuer"

app = typer.Typer(
    help="Outside issuers of access tokens (JWT): whose tokens are taken, and what these may do.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(help="What the issuer is called here.", metavar="NAME")]
JwksUrl = Annotated[
    str | None,
    typer.Option(help='Where its keys are; "" to find them by its metadata, as without.', metavar="URL"),
]
JwksFile = Annotated[
    Path | None,
    typer.Option(help="A file with its keys as a JWK set, in place of asking it.", metavar="FILE"),
]
Algorithm = Annotated[
    list[str] | None,
    typer.Option(
        help="How its tokens are signed; may be repeated. Without: RS256 and ES256.", metavar="NAME"
    ),
]
Typ = Annotated[
    list[str] | None,
    typer.Option(
        help="What their typ may be: at+jwt (as without), JWT, or none for missing; may be repeated.",
        metavar="NAME",
    ),
]
Scope = Annotated[
    list[str] | None,
    typer.Option(
        help="The most its tokens may do: read, write, users, groups, or type:NAME; may be repeated.",
        metavar="SCOPE",
    ),
]
Within = Annotated[
    str | None,
    typer.Option(help="A SCIM filter: resources that do not match are not there for them.", metavar="FILTER"),
]
Profile = Annotated[
    str | None, typer.Option(help="Whose deviations from the RFCs they may use.", metavar="NAME")
]
Claim = Annotated[
    list[str] | None,
    typer.Option(help="A claim with scopes; may be repeated. Without: scope and scp.", metavar="NAME"),
]
Map = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        help="What a word in these claims means, as in SCIM.Write=write; may be repeated. With any, others mean nothing.",
        metavar="WORD=SCOPE",
    ),
]
UserClaim = Annotated[
    str | None,
    typer.Option(
        help='A claim with the user a token acts for (/Me); "" for nobody, as without.', metavar="NAME"
    ),
]
UserAttribute = Annotated[
    str | None,
    typer.Option(help="Which attribute of the user it is: userName, externalId or id.", metavar="NAME"),
]
Own = Annotated[
    bool | None,
    typer.Option(
        "--own/--no-own", help="Whether only what tokens of this issuer have made is there for them."
    ),
]
Private = Annotated[
    bool | None,
    typer.Option("--private/--no-private", help="Whether its address may be of an inner network."),
]


@app.command()
def add(
    name: Name,
    url: Annotated[str, typer.Option(help="The issuer, exactly as iss has it in its tokens.", metavar="URL")],
    audience: Annotated[
        str, typer.Option(help="What its tokens for this tenant have in aud.", metavar="TEXT")
    ],
    jwks_url: JwksUrl = None,
    jwks_file: JwksFile = None,
    algorithm: Algorithm = None,
    typ: Typ = None,
    scope: Scope = None,
    within: Within = None,
    own: Own = None,
    without: Without = None,
    hold: Hold = None,
    profile: Profile = None,
    scope_claim: Claim = None,
    words: Map = None,
    user_claim: UserClaim = None,
    user_attribute: UserAttribute = None,
    private: Private = None,
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """Take an issuer's access tokens from now on; a server that runs does within a second."""
    said = locals()

    async def make(store: "SqlStore") -> "Issuer":
        from rollbook.app import by
        from rollbook.operations.issuer_care import add

        return await add(store, store.home, name, _wish(said), by(_AUTHOR))

    _say(on_store(database, make, makes=True), as_json=as_json)


@app.command("set")
def set_(
    name: Name,
    url: Annotated[
        str | None, typer.Option(help="The issuer, exactly as iss has it in its tokens.", metavar="URL")
    ] = None,
    audience: Annotated[
        str | None, typer.Option(help="What its tokens for this tenant have in aud.", metavar="TEXT")
    ] = None,
    jwks_url: JwksUrl = None,
    jwks_file: JwksFile = None,
    algorithm: Algorithm = None,
    typ: Typ = None,
    scope: Scope = None,
    within: Within = None,
    own: Own = None,
    without: Without = None,
    hold: Hold = None,
    profile: Profile = None,
    scope_claim: Claim = None,
    words: Map = None,
    user_claim: UserClaim = None,
    user_attribute: UserAttribute = None,
    private: Private = None,
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """Change what was said of an issuer; what is not named stays. A server that runs follows within a second."""
    said = locals()

    async def change(store: "SqlStore") -> "Issuer":
        from rollbook.app import by
        from rollbook.operations.issuer_care import tell

        return await tell(store, await _one(store, name), _wish(said), by(_AUTHOR))

    _say(on_store(database, change), as_json=as_json)


@app.command("list")
def list_issuers(database: Database = None, as_json: AsJson = False) -> None:
    """List the issuers whose tokens the tenant takes."""
    from rich.console import Console
    from rich.table import Table

    rows = [_shown(issuer) for issuer in on_store(database, _all)]
    if as_json:
        print(json.dumps(rows))
        return
    table = Table(*_COLUMNS)
    for row in rows:
        table.add_row(*(_text(row[column]) for column in _COLUMNS))
    Console().print(table if rows else "no issuers yet; name one with: rollbook issuer add")


@app.command()
def show(name: Name, database: Database = None, as_json: AsJson = False) -> None:
    """Show what was said of an issuer."""
    found = on_store(database, lambda store: _one(store, name))
    if as_json:
        print(json.dumps(_shown(found)))
        return
    for key, value in _shown(found).items():
        print(f"{key:14} {_text(value)}")


@app.command()
def remove(name: Name, database: Database = None, as_json: AsJson = False) -> None:
    """Take an issuer's tokens no more: within a second for reads, and at once for writes."""

    async def drop(store: "SqlStore") -> str:
        from rollbook.app import by
        from rollbook.operations import issuer_care

        found = await _one(store, name)
        await issuer_care.remove(store, found, by(_AUTHOR))
        return found.name

    gone = on_store(database, drop)
    print(json.dumps({"name": gone, "removed": True}) if as_json else f"tokens of {gone} are taken no more")


@app.command()
def check(database: Database = None, as_json: AsJson = False) -> None:
    """Read a token from standard input, and say what it is taken for, or why it is not. Fetches the issuer's keys."""
    text = sys.stdin.read().strip().removeprefix("Bearer ")

    async def look(store: "SqlStore") -> dict[str, Any]:
        from rollbook.app import now
        from rollbook.operations.jwt_tokens import JwtVerifier
        from rollbook.storage.sql.issuers import SqlIssuers

        found = await JwtVerifier(SqlIssuers(store.database), store, store.catalog_of).judged(
            text, store.home, now()
        )
        return {
            "name": found.name,
            "scopes": found.rights.scopes,
            **found.rights.bounds,
            "user": found.user,
        }

    told = on_store(database, look)
    if as_json:
        print(json.dumps(told))
        return
    for key, value in told.items():
        print(f"{key:14} {_text(value)}")


_COLUMNS = ("name", "issuer", "audience", "scopes", "user")


def _shown(issuer: "Issuer") -> dict[str, Any]:
    return {
        "name": issuer.name,
        "issuer": issuer.url,
        "audience": issuer.audience,
        "keys": "of a file" if issuer.keys else issuer.jwks or "by the issuer's metadata",
        "algorithms": list(issuer.algorithms),
        "types": list(issuer.types),
        "scopes": issuer.rights.scopes,
        **issuer.rights.bounds,
        "profile": issuer.rights.profile,
        "claims": list(issuer.claims),
        "words": [f"{word}={meant}" for word, meant in issuer.words.items()],
        "user": None if issuer.user_claim is None else f"{issuer.user_claim}={issuer.user_attribute}",
        "private": issuer.private,
    }


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(map(str, value)) if isinstance(value, list) and value else str(value or "–")


def _say(issuer: "Issuer", *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(_shown(issuer)))
        return
    may = " ".join(issuer.rights.scopes)
    print(f"tokens of {issuer.url} for {issuer.audience} are taken; the most they may do: {may}")


def _wish(said: dict[str, Any]) -> "IssuerWish":
    """What the options say; None stands for what they do not."""
    from rollbook.operations.issuer_care import IssuerWish

    file = said["jwks_file"]
    return IssuerWish(
        keys=None if file is None else _key_file(file),
        **{name: said[option] for option, name in _OPTIONS.items()},
    )


_OPTIONS = {
    "url": "url", "audience": "audience", "jwks_url": "jwks", "algorithm": "algorithms", "typ": "types",
    "scope": "scopes", "within": "within", "without": "without", "hold": "hold", "own": "own",
    "profile": "profile", "scope_claim": "claims", "words": "words",
    "user_claim": "user_claim", "user_attribute": "user_attribute", "private": "private",
}  # fmt: skip
"""By option, what it says of an issuer."""


def _key_file(file: Path) -> str:
    from rollbook.operations.issuer_care import check_keys
    from rollbook.protocol.errors import InvalidValue
    from rollbook.settings import SettingsError

    try:
        return check_keys(file.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"--jwks-file {file}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"--jwks-file {file}: {error}") from None
    except InvalidValue as error:
        raise SettingsError(f"--jwks-file {file}: {error.detail}") from None


async def _all(store: "SqlStore") -> "list[Issuer]":
    from rollbook.operations.issuer_care import issuers_of

    return await issuers_of(store, store.home)


async def _one(store: "SqlStore", name: str) -> "Issuer":
    from rollbook.operations.issuer_care import issuer_called

    return await issuer_called(store, store.home, name)
