"""Errors of /admin/v1 as problem details (RFC 9457)."""

from http import HTTPStatus

from rollbook.protocol.errors import ScimError
from rollbook.protocol.values import JsonObject
from rollbook.server.errors import error_headers
from rollbook.server.responses import Answer, dump

PROBLEM = "application/problem+json"


def problem_answer(error: ScimError, *, with_bearer: bool = False) -> Answer:
    """The answer for an error; see `Tell`, and `shapes.Problem`."""
    said: JsonObject = {
        "type": "about:blank",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": error.detail,
    }
    if error.scim_type is not None:
        said["code"] = error.scim_type
    return Answer(error.status, dump(said), error_headers(error, with_bearer=with_bearer), PROBLEM)
