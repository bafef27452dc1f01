"""Clients of the token endpoint: made, given other secrets or keys."""

from dataclasses import replace

import orjson
from joserfc import jwk

from rollbook.operations.key_sets import KeyFault, read_keys
from rollbook.operations.rights import Rights
from rollbook.operations.token_endpoint import LEAST_SECONDS, MOST_SECONDS, USUAL_SECONDS
from rollbook.operations.tokens import digest, new_id, new_token
from rollbook.protocol.errors import InvalidValue
from rollbook.storage.oauth_clients import ClientRecord


def made(
    key: bytes,
    tenant: int,
    name: str,
    rights: Rights,
    *,
    now: int,
    expires: int,
    seconds: int = USUAL_SECONDS,
    keys: str | None = None,
) -> tuple[ClientRecord, str | None]:
    """A new client, and its secret if it has no keys; `key` is that of all digests.

    Raises:
        InvalidValue: tokens of no sensible life.
    """
    if not LEAST_SECONDS <= seconds <= MOST_SECONDS:
        raise InvalidValue(f"its tokens last {LEAST_SECONDS} seconds to a day, not {seconds} seconds")
    client = ClientRecord(new_id(), tenant, name, now, rights.text, seconds, keys=keys)
    if keys is not None:
        return client, None
    secret = new_token(client.id)[0]
    return replace(client, digest=digest(key, secret), expires=expires), secret


def rotated(key: bytes, client: ClientRecord, *, expires: int, until: int) -> tuple[ClientRecord, str]:
    """A client with a new secret; the one before goes on until then."""
    secret = new_token(client.id)[0]
    ends = until if client.expires is None else min(until, client.expires)
    return (
        replace(client, digest=digest(key, secret), expires=expires, former=client.digest, former_until=ends),
        secret,
    )


def key_set(text: str) -> str:
    """Public keys as a JWK set, of one or of PEM.

    Raises:
        InvalidValue: there is none that signatures are checked with.
    """
    try:
        document = orjson.loads(text)
    except ValueError:
        document = {"keys": [_of_pem(text)]}
    if isinstance(document, dict) and "kty" in document:
        document = {"keys": [document]}
    try:
        found = read_keys(document)
    except KeyFault as error:
        raise InvalidValue(str(error)) from None
    if not found:
        raise InvalidValue(
            "there is no public key in it that signatures are checked with (RSA of 2048 bits or more, EC, Ed25519)"
        )
    public = [each for each in document["keys"] if isinstance(each, dict) and not {"d", "k"} & each.keys()]
    return orjson.dumps({"keys": public}).decode()


def _of_pem(text: str) -> dict[str, object]:
    for kind in (jwk.RSAKey, jwk.ECKey, jwk.OKPKey):
        try:
            return dict(kind.import_key(text).as_dict(private=False))
        except Exception:  # noqa: BLE001, S112 - of a stranger's text the library raises many kinds: no such key
            continue
    raise InvalidValue("that is neither a JWK set nor a public key as PEM")
