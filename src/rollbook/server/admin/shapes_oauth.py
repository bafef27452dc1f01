"""Bodies and answers of /admin/v1 about issuers, OAuth clients and keys."""

from typing import Any, Literal

from pydantic import Field

from rollbook.server.admin.shapes import Shape

_Few = Field(default=None, max_length=50)
_Names: Any = Field(default=None, max_length=100)
_NoNames: Any = Field(default=[], max_length=100)


class IssuerChange(Shape):
    """What is to be said of an issuer; what is left out stays."""

    url: str | None = None
    """The issuer, exactly as iss has it in its tokens."""
    audience: str | None = None
    """What its tokens for this tenant have in aud."""
    jwks_url: str | None = None
    """Where its keys are; empty to find them by its metadata, as without."""
    jwks: dict[str, Any] | None = None
    """Its keys as a JWK set (RFC 7517), in place of asking it."""
    algorithms: list[str] | None = _Few
    """How its tokens are signed; without: RS256 and ES256."""
    types: list[str] | None = _Few
    """What their typ may be: at+jwt (as without), JWT, or none for missing."""
    scopes: list[str] | None = Field(default=None, min_length=1, max_length=50)
    """The most its tokens may do: read, write, users, groups, type:NAME; no more than the token has that asks."""
    within: str | None = None
    """A SCIM filter: resources that do not match are not there for them; empty for none."""
    own: bool | None = None
    """Whether only what tokens of this issuer have made is there for them."""
    without: list[str] | None = _Names
    """Attributes that they do not see, and so do not change; empty for none."""
    hold: list[str] | None = _Names
    """Attributes that they see and do not change; empty for none."""
    profile: str | None = None
    """Whose deviations from the RFCs they may use; empty for the tenant's."""
    claims: list[str] | None = _Few
    """Claims with scopes; without: scope and scp."""
    words: dict[str, str] | None = None
    """What words in these claims mean, as in SCIM.Write: write; with any, others mean nothing."""
    user_claim: str | None = None
    """A claim with the user a token acts for (/Me); empty for nobody."""
    user_attribute: str | None = None
    """Which attribute of the user it is: userName, externalId or id."""
    private: bool | None = None
    """Whether its address may be of an inner network."""


class NewIssuer(IssuerChange):
    """An issuer whose access tokens are to be taken."""

    name: str
    """What it is called here."""
    url: str
    """The issuer, exactly as iss has it in its tokens."""
    audience: str
    """What its tokens for this tenant have in aud."""
    scopes: list[str] = Field(min_length=1, max_length=50)
    """The most its tokens may do: read, write, users, groups, type:NAME; no more than the token has that asks."""


class Issuer(Shape):
    """An issuer whose access tokens are taken."""

    name: str
    url: str
    audience: str
    jwks_url: str | None
    keys: Literal["given", "url", "metadata"]
    """Where they come from; what was given is not shown again."""
    algorithms: list[str]
    types: list[str]
    scopes: list[str]
    within: str | None
    own: bool
    without: list[str]
    hold: list[str]
    profile: str | None
    claims: list[str]
    words: dict[str, str]
    user_claim: str | None
    user_attribute: str
    private: bool


class IssuerList(Shape):
    """A page of issuers by name."""

    issuers: list[Issuer]
    next_cursor: str | None = None
    """For the next page; null on the last."""


class NewClient(Shape):
    """A client to be made."""

    name: str
    """What it is called in lists, logs and histories."""
    scopes: list[str] = Field(min_length=1, max_length=50)
    """The most its tokens may do: read, write, users, groups, type:NAME; no more than the token has that asks."""
    within: str | None = None
    """A SCIM filter: resources that do not match are not there for it."""
    own: bool = False
    """Only what its tokens have made is there for them."""
    without: list[str] = _NoNames
    """Attributes that its tokens do not see, and so do not change."""
    hold: list[str] = _NoNames
    """Attributes that its tokens see and do not change."""
    profile: str | None = None
    """Whose deviations from the RFCs it may use, in place of the tenant's."""
    jwks: dict[str, Any] | None = None
    """Its public keys (RFC 7517): it signs what it shows, and has no secret."""
    expires: str | None = None
    """When its secret ends, such as 2027-06-30T00:00:00Z; in a year if nothing is said."""
    seconds: int = 3600
    """How long each of its tokens lasts."""


class ClientRotation(Shape):
    """How a client's secret is replaced."""

    overlap_seconds: int = Field(default=86_400, ge=0, le=31_536_000)
    """How long the former one goes on."""
    jwks: dict[str, Any] | None = None
    """Other public keys, in place of what it had, at once."""
    expires: str | None = None
    """When the new secret ends; in a year if nothing is said."""


class Client(Shape):
    """A client, without its secret."""

    id: str
    name: str
    shows: Literal["secret", "assertion"]
    """How it shows who it is: by a secret, or by a statement that it has signed."""
    jwks: dict[str, Any] | None
    """Its public keys."""
    scopes: list[str]
    within: str | None
    own: bool
    without: list[str]
    hold: list[str]
    profile: str | None
    seconds: int
    created: str
    expires: str | None
    """When its secret ends."""


class IssuedClient(Client):
    """A client that was just made, or given a new secret."""

    secret: str | None
    """The secret itself: shown this once, and kept nowhere; null for one that signs."""


class ClientList(Shape):
    """A page of clients, oldest first."""

    clients: list[Client]
    next_cursor: str | None = None
    """For the next page; null on the last."""


class Key(Shape):
    """A key that seals secrets, without itself."""

    id: str
    secrets: int
    """How many it has sealed."""
    is_here: bool
    """Whether the server has it; what one has sealed that it has not is lost."""
    seals: bool
    """Whether it seals what is sealed from now on."""


class Keys(Shape):
    """How things stand with keys."""

    keys: list[Key]
    in_clear: bool
    """Whether secrets of an earlier version stand in clear: rollbook key rotate seals them."""
