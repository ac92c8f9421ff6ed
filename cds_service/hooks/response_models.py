"""What a service answers, as models of the CDS Hooks 2.0.1 text: the yardstick for every reply we send.

Replies are made as plain dicts, which is fast; the tests put each of them through `HookResponse` or `Discovery`.
Members beyond the specification are refused here, except inside `extension`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

Text = Annotated[str, StringConstraints(strict=True, pattern=r"\S")]
# CDS Hooks 2.0.1, Card Attributes: the summary has fewer than 140 characters; one line of plain text.
Summary = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=139, pattern=r"^[^\r\n]*\S[^\r\n]*$")]


def _absolute(url: str) -> str:
    # The sandbox, which holds no real patient, is reached by plain http on this machine.
    if not url.startswith(("https://", "http://127.0.0.1:")):
        raise ValueError("must be an absolute https URL")
    return url


Url = Annotated[Text, AfterValidator(_absolute)]
Extension = Annotated[dict[str, Any], Field(min_length=1)]


class _Part(BaseModel):
    """A part of a reply: no member may be null, and optional ones are left out instead."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _no_null(cls, value: Any) -> Any:
        if isinstance(value, dict) and any(member is None for member in value.values()):
            raise ValueError("a member is null; leave it out")
        return value


class Coding(_Part):
    code: Text
    system: Text
    display: Text | None = None


class OverrideReason(Coding):
    """A reason a user can pick for not following the card; unlike in other codings, `display` is required."""

    display: Text


class Source(_Part):
    label: Text
    url: Url | None = None
    icon: Url | None = None
    topic: Coding | None = None


class Action(_Part):
    type: Literal["create", "update", "delete"]
    description: Text
    resource: Annotated[dict[str, Any], Field(min_length=1)] | None = None
    resource_id: Text | None = Field(default=None, alias="resourceId")
    extension: Extension | None = None

    @model_validator(mode="after")
    def _what_it_acts_on(self) -> Self:
        if self.type == "delete":
            if self.resource is not None or self.resource_id is None:
                raise ValueError("delete has resourceId and no resource")
        elif self.resource is None or "resourceType" not in self.resource:
            raise ValueError(f"{self.type} has a FHIR resource")
        return self


class Suggestion(_Part):
    label: Text
    uuid: Text
    is_recommended: Literal[True] | None = Field(default=None, alias="isRecommended")
    actions: Annotated[list[Action], Field(min_length=1)] | None = None


class Link(_Part):
    label: Text
    url: Url
    type: Literal["absolute", "smart"]
    app_context: Text | None = Field(default=None, alias="appContext")
    autolaunchable: bool | None = None

    @model_validator(mode="after")
    def _context_is_for_apps(self) -> Self:
        if self.type == "absolute" and self.app_context is not None:
            raise ValueError("appContext is for links of type smart only")
        return self


class Card(_Part):
    uuid: Text
    summary: Summary
    indicator: Literal["info", "warning", "critical"]
    source: Source
    detail: Text | None = None
    suggestions: Annotated[list[Suggestion], Field(min_length=1)] | None = None
    selection_behavior: Literal["at-most-one", "any"] | None = Field(default=None, alias="selectionBehavior")
    override_reasons: Annotated[list[OverrideReason], Field(min_length=1)] | None = Field(
        default=None, alias="overrideReasons"
    )
    links: Annotated[list[Link], Field(min_length=1)] | None = None
    extension: Extension | None = None

    @model_validator(mode="after")
    def _selection(self) -> Self:
        if (self.suggestions is None) != (self.selection_behavior is None):
            raise ValueError("selectionBehavior goes with suggestions, one never without the other")
        recommended = sum(suggestion.is_recommended is True for suggestion in self.suggestions or ())
        if recommended > 1 and self.selection_behavior == "at-most-one":
            raise ValueError("at-most-one allows one recommended suggestion")
        return self


class HookResponse(_Part):
    cards: list[Card]
    system_actions: Annotated[list[Action], Field(min_length=1)] | None = Field(default=None, alias="systemActions")
    extension: Extension | None = None

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Self:
        ids = [card.uuid for card in self.cards] + [s.uuid for card in self.cards for s in card.suggestions or ()]
        if len(ids) != len(set(ids)):
            raise ValueError("two cards or suggestions have the same uuid")
        return self


class ServiceEntry(_Part):
    """One service in discovery. Its id is a path segment, so it holds no character that would need escaping."""

    hook: Text
    id: Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9._~-]+$")]
    description: Text
    title: Text | None = None
    prefetch: Annotated[dict[Text, Text], Field(min_length=1)] | None = None
    usage_requirements: Text | None = Field(default=None, alias="usageRequirements")
    # Of a version after 2.0.1; sent to clients that have agreed to it.
    version: Annotated[str, StringConstraints(strict=True, pattern=r"^\d+\.\d+\.\d+$")] | None = None
    hook_version: Annotated[str, StringConstraints(strict=True, pattern=r"^\d+\.\d+(\.\d+)?$")] | None = Field(
        default=None, alias="hookVersion"
    )
    extension: Extension | None = None


class Discovery(_Part):
    services: list[ServiceEntry]
