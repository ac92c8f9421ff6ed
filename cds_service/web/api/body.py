"""Reads a request body, within limits of media type, coding, size and time."""

from __future__ import annotations

from dataclasses import dataclass

from flask import request

from cds_service.errors import BadRequest, TooLarge, WrongMediaType
from cds_service.web.ops.body_timeout import BodyReadTimeouts

_MEDIA_TYPES = frozenset({"application/json", "application/fhir+json", "application/json+fhir"})


@dataclass(frozen=True, slots=True)
class BodyReader:
    """Reads the body of the current request.

    Attributes:
        limit: most bytes of a body.
    """

    limit: int
    body_timeouts: BodyReadTimeouts

    def read(self) -> bytes:
        """The body; its bytes are counted while reading if it has no Content-Length.

        Raises:
            WrongMediaType, TooLarge, TooSlow: the rest of it is not read.
            BadRequest: it was cut off.
        """
        if request.mimetype not in _MEDIA_TYPES:
            raise WrongMediaType("The body is not JSON by its media type. Send Content-Type: application/json.")
        # Never decompressed: a few bytes could become gigabytes.
        if request.environ.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() not in ("", "identity"):
            raise WrongMediaType("The body is compressed. Send it as it is, without Content-Encoding.")
        declared = request.content_length
        if declared is not None and declared > self.limit:
            raise self._too_large()
        with self.body_timeouts.reading():
            # The app allows one byte more, so that a body cut off at the limit is not mistaken for a complete one.
            body = request.get_data(cache=False)
        if len(body) > self.limit:
            raise self._too_large()
        if declared is not None and len(body) < declared:
            raise BadRequest("The body is shorter than its Content-Length says. Send it whole.")
        return body

    def _too_large(self) -> TooLarge:
        return TooLarge(f"The body is over {self.limit} bytes. Send less data, or have the limit raised.")
