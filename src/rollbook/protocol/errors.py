"""Every way in which Rollbook says no.

    ScimError
     ├── RequestError            the caller's fault; one class per scimType or status
     │    ├── InvalidFilter, TooMany, InvalidSyntax, InvalidPath, NoTarget, InvalidValue (Cycle),
     │    │   InvalidVersion, InvalidCursor, ExpiredCursor, InvalidCount, Mutability     400
     │    ├── Unauthorized 401 · Forbidden, InsufficientScope, Sensitive 403 · NotFound 404 · MethodNotAllowed 405
     │    ├── NotAcceptable 406 · RequestTimeout 408 · Conflict, Uniqueness 409
     │    ├── PreconditionFailed 412 · PayloadTooLarge 413 · UnsupportedMediaType 415
     │    └── PreconditionRequired 428 · TooManyRequests 429 · UnsupportedFeature 501
     ├── ServiceError            ours
     │    ├── InternalError 500
     │    └── StoreUnavailable, DefinitionsChanged 503
     └── TargetError             the far side's; raised by `rollbook.client` only
          ├── TargetUnavailable  may pass: no answer, 429, 5xx
          │    └── TargetPending 202, will be done later
          └── TargetRefused      will not pass by itself; an answer that is not SCIM

The client raises `RequestError` classes too, from the bodies it receives. Errors carry data and do nothing;
`server/errors.py`, `cli/errors.py` and `provisioning/retry.py` are the three places that act on them.
"""

from typing import ClassVar


