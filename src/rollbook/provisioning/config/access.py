"""How a target is reached: credentials, certificates, proxy. Secrets and files are named in the file, and read here."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rollbook.client import Grant
from rollbook.provisioning import model
from rollbook.provisioning.config.document import SECRET_REFERENCE, Document, Place
from rollbook.provisioning.config.secret import read_secret

_WAYS = ("token", "oauth", "basic", "certificate")
"""What may prove who we are; a certificate may stand beside another."""


class AccessReader:
    """Reads it, and reports what is missing or too much."""

    def __init__(self, document: Document, folder: Path, environment: Mapping[str, str]) -> None:
        self._document = document
        self._folder = folder
        self._environment = environment

    def access(self, place: Place, raw: Mapping[str, Any]) -> model.Access:
        """The access of a target; a bearer token is read elsewhere."""
        ways = [way for way in _WAYS if raw.get(way)]
        if not ways:
            self._document.report(
                "RB104", f"target {place[1]} needs token", self._document.key(place), "no credentials here",
                "token: ${NAME_OF_A_VARIABLE}, or oauth:, basic: or certificate:",
            )  # fmt: skip
        if len(set(ways) - {"certificate"}) > 1:
            text = f"target {place[1]} has {' and '.join(ways)}"
            self._document.report("RB105", text, self._document.key(place), "write one of them")
        return model.Access(
            grant=self._grant((*place, "oauth"), raw.get("oauth")),
            basic=self._basic((*place, "basic"), raw.get("basic")),
            ca=self._file((*place, "ca_file"), raw.get("ca_file")),
            certificate=self._certificate(place, raw),
            proxy=self._proxy((*place, "proxy"), raw.get("proxy")),
            private=raw.get("private") is True,
        )

    def _grant(self, place: Place, raw: Any) -> Grant | None:
        if not isinstance(raw, dict):
            return None
        secret = self._secret((*place, "client_secret"), raw.get("client_secret"))
        key = self._file((*place, "private_key"), raw.get("private_key"))
        if ("client_secret" in raw) == ("private_key" in raw):
            text = "oauth needs client_secret or private_key, and not both"
            self._document.report("RB105", text, self._document.key(place))
        return Grant(
            str(raw.get("token_url")),
            str(raw.get("client_id")),
            secret,
            None if key is None else key.decode("ascii", "replace"),
            raw.get("key_id"),
            str(raw.get("algorithm", "RS256")),
            raw.get("scope"),
            raw.get("audience"),
        )

    def _basic(self, place: Place, raw: Any) -> tuple[str, str] | None:
        if not isinstance(raw, dict):
            return None
        password = self._secret((*place, "password"), raw.get("password"))
        return str(raw.get("user")), password or ""

    def _certificate(self, place: Place, raw: Mapping[str, Any]) -> tuple[bytes, bytes] | None:
        if not raw.get("certificate"):
            return None
        if not raw.get("certificate_key"):
            mark = self._document.key((*place, "certificate"))
            self._document.report(
                "RB104", "a certificate needs certificate_key", mark, "the PEM file of its key"
            )
            return None
        found = self._file((*place, "certificate"), raw["certificate"])
        key = self._file((*place, "certificate_key"), raw["certificate_key"])
        return None if found is None or key is None else (found, key)

    def _proxy(self, place: Place, text: Any) -> str | None:
        if isinstance(text, str) and SECRET_REFERENCE.match(text):
            return self._secret(place, text)
        return text if isinstance(text, str) else None

    def _secret(self, place: Place, text: Any) -> str | None:
        if not isinstance(text, str) or not text:
            return None
        return read_secret(self._document, place, text, self._folder, self._environment)

    def _file(self, place: Place, text: Any) -> bytes | None:
        if not isinstance(text, str) or not text:
            return None
        path = self._folder / text.removeprefix("file:")
        try:
            return path.read_bytes()
        except OSError as error:
            self._document.report(
                "RB113", f"the file {path} cannot be read", self._document.value(place), str(error.strerror)
            )
            return None
