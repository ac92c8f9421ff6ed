"""A fault that pydantic found in a request to a BadRequest in our words, without any value of the request."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from cds_service.errors import BadRequest

_WORDS = {"string_type": "must be a string", "list_type": "must be an array", "model_type": "must be an object"}


def missing(path: str, advice: str = "Send it.") -> BadRequest:
    error = BadRequest(f"{path} is missing. {advice}", expression=path)
    error.code = "required"
    return error


def bad_request(error: ValidationError, words: Mapping[str, str], otherwise: str, *, within: str = "") -> BadRequest:
    """The first fault as an error for the caller. Raise it `from None`: pydantic's own error holds the value.

    Args:
        words: pydantic's kinds of faults to words that follow the member's name.
        otherwise: the words for every other kind.
        within: the object that was validated, a prefix of the member's path.
    """
    fault = error.errors(include_input=False, include_url=False)[0]
    path = ".".join([*([within] if within else []), *(str(part) for part in fault["loc"])])
    kind = fault["type"]
    said = (
        fault["msg"].removeprefix("Value error, ")
        if kind == "value_error"
        else {**_WORDS, **words}.get(kind, otherwise)
    )
    return BadRequest(f"{path} {said}.", expression=path)
