"""All errors of this service, as a tree.

    CdsError                     base class; the message is safe to show
    ├── KnowledgeError           a knowledge file is wrong: file, line, what, why, do this
    ├── SettingsError            a setting is missing or not valid
    ├── UploadError              a FHIR server did not take the sample patients
    │   └── UploadNoAnswer       it did not answer
    ├── EgressError              a FHIR server may not be called, or did not answer usefully
    │   └── NoAnswer             it did not answer, not completely, or not in time
    └── RequestError             the caller's request cannot be served; has an HTTP status
        ├── BadRequest           400  not JSON, or a member is missing or of the wrong type
        ├── Unauthorized         401  the caller could not be identified
        ├── Forbidden            403  the caller is known, but not for this
        ├── NotFound             404  no such service or route
        ├── Unprocessable        412  data the rules need is missing and could not be fetched
        ├── TooSlow              408  the body did not arrive in time
        ├── TooLarge             413  the body, or a list in it, is over the limit
        ├── WrongMediaType       415  the body is not JSON by its media type, or is compressed
        ├── Throttled            429  this caller calls too often
        └── Unavailable          503  cannot be served now; the same call may succeed later

Messages never hold patient data, tokens or text from the request.
Only `web/` and `cli/main.py` turn these into status codes and exit codes.
"""

from __future__ import annotations

from cds_service.gaps import Gap, GapKind


class CdsError(Exception):
    """Base of all errors of this service; `str(error)` is safe to show to a caller."""


class KnowledgeError(CdsError):
    """A fault in a knowledge file, worded as `file:line: what, why, do this`.

    `words`: the values, in order, at the fault; with them its line is found inside an artifact.
    """

    def __init__(self, where: str, what: str, do: str, words: tuple[str, ...] = ()) -> None:
        super().__init__(f"{where}: {what} {do}")
        self.where = where
        self.what = what
        self.do = do
        self.words = words


class SettingsError(CdsError):
    """A setting is missing or not valid; the message names the setting and what it should hold."""


class EgressError(CdsError):
    """A FHIR server may not be called, did not answer in time, or answered with something unusable.

    `gap` tells which of these; `gap_texts.py` words it.
    """

    def __init__(self, kind: GapKind) -> None:
        super().__init__(kind.value.replace("-", " "))
        self.gap = Gap(kind)


class NoAnswer(EgressError):
    """A server did not answer, not completely, or not in time: a fault of the server or of the network."""


class UploadError(CdsError):
    """A FHIR server did not accept the sample patients; the message says why."""


class UploadNoAnswer(UploadError):
    """The server did not answer; it may still be starting."""


class RequestError(CdsError):
    """The caller's request cannot be served.

    Attributes:
        status: HTTP status code.
        code: FHIR issue type for the OperationOutcome (http://hl7.org/fhir/issue-type).
        expression: where in the request, as a dotted path, if that helps the caller.
        retry_after: seconds after which the same call may succeed; None if it will not.
        reason: the reason in the log; by default the message, but a 401 hides it from the caller.
        claimed: name of the client that a refused caller claims to be, for the log.
    """

    status = 400
    code = "invalid"
    retry_after: int | None = None
    claimed: str | None = None

    def __init__(self, message: str, *, expression: str | None = None) -> None:
        super().__init__(message)
        self.expression = expression
        self.reason = message


class BadRequest(RequestError):
    """400: the body is not JSON, or a member is missing or of the wrong type."""


class Unauthorized(RequestError):
    """401: the caller could not be identified. One message for all reasons, so that it does not help an attacker."""

    status = 401
    code = "login"

    def __init__(self, reason: str, *, claimed: str | None = None) -> None:
        super().__init__("The caller could not be identified. Send a valid token as Authorization: Bearer.")
        self.reason = reason
        self.claimed = claimed


class Forbidden(RequestError):
    """403: the caller is known, but this service or this tenant was not agreed on."""

    status = 403
    code = "forbidden"

    def __init__(self, message: str, *, claimed: str | None = None) -> None:
        super().__init__(message)
        self.claimed = claimed


class NotFound(RequestError):
    """404: no such service or route."""

    status = 404
    code = "not-found"


class Unprocessable(RequestError):
    """412: data that the rules need was not in the request and could not be fetched."""

    status = 412
    code = "incomplete"


class TooSlow(RequestError):
    """408: the body did not arrive in time."""

    status = 408
    code = "timeout"


class TooLarge(RequestError):
    """413: the body, or a list in it, is over the limit."""

    status = 413
    code = "too-long"


class WrongMediaType(RequestError):
    """415: the body is not JSON by its media type, or is compressed."""

    status = 415
    code = "structure"


class Throttled(RequestError):
    """429: this caller calls too often."""

    status = 429
    code = "throttled"

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(RequestError):
    """503: this cannot be served now; the same call may succeed later."""

    status = 503
    code = "transient"
    retry_after = 5
