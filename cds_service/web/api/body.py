"""The bytes of a request body, read only if its media type, its coding and its size allow it, and within a time."""

from __future__ import annotations

from dataclasses import dataclass

from flask import request

from cds_service.errors import BadRequest, TooLarge, WrongMediaType
from cds_service.web.ops.body_timeout import BodyReadTimeouts

_MEDIA_TYPES = frozenset({"application/json", "application/fhir+json", "application/json+fhir"})


@dataclass(frozen=True, slots=True)
class BodyReader:
    """Reads the body of the request at hand.

    Attributes:
        limit: bytes it may have.
    """

    limit: int
    body_timeouts: BodyReadTimeouts

    def read(self) -> bytes:
        """The body; counted while reading if no size is told.

        Raises:
            WrongMediaType, TooLarge, TooSlow: nothing more of it is read.
            BadRequest: it was cut off.
        """
        if request.mimetype not in _MEDIA_TYPES:
            raise WrongMediaType("The body is not JSON by its media type. Send Content-Type: application/json.")
        # Nothing is ever inflated: a few bytes could become gigabytes.
        if request.environ.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() not in ("", "identity"):
            raise WrongMediaType("The body is compressed. Send it as it is, without Content-Encoding.")
        told = request.content_length
        if told is not None and told > self.limit:
            raise self._too_large()
        with self.body_timeouts.reading():
            # The app lets one byte more through, so that a body cut off at the limit cannot pass for a whole one.
            body = request.get_data(cache=False)
        if len(body) > self.limit:
            raise self._too_large()
        if told is not None and len(body) < told:
            raise BadRequest("The body is shorter than its Content-Length says. Send it whole.")
        return body

    def _too_large(self) -> TooLarge:
        return TooLarge(f"The body is over {self.limit} bytes. Send less data, or have the limit raised.")
