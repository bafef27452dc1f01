"""Outside issuers of access tokens: who they are, how their tokens are checked, and what these may do (RFC 9068, T-05)."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import orjson

from rollbook.operations.rights import ALL, Rights, meet, read_rights, rights_of, said_by
from rollbook.protocol.catalog import Catalog
from rollbook.protocol.errors import InvalidValue
from rollbook.storage.issuers import IssuerRecord

ALGORITHMS = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519",
)  # fmt: skip
"""With a public key of theirs and a private one of the issuer's; with a shared key whoever checks could sign, too."""

USUAL_ALGORITHMS = ("RS256", "ES256")
TYPES = ("at+jwt", "JWT", "none")
"""What may stand as `typ`: RFC 9068's for access tokens; older servers write JWT, or leave it out."""

SCOPE_CLAIMS = ("scope", "scp")
USER_ATTRIBUTES = ("userName", "externalId", "id")

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)
_MOST = 500
_MOST_WORDS = 1_000


@dataclass(frozen=True)
class Issuer:
    """An issuer whose access tokens a tenant takes.

    Keys come from `jwks` if it is set, are those of `keys` if these are (a JWK set as JSON), and are else found by the
    issuer's metadata. `rights` are the most its tokens may do; which of them one has, its `claims` say in the words
    of scopes, or if there are `words`, in these only. `user_claim` names who a token acts for, by that attribute of a user.
    """

    tenant: int
    name: str
    url: str
    audience: str
    algorithms: tuple[str, ...] = USUAL_ALGORITHMS
    types: tuple[str, ...] = TYPES[:1]
    jwks: str | None = None
    keys: str | None = None
    private: bool = False
    rights: Rights = ALL
    claims: tuple[str, ...] = SCOPE_CLAIMS
    words: Mapping[str, str] = field(default_factory=dict)
    user_claim: str | None = None
    user_attribute: str = USER_ATTRIBUTES[0]

    @property
    def told(self) -> str:
        """As it is stored."""
        usual = Issuer(0, "", "", "")
        said = {name: getattr(self, name) for name in _TOLD if getattr(self, name) != getattr(usual, name)}
        return orjson.dumps(said | {"rights": self.rights.text}, option=orjson.OPT_SORT_KEYS).decode()

    def record(self, created: int) -> IssuerRecord:
        """The row."""
        return IssuerRecord(self.tenant, self.name, self.url, self.audience, created, self.told)

    def granted(self, claims: Mapping[str, Any]) -> Rights | None:
        """What a token with these claims may do; None for nothing, since it says nothing that is known here."""
        words: list[str] = []
        for name in self.claims:
            value = claims.get(name)
            found = value.split() if isinstance(value, str) else value if isinstance(value, list) else []
            words += [word for word in found[:_MOST_WORDS] if isinstance(word, str)]
        meant = [
            each for word in words for each in (self.words.get(word, "").split() if self.words else [word])
        ]
        rights = said_by(meant)
        return None if rights is None else meet(rights, self.rights)


_TOLD = (
    "algorithms", "types", "jwks", "keys", "private", "claims", "words", "user_claim", "user_attribute",
)  # fmt: skip
_TUPLES = ("algorithms", "types", "claims")


def issuer_of(record: IssuerRecord) -> Issuer:
    """The issuer of a row."""
    said = orjson.loads(record.told)
    said["rights"] = rights_of(said["rights"])
    said |= {name: tuple(said[name]) for name in _TUPLES if name in said}
    return Issuer(record.tenant, record.name, record.url, record.audience, **said)


def checked(issuer: Issuer, catalog: Catalog) -> Issuer:
    """The issuer, if tokens can be checked by what was said of it.

    Raises:
        InvalidValue: says what would be accepted.
    """
    if _NAME.fullmatch(issuer.name) is None:
        raise InvalidValue(f"{issuer.name[:80]!r}: a name has 1 to 63 of letters, digits, . _ and -")
    check_url("--url", issuer.url)
    if not 0 < len(issuer.audience) <= _MOST or not issuer.audience.isprintable():
        raise InvalidValue("--audience: write what stands as aud in the tokens, at most 500 characters")
    _among("--algorithm", issuer.algorithms, ALGORITHMS)
    _among("--typ", issuer.types, TYPES)
    _among("--user-attribute", (issuer.user_attribute,), USER_ATTRIBUTES)
    if issuer.jwks is not None:
        check_url("--jwks-url", issuer.jwks)
    if issuer.jwks is not None and issuer.keys is not None:
        raise InvalidValue("--jwks-url and --jwks-file: say one of them")
    if issuer.user_claim and issuer.rights.own is not None:
        raise InvalidValue("own: tokens that act for a user make nothing; say --no-own, or no --user-claim")
    for word, meant in issuer.words.items():
        if not word or not meant.split():
            raise InvalidValue(f"--map {word}={meant}: write WORD=SCOPE, such as SCIM.Read=read")
        read_rights(meant.split(), None, None, catalog)
    return issuer


def read_words(assignments: Iterable[str]) -> dict[str, str]:
    """What `WORD=SCOPE` texts map.

    Raises:
        InvalidValue: not of that form.
    """
    found = {}
    for assignment in assignments:
        word, equals, meant = assignment.rpartition("=")
        if not equals:
            raise InvalidValue(f"--map {assignment[:80]}: write WORD=SCOPE, such as SCIM.Read=read")
        found[word] = meant
    return found


def check_url(option: str, url: str) -> None:
    """Refuse a URL that keys must not come from.

    Raises:
        InvalidValue: says why.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise InvalidValue(f"{option} {url[:100]}: no URL") from None
    if (
        len(url) > _MOST
        or not parts.hostname
        or parts.fragment
        or "@" in parts.netloc
        or not url.isprintable()
    ):
        raise InvalidValue(f"{option} {url[:100]}: write a URL such as https://login.example.com")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise InvalidValue(
            f"{option} {url[:100]}: it must begin with https://, or anybody could be the issuer"
        )


def _among(option: str, values: Iterable[str], known: Iterable[str]) -> None:
    values = list(values)
    for value in values or ("",):
        if value not in known:
            raise InvalidValue(f"{option} {value[:40]!r}: there are {', '.join(known)}")
