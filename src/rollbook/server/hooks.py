"""Webhooks: people that are sent to us, at `/hooks/` and a source's name. Kept durably before they are acknowledged."""

import secrets
from collections.abc import Awaitable, Callable, Mapping

from rollbook.operations.tenant_settings import Limits
from rollbook.protocol.errors import MethodNotAllowed, StoreUnavailable, Unauthorized
from rollbook.provisioning.messages import TOLERANCE, Hook, Signed, arrivals
from rollbook.server.requests import AsgiApp, Most, Receive, Request, Scope, Send, parse_json, read_body
from rollbook.server.responses import Answer, dump, send_answer
from rollbook.storage.arrivals import Arrivals, Taken

PATH = "/hooks/"

MOST_BYTES = 1_048_576
"""Of a message."""

BACKLOG = 5_000
"""People of one source that wait to be applied; beyond, senders are asked to come again later."""

_REFUSED = (
    "no sender of ours has signed this: it takes the name of a source, its secret, and the headers webhook-id,"
    " webhook-timestamp and webhook-signature as Standard Webhooks has them"
)


class Hooks:
    """ASGI app: takes messages; all other paths are the next app's."""

    def __init__(
        self,
        app: AsgiApp,
        store: Arrivals,
        tenant: int,
        now: Callable[[], int],
        hooks: Mapping[str, Hook],
    ) -> None:
        self.hooks = hooks
        self._app = app
        self._store = store
        self._tenant = tenant
        self._now = now
        # Whoever asks for a source that there is not learns no more, and no sooner, than with a wrong signature.
        self._nobody = Hook("", (secrets.token_bytes(32),))

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer one request."""
        if self.hooks and scope["path"].startswith(PATH):
            return self._take(scope, receive, send)
        return self._app(scope, receive, send)

    async def _take(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            raise MethodNotAllowed("messages are sent by POST", allow=("POST",))
        name = scope["path"].removeprefix(PATH)
        request = Request(scope, receive, "")
        signed = Signed(*(request.header(one) or "" for one in _HEADERS))
        if not signed.is_in_time(self._now()):
            raise Unauthorized(
                f"webhook-id or webhook-timestamp is missing, or the time is off by more than {TOLERANCE} seconds"
            )
        body = await read_body(request, Most(MOST_BYTES), Limits().body_seconds)
        hook = self.hooks.get(name, self._nobody)
        if not signed.is_by(hook.secrets, body) or hook is self._nobody:
            raise Unauthorized(_REFUSED)
        found = arrivals(parse_json(body), hook.key)
        taken = await self._store.take(self._tenant, name, signed.id, found, self._now(), BACKLOG)
        if taken is Taken.FULL:
            raise StoreUnavailable(f"{BACKLOG} people wait to be applied already; send this again later")
        accepted = len(found) if taken is Taken.NEW else 0
        await send_answer(
            send, Answer(202, dump({"accepted": accepted, "result": taken.value})), "application/json"
        )


_HEADERS = (b"webhook-id", b"webhook-timestamp", b"webhook-signature")
