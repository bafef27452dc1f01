"""Documents and pages that change with nothing but the base URI: rendered once for each, then sent as they lie."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from rollbook.operations.context import Tenant
from rollbook.protocol.values import JsonObject
from rollbook.protocol.versions import if_none_match
from rollbook.server.exchange import Exchange
from rollbook.server.responses import Answer, dump

_CACHE = (b"cache-control", b"max-age=60")
_MOST_BYTES = 16 * 1024 * 1024

Render: TypeAlias = Callable[[str], JsonObject | bytes]
"""Makes a document, or the bytes of a page, for a base URI."""


@dataclass
class Rendered:
    """What has been rendered, by tenant, base URI and name; bounded, since ports of a Host header come from callers."""

    _known: dict[tuple[int, int, str, str], bytes] = field(default_factory=dict)
    _size: int = 0

    def answer(self, exchange: Exchange, name: str, render: Render) -> Answer:
        """The document of that name as `render` makes it for a base URI, with ETag; 304 if it is known (P-4-12)."""
        body = self._body(exchange.context.caller.tenant, exchange.site.base, name, render)
        version = f'W/"{hashlib.sha256(body).hexdigest()[:16]}"'
        headers = ((b"etag", version.encode()), _CACHE)
        known = exchange.request.header(b"if-none-match")
        if known is not None and if_none_match(known, version):
            return Answer(304, headers=headers)
        return Answer(200, body, headers)

    def _body(self, tenant: Tenant, base: str, name: str, render: Render) -> bytes:
        key = (tenant.number, tenant.edition, base, name)
        body = self._known.get(key)
        if body is None:
            made = render(base)
            body = made if isinstance(made, bytes) else dump(made)
            if self._size + len(body) > _MOST_BYTES:
                self._known.clear()
                self._size = 0
            self._known[key] = body
            self._size += len(body)
        return body
