"""What only sources of one type have: where they are, who asks, and the secrets for that."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rollbook.provisioning import model
from rollbook.provisioning.config.document import SECRET_REFERENCE, Document, Place
from rollbook.provisioning.config.secret import read_secret
from rollbook.provisioning.sources.sql import shown_url

_KEY_BYTES = range(24, 65)

_PLAIN: Mapping[str, tuple[str, ...]] = {
    "sql": ("query",),
    "scim": ("url", "filter", "private"),
    "rollbook": ("tenant",),
    "ldap": ("url", "base", "filter", "bind_dn", "attributes", "start_tls", "timeout"),
}
"""The keys that are taken as they stand, by type."""


class OptionReader:
    """Reads them, and reports what is wrong with secrets."""

    def __init__(self, document: Document, folder: Path, environment: Mapping[str, str]) -> None:
        self._document = document
        self._folder = folder
        self._environment = environment

    def read(self, place: Place, raw: Mapping[str, Any]) -> dict[str, Any]:
        """The options of a source; `shown` is where it is, for people."""
        kind = str(raw.get("type"))
        found: dict[str, Any] = {name: raw[name] for name in _PLAIN.get(kind, ()) if name in raw}
        match kind:
            case "sql":
                found["url"] = self._url((*place, "url"), raw.get("url"))
                found["shown"] = shown_url(found["url"])
            case "rollbook":
                found = {"tenant": 1, **found}
                found["database"] = self._url((*place, "database"), raw.get("database"))
                found["shown"] = shown_url(found["database"])
            case "webhook":
                found["secrets"] = self._signing_secrets((*place, "secret"), raw.get("secret"))
                found["shown"] = f"/hooks/{place[-1]}"
            case "scim":
                found["token"] = self._secret(place, "token", raw)
                found["shown"] = str(raw.get("url"))
            case "ldap":
                found["password"] = self._secret(place, "password", raw) or ""
                found["shown"] = f"{raw.get('url')}/{raw.get('base')}"
                if isinstance(raw.get("ca_file"), str):
                    found["ca_file"] = str(self._folder / raw["ca_file"])
        return found

    def alerts(self, place: Place, raw: Mapping[str, Any]) -> model.Alerts:
        """Who is told what needs somebody; the shape has been checked elsewhere."""
        mail = raw.get("mail")
        mail = mail if isinstance(mail, dict) else {}
        to = mail.get("to")
        return model.Alerts(
            self._secret(place, "webhook", raw),
            tuple(map(str, to)) if isinstance(to, list) else (),
            str(mail.get("sender", "rollbook@localhost")),
            str(mail.get("server", "localhost")),
            raw.get("private") is True,
        )

    def _secret(self, place: Place, name: str, raw: Mapping[str, Any]) -> str | None:
        text = raw.get(name)
        if not isinstance(text, str) or not text:
            return None
        return read_secret(self._document, (*place, name), text, self._folder, self._environment)

    def _url(self, place: Place, text: Any) -> str:
        """A database URL: itself if there is no password in it, else where it is kept."""
        if not isinstance(text, str):
            return ""
        if not SECRET_REFERENCE.match(text) and not _has_password(text):
            return text
        return read_secret(self._document, place, text, self._folder, self._environment) or ""

    def _signing_secrets(self, place: Place, raw: Any) -> tuple[bytes, ...]:
        """Secrets of the form that Standard Webhooks have; several while one takes the place of the other."""
        places = [(place, raw)] if isinstance(raw, str) else []
        if isinstance(raw, list):
            places = [((*place, index), text) for index, text in enumerate(raw) if isinstance(text, str)]
        found = []
        for one, text in places:
            secret = read_secret(self._document, one, text, self._folder, self._environment)
            if secret is None:
                continue
            key = _signing_key(secret)
            if key is None:
                title = f"{text} is no secret of a webhook"
                note = "make one: echo whsec_$(openssl rand -base64 32)"
                label = "it must be whsec_ and 24 to 64 bytes as base64"
                self._document.report("RB113", title, self._document.value(one), label, note)
            found += [key] if key else []
        return tuple(found)


def _signing_key(secret: str) -> bytes | None:
    """The bytes of `whsec_` and base64, None if they are no key."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        return None
    return key if secret.startswith("whsec_") and len(key) in _KEY_BYTES else None


def _has_password(url: str) -> bool:
    try:
        return urlsplit(url).password is not None
    except ValueError:
        return True
