"""What is learned of a request on its way: which route it took, and whose it was. For figures and traces; no ids, no values."""

from dataclasses import dataclass

from rollbook.server.requests import Scope

WATCHED = "rollbook.watched"
"""Where a request's scope has its `Watched`, if anybody watches."""

NONE = "none"
OTHER = "other"

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@dataclass(slots=True)
class Watched:
    """Filled by whoever knows: `route` is a template, `tenant` a name, `token` the public part of one."""

    route: str = NONE
    tenant: str = NONE
    token: str = NONE


def note(scope: Scope, tenant: str) -> None:
    """The request has found its route; its path is the template but for an id."""
    watched: Watched | None = scope.get(WATCHED)
    if watched is None:
        return
    path, of_one = scope["path"], scope["path_params"].get("id")
    watched.route = f"{path.removesuffix(of_one)}{{id}}" if of_one else path
    watched.tenant = tenant


def note_route(scope: Scope, route: str, tenant: str) -> None:
    """The request has found a route that is not SCIM's."""
    watched: Watched | None = scope.get(WATCHED)
    if watched is not None:
        watched.route, watched.tenant = route, tenant


def note_token(scope: Scope, token: str | None) -> None:
    """By which token it is asked."""
    watched: Watched | None = scope.get(WATCHED)
    if watched is not None and token:
        watched.token = token


def known_method(method: str) -> str:
    """The method, if it is one that servers know: whoever asks must not invent labels."""
    return method if method in _METHODS else OTHER
