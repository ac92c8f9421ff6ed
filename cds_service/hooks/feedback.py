"""Bytes of a feedback call to `FeedbackEvent`s: what became of cards that were shown.

CDS Hooks 2.0.1, section Feedback. Also read: Epic's member name `overrideReasons`, with the reason as a coding or in
Epic's own extension.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

import msgspec
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from cds_service.errors import BadRequest, TooLarge
from cds_service.hooks.messages import parse_body
from cds_service.hooks.validation import bad_request
from cds_service.json_types import Json
from cds_service.store.feedback import FeedbackEvent

COMMENT_LIMIT = 2000  # characters of a user's free text that are kept
MAX_ITEMS = 1_000  # of one batch
_EPIC = "com.epic.cdshooks.feedback.overrideReason."

# RFC 3339 section 5.6; without an offset the moment would be a guess.
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)")

Text = Annotated[str, StringConstraints(strict=True, pattern=r"\S", max_length=1000)]
# Ours have 36 characters, other services' up to 200; a longer one would not fit into an index of the database.
CardId = Annotated[str, StringConstraints(strict=True, pattern=r"\S", max_length=500)]


def _moment(value: str) -> str:
    if _MOMENT.fullmatch(value) is None:
        raise ValueError("must be an RFC 3339 date and time with offset, such as 2025-01-31T08:30:00Z")
    try:
        _utc(value)
    except (ValueError, OverflowError) as error:
        raise ValueError("is no date and time that exists") from error
    return value


def _utc(value: str) -> datetime:
    return datetime.fromisoformat(value.upper()).astimezone(UTC)


class _Read(BaseModel):
    """Members we do not know are ignored; `null` is the same as absent."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, value: Any) -> Any:
        return {k: v for k, v in value.items() if v is not None} if isinstance(value, dict) else value


class Reason(_Read):
    code: Text | None = None
    system: Text | None = None
    display: Text | None = None


class Override(_Read):
    reason: Reason | None = None
    user_comment: str | None = Field(default=None, alias="userComment")
    extension: dict[str, Any] | None = None

    def coded(self) -> Reason:
        """The reason, also where Epic puts it when the customer has not mapped their own reasons to ours."""
        if self.reason is not None:
            return self.reason
        said = self.extension or {}
        category = said.get(_EPIC + "reasonCategory")
        title = said.get(_EPIC + "reasonDisplay") or said.get(_EPIC + "reasonTitle")
        if not isinstance(category, str) and not isinstance(title, str):
            return Reason()
        return Reason(
            code=category[:1000] if isinstance(category, str) and category.strip() else None,
            system=_EPIC + "reasonCategory",
            display=title[:1000] if isinstance(title, str) and title.strip() else None,
        )


class AcceptedSuggestion(_Read):
    id: Text


class Feedback(_Read):
    """One entry of the array `feedback`."""

    card: CardId
    outcome: Literal["accepted", "overridden"]
    outcome_timestamp: Annotated[
        str, AfterValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})
    ] = Field(alias="outcomeTimestamp")
    accepted_suggestions: list[AcceptedSuggestion] | None = Field(default=None, alias="acceptedSuggestions")
    override_reason: Override | None = Field(default=None, alias="overrideReason")
    override_reasons: Override | None = Field(default=None, alias="overrideReasons")

    @model_validator(mode="after")
    def _accepted_names_what(self) -> Self:
        if self.outcome == "accepted" and not self.accepted_suggestions:
            raise ValueError("acceptedSuggestions must name what was accepted")
        return self


class FeedbackRequest(_Read):
    """The body of a feedback call: a batch, of several cards and several hook instances."""

    feedback: list[Feedback]


_FAULTS = {
    "missing": "is missing; send it",
    "literal_error": "must be accepted or overridden",
    "string_pattern_mismatch": "must not be blank",
}


def parse_feedback(body: bytes, service: str) -> list[FeedbackEvent]:
    """The events in a feedback body, in its order.

    Raises:
        BadRequest: naming the member as a dotted path; never with a value of the request.
        TooLarge: a batch of more than `MAX_ITEMS`.
    """
    items = parse_body(body).get("feedback", msgspec.Raw(b"null"))
    try:
        read = json.loads(bytes(items), object_pairs_hook=_object)
        if isinstance(read, list) and len(read) > MAX_ITEMS:
            raise TooLarge(f"feedback has more than {MAX_ITEMS} entries. Send several batches.", expression="feedback")
        batch = FeedbackRequest.model_validate({"feedback": read})
    except (ValueError, RecursionError) as error:
        if isinstance(error, ValidationError):
            raise bad_request(error, _FAULTS, "is of the wrong type or too long") from None
        raise BadRequest("The body cannot be read as JSON. Check where it was made or cut.") from error
    return [_event(item, service) for item in batch.feedback]


def _object(members: list[tuple[str, Any]]) -> Json:
    """A JSON object; a decoder would keep the last of two members of one name."""
    found = dict(members)
    if len(found) < len(members):
        raise BadRequest("The body has a member twice in one object, so that its meaning is unclear. Send each once.")
    return found


def _event(item: Feedback, service: str) -> FeedbackEvent:
    override = item.override_reason or item.override_reasons or Override()
    reason = override.coded()
    return FeedbackEvent(
        service=service,
        card=item.card,
        outcome=item.outcome,
        at=_utc(item.outcome_timestamp),
        accepted=tuple(suggestion.id for suggestion in item.accepted_suggestions or ()),
        reason_code=reason.code,
        reason_system=reason.system,
        reason_display=reason.display,
        comment=override.user_comment[:COMMENT_LIMIT] if override.user_comment else None,
    )
