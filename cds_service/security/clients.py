"""`ClientProfile`: what was agreed with one client, an entry of the client file.

Every switch has a safe default, so a profile states only what differs at this client. There is no switch for
`systemActions`, for `actionSelectionBehavior` or for several actions in one suggestion: this service never sends them
(docs/decisions/0008-one-action-no-system-actions.md).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, StringConstraints

from cds_service.languages import Language
from cds_service.setting_checks import checked_rate

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
Text = Annotated[str, StringConstraints(pattern=r"\S", max_length=2_000)]
# Lists of a YAML file become tuples; their members are checked as strictly as the rest.
Texts = Annotated[tuple[Text, ...], Strict(False)]

_ACTIONS: tuple[Literal["create", "update", "delete"], ...] = ("create", "update", "delete")
ASYMMETRIC = ("ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512")


def _asymmetric(name: str) -> str:
    # CDS Hooks 2.0.1, Trusting CDS Clients: neither `none` nor a symmetric algorithm, even if listed.
    if name not in ASYMMETRIC:
        raise ValueError(f"an algorithm here must be one of {', '.join(ASYMMETRIC)}")
    return name


class ClientProfile(BaseModel):
    """What was agreed with one client.

    Attributes:
        name: name of this client in the log; letters, digits, dots, underscores, hyphens.
        like: the ready profile it starts from; a member given here replaces that profile's.

        issuers: the `iss` of its tokens, compared exactly. An issuer belongs to one profile.
        jku: addresses of its key sets; a token cannot make this service fetch any other address.
        keys: file with its JWK Set, for clients that hand over their keys; relative to the client file.
        algorithms: signature algorithms allowed for its tokens.
        audiences: further `aud` values, for clients that send something else than the URL they call.
        tenants: if not empty, a token must name one of them.
        services: ids or topics it may call; all if empty.
        max_token_age: most seconds between `iat` and `exp` of a token.
        rate_limit: calls it may make, like "600 per minute", or "off"; without it, the setting's.
        cors_origins: browser origins it calls from, besides those of the setting.

        on_missing_data: if required data is missing, answer 412, or a card that says what is missing.
        strict_request: refuse what is otherwise accepted with a note (an incomplete fhirAuthorization, a bare userId).
        prefetch_aliases: the client's own prefetch key -> the key in our discovery.
        fhir_servers: base URLs of this client's FHIR servers.
        fhir_without_token: its FHIR server may be called without a token (sandboxes only).
        fhir_subject: expected `subject` of its FHIR tokens; another is noted, or refused if strict_request.
        fhir_deadline: seconds that all FHIR queries of one call may take together; without it, the setting's.
        fhir_pages: most pages of one search that are followed; without it, the built-in limit.

        language: language of cards when the call does not ask for one.
        explain: its cards say how they were derived.
        actions: action types it can apply; the card describes the others in words (Epic: no update).
        selection_behavior: how many of a card's suggestions may be accepted (Epic supports `any` only).
        topic_alphanumeric: `source.topic.code` of letters and digits only (Epic).
        links: cards carry links.
        delete_style: a delete names its draft in `resourceId`, or, for older clients, in `resource`.
        order_systems: code system URI -> the URI that replaces it in orders made for this client.
        discovery_versions: discovery states the versions of CDS Hooks and of each hook.

        smart_client_id: client id of the page at the client's EHR; if set, cards have a link that opens the page.
        smart_client_secret: file with its client secret, relative to the client file; None for a public client.
        smart_servers: https addresses of its authorization server, if that is on another host than the FHIR servers.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: Name
    like: Name | None = None

    issuers: Texts = ()
    jku: Texts = ()
    keys: Annotated[Path, Strict(False)] | None = None
    algorithms: Annotated[tuple[Annotated[str, AfterValidator(_asymmetric)], ...], Strict(False)] = ("ES384", "RS384")
    audiences: Texts = ()
    tenants: Texts = ()
    services: Texts = ()
    max_token_age: int = Field(default=3_600, ge=60, le=86_400)
    rate_limit: Annotated[str, AfterValidator(checked_rate)] | None = None
    cors_origins: Texts = ()

    on_missing_data: Literal["412", "card"] = "412"
    strict_request: bool = False
    prefetch_aliases: dict[str, str] = {}
    fhir_servers: Texts = ()
    fhir_without_token: bool = False
    fhir_subject: Text | None = None
    # Clients give up after five seconds; the answer must be sent before that.
    fhir_deadline: float | None = Field(default=None, gt=0, lt=5)
    fhir_pages: int | None = Field(default=None, ge=1, le=100)

    language: Language | None = None
    explain: bool = False
    actions: Annotated[tuple[Literal["create", "update", "delete"], ...], Strict(False)] = _ACTIONS
    selection_behavior: Literal["at-most-one", "any"] = "at-most-one"
    topic_alphanumeric: bool = False
    links: bool = True
    delete_style: Literal["resourceId", "resource"] = "resourceId"
    order_systems: dict[str, str] = {}
    discovery_versions: bool = False

    smart_client_id: Text | None = None
    smart_client_secret: Annotated[Path, Strict(False)] | None = None
    smart_servers: Texts = ()

    def may_call(self, service_id: str, hook: str) -> bool:
        """Whether the client may call a service, named by its id or by the topic in its id."""
        return not self.services or service_id in self.services or service_id.removesuffix(f"-{hook}") in self.services


# Profile of every caller in open mode, unless the client file has a profile of this name.
OPEN = ClientProfile(name="open", fhir_without_token=True)
