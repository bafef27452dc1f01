"""An OpenAPI document as a page for people: one file that works offline, without scripts, and asks for nothing else."""

import base64
import hashlib
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from rollbook.protocol.values import JsonObject
from rollbook.server.docs_view import page_of

HTML = "text/html; charset=utf-8"

_TEMPLATES = Path(__file__).with_name("templates")
_STYLE = (_TEMPLATES / "docs.css").read_text("utf-8")
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

HEADERS = (
    (
        b"content-security-policy",
        f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'".encode(),
    ),
)
"""Nothing is loaded, sent or run: the one style is told by its hash (T-77)."""


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("docs.html")


def render(document: JsonObject, source: str) -> bytes:
    """The page of a document; `source` is the way from the page to the document itself."""
    return _template().render(page=page_of(document), style=_STYLE, source=source).encode()
