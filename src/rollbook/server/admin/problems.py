"""Errors of /admin/v1 as problem details (RFC 9457)."""

from http import HTTPStatus

from rollbook.protocol.errors import ScimError
from rollbook.server.admin.shapes import Problem
from rollbook.server.errors import error_headers
from rollbook.server.responses import Answer

PROBLEM = "application/problem+json"


def problem_answer(error: ScimError, *, with_bearer: bool = False) -> Answer:
    """The answer for an error; see `Tell`."""
    said = Problem(
        type="about:blank",
        title=HTTPStatus(error.status).phrase,
        status=error.status,
        detail=error.detail,
        code=error.scim_type,
    )
    body = said.model_dump_json(exclude_none=True).encode()
    return Answer(error.status, body, error_headers(error, with_bearer=with_bearer), PROBLEM)
