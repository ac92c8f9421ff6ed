"""Who is calling, and what has been agreed with them: request headers to a `ClientProfile`.

Open mode (`CDS_OPEN=1`): everybody is served, with the profile `open`, or with the profile of that name in the client
file; `CDS_EXPLAIN` switches explanations on. Closed mode, the default: a caller who cannot be identified is refused,
and as long as nothing can verify a caller's token, that is every caller. A profile alone never identifies anybody: it
holds no secret.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal, Protocol

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cds_service.errors import SettingsError, Unauthorized
from cds_service.settings import Settings


class ClientProfile(BaseModel):
    """What has been agreed with one client.

    Attributes:
        name: how the log calls this client.
        on_missing_data: answer 412 when data that a rule requires cannot be had, or a card that says what is missing.
        selection_behavior_any: send `any` instead of `at-most-one` (Epic takes nothing else).
        language: language of cards when the call does not ask for one.
        prefetch_aliases: the client's own prefetch key -> the key in our discovery.
        fhir_servers: base URLs of this client's FHIR servers.
        fhir_without_token: its FHIR server may be called without a token (sandboxes only).
        explain: its cards say how they were derived.
        strict_request: refuse what is otherwise tolerated with a note (an incomplete fhirAuthorization, a bare userId).
        topic_alphanumeric: `source.topic.code` of letters and digits only (Epic).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=100)
    on_missing_data: Literal["412", "card"] = "412"
    selection_behavior_any: bool = False
    language: Literal["en", "zh"] | None = None
    prefetch_aliases: dict[str, str] = {}
    fhir_servers: tuple[str, ...] = ()
    fhir_without_token: bool = False
    explain: bool = False
    strict_request: bool = False
    topic_alphanumeric: bool = False


class _ClientFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    clients: tuple[ClientProfile, ...]


OPEN = ClientProfile(name="open", fhir_without_token=True)


class Headers(Protocol):
    """Request headers, by name in any case."""

    def get(self, key: str, /) -> str | None: ...


def identify(headers: Headers, settings: Settings) -> ClientProfile:
    """The profile of the caller, from the headers alone, so that nobody unknown gets a body parsed.

    Raises:
        Unauthorized: the caller could not be identified.
    """
    if settings.open:
        return _open_profile(settings.clients, settings.explain)
    raise Unauthorized


@lru_cache(maxsize=8)
def _open_profile(clients: Path | None, explain: bool) -> ClientProfile:
    named = {profile.name: profile for profile in load_profiles(clients)} if clients else {}
    profile = named.get(OPEN.name, OPEN)
    return profile.model_copy(update={"explain": True}) if explain else profile


def load_profiles(path: Path) -> tuple[ClientProfile, ...]:
    """The profiles in a client file: YAML with one member `clients`, a list of profiles.

    Raises:
        SettingsError: the file cannot be read, or a profile has an unknown or mistyped member.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        profiles = _ClientFile.model_validate(document).clients
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(
            f"CDS_CLIENTS: {path} is not a readable YAML file. Give a file that begins with `clients:`."
        ) from error
    except ValidationError as error:
        fault = error.errors()[0]
        member = ".".join(str(part) for part in fault["loc"]) or "the document"
        raise SettingsError(f"CDS_CLIENTS: {path}: {member}: {fault['msg']}. Correct it or take it out.") from error
    names = [profile.name for profile in profiles]
    if len(names) != len(set(names)):
        raise SettingsError(f"CDS_CLIENTS: {path}: two clients have the same name. Give each its own.")
    return profiles