class ScimError(Exception):
    """An outcome with an HTTP status, an optional scimType and a sentence for people (RFC 7644 §3.12)."""

    status: ClassVar[int] = 500
    scim_type: ClassVar[str | None] = None

    def __init__(self, detail: str, *, quirk: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.quirk = quirk
        """Name of the switched-off quirk that would have accepted the request, if there is one."""


class RequestError(ScimError):
    """The caller's fault: the same request will fail again."""

    status = 400


class InvalidFilter(RequestError):
    """The filter does not parse, or pairs an attribute with an operator it does not have."""

    scim_type = "invalidFilter"


class TooMany(RequestError):
    """The request would cost more than the server is willing to compute."""

    scim_type = "tooMany"


class InvalidSyntax(RequestError):
    """The structure of the message is wrong."""

    scim_type = "invalidSyntax"


class InvalidPath(RequestError):
    """A PATCH path that is malformed or names an attribute the schema does not have."""

    scim_type = "invalidPath"


class NoTarget(RequestError):
    """A PATCH path that finds nothing to work on."""

    scim_type = "noTarget"


class InvalidValue(RequestError):
    """A required value is missing, or a value does not fit type, operation or schema."""

    scim_type = "invalidValue"


class Cycle(InvalidValue):
    """Members that would contain each other in a ring; a bulk operation answers it with 409 (A-70)."""


class InvalidVersion(RequestError):
    """The protocol version asked for is not served."""

    scim_type = "invalidVers"


class InvalidCursor(RequestError):
    """A cursor this server did not make for this request (RFC 9865 §2.1)."""

    scim_type = "invalidCursor"


class ExpiredCursor(RequestError):
    """A cursor that has outlived its time (RFC 9865 §2.1)."""

    scim_type = "expiredCursor"


class InvalidCount(RequestError):
    """A page size that changed during a cursor walk (RFC 9865 §2.1)."""

    scim_type = "invalidCount"


class Mutability(RequestError):
    """The change does not fit the mutability or the present state of the attribute."""

    scim_type = "mutability"


class Unauthorized(RequestError):
    """No valid credentials. `offers_basic`: where they were asked for, Basic ones would do."""

    status = 401
    offers_basic = False


class Forbidden(RequestError):
    """Valid credentials without the right."""

    status = 403


class InsufficientScope(Forbidden):
    """A token that is valid, and not for this; `scope` names what is missing (RFC 6750 §3.1)."""

    def __init__(self, detail: str, scope: str = "") -> None:
        super().__init__(detail)
        self.scope = scope


class Sensitive(Forbidden):
    """Personal data in a URI; POST to .search instead (RFC 7644 §7.5.2)."""

    scim_type = "sensitive"


class NotFound(RequestError):
    """No such resource or endpoint, or none the caller may know of."""

    status = 404


class MethodNotAllowed(RequestError):
    """The endpoint exists but does not offer the method."""

    status = 405

    def __init__(self, detail: str, *, allow: tuple[str, ...] = ()) -> None:
        super().__init__(detail)
        self.allow = allow


class NotAcceptable(RequestError):
    """The Accept header admits no media type that SCIM has."""

    status = 406


class RequestTimeout(RequestError):
    """The request did not arrive whole in time."""

    status = 408


class Conflict(RequestError):
    """The request does not fit the present state."""

    status = 409


class Uniqueness(Conflict):
    """A value that must be unique is in use."""

    scim_type = "uniqueness"


class PreconditionFailed(RequestError):
    """If-Match names another version than the present one, or If-None-Match that one."""

    status = 412


class PayloadTooLarge(RequestError):
    """The body is over the limit."""

    status = 413


class UnsupportedMediaType(RequestError):
    """The body is of a media type, character set or encoding that is not read here."""

    status = 415


class PreconditionRequired(RequestError):
    """This server wants If-Match on writes."""

    status = 428


class TooManyRequests(RequestError):
    """The caller is over its rate; wait and try again. `quota`: which limit it is, and how many a second."""

    status = 429

    def __init__(self, detail: str, *, retry_after: int = 5, quota: tuple[str, int] | None = None) -> None:
        super().__init__(detail)
        self.retry_after = retry_after
        self.quota = quota


class UnsupportedFeature(RequestError):
    """A part of SCIM that this server does not offer."""

    status = 501


class ServiceError(ScimError):
    """Our fault: the same request may succeed later."""


class InternalError(ServiceError):
    """Something nobody expected; details are in the log only."""


class StoreUnavailable(ServiceError):
    """The store cannot take or answer the request now. `public` is what whoever asks over HTTP is told: no paths, no hosts."""

    status = 503

    def __init__(self, detail: str, *, quirk: str | None = None, public: str | None = None) -> None:
        super().__init__(detail, quirk=quirk)
        self.public = detail if public is None else public


class Outdated(StoreUnavailable):
    """The database is of a newer program than this: nothing more can be written, or was, until this one is replaced."""


class DefinitionsChanged(StoreUnavailable):
    """The schemas have changed since they were read; what was decided by the old ones is not written."""


class TargetError(ScimError):
    """The far side of a client call failed in a way that is not a SCIM error about our request.

    `http_status` is what was received, None when there was no answer at all.
    """

    status = 502

    def __init__(self, detail: str, *, http_status: int | None = None) -> None:
        super().__init__(detail)
        self.http_status = http_status


class TargetUnavailable(TargetError):
    """No answer, 429 or 5xx: may pass. `retry_after` is in seconds, if the far side named a time."""

    def __init__(
        self, detail: str, *, http_status: int | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(detail, http_status=http_status)
        self.retry_after = retry_after


class TargetPending(TargetUnavailable):
    """The far side has taken the request and will carry it out later: how it ends is not known yet (RFC 9967 §2.5.1).

    `transaction` is the `txn` of the event that will tell; `location` where that event can be read, if it says so.
    """

    def __init__(self, detail: str, *, transaction: str, location: str | None = None) -> None:
        super().__init__(detail, http_status=202)
        self.transaction = transaction
        self.location = location


class TargetRefused(TargetError):
    """The far side answered something that is not SCIM, or that makes no sense for the call."""


BY_SCIM_TYPE: dict[str, type[RequestError]] = {
    str(cls.scim_type): cls
    for cls in (
        InvalidFilter, TooMany, InvalidSyntax, InvalidPath, NoTarget, InvalidValue, InvalidVersion,
        InvalidCursor, ExpiredCursor, InvalidCount, Mutability, Sensitive, Uniqueness,
    )
}  # fmt: skip
"""The class for each scimType of RFC 7644 table 9 and RFC 9865 table 3."""

BY_STATUS: dict[int, type[RequestError]] = {
    cls.status: cls
    for cls in (
        RequestError, Unauthorized, Forbidden, NotFound, MethodNotAllowed, NotAcceptable, RequestTimeout,
        Conflict, PreconditionFailed, PayloadTooLarge, UnsupportedMediaType, PreconditionRequired,
        TooManyRequests, UnsupportedFeature,
    )
}  # fmt: skip
"""The class for each status of RFC 7644 table 8 that needs no scimType."""
