"""Bytes of a CDS Hooks call to a `HookRequest`; FHIR resources in it stay bytes until somebody reads them.

Strict where the specification is (a missing or mistyped member is a 400 that names it), tolerant where clients are
(unknown members are ignored, `null` means absent, an incomplete fhirAuthorization is ignored and the call is still
evaluated).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec
from pydantic import ValidationError

from cds_service.errors import BadRequest, TooLarge
from cds_service.fhir.reference import literal, normal_base
from cds_service.hooks.call_outcome import CallOutcome
from cds_service.hooks.contexts import CONTEXTS, Context, OrderSelect, OrderSign, user_reference
from cds_service.hooks.observer import NULL_OBSERVER, CallObserver
from cds_service.hooks.validation import bad_request, missing
from cds_service.json_types import is_null
from cds_service.languages import Language
from cds_service.security.clients import ClientProfile

# Any version and either case: Epic sends version 1; some clients write the URN form.
_UUID = re.compile(r"(?:urn:uuid:)?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_TOKEN = re.compile(r"[\x21-\x7e]+")
# Far more than any client sends; beyond it, somebody is making the service work for nothing.
MAX_MEMBERS = 1_000

# A member as it stands in JSON text: what comes before it, its name and the colon.
_MEMBER = re.compile(rb'[ \t\r\n]*[{,][ \t\r\n]*"[^"\\]*(?:\\.[^"\\]*)*"[ \t\r\n]*:[ \t\r\n]*')
_END = re.compile(rb"[ \t\r\n]*(?:\{[ \t\r\n]*)?\}[ \t\r\n]*")

# The members of each hook's context that are read at all; others are ignored unread.
_MEMBERS_OF = {
    hook: frozenset(spec.alias or name for name, spec in model.model_fields.items()) for hook, model in CONTEXTS.items()
}

_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_value = msgspec.json.Decoder()


@dataclass(frozen=True, slots=True)
class HookRequest:
    """One call of a service. `repr` tells the hook and the notes only: the rest is of a patient.

    Attributes:
        patient_id: bare id; the prefix `Patient/` or a server address before it is taken off.
        user_id: `Type/id`, or a bare id if the client wrote no type.
        selections: references of the draft orders just chosen; None unless the hook is order-select.
        draft_orders: the Bundle of draft orders; None unless the hook is about orders.
        prefetch: our key -> the resource's JSON; `null` (nothing there) is kept as the bytes `null`.
        fhir_server: base URL the client offers for further data. Untrusted until the way out has checked it.
        fhir_token: bearer token for that server; None if there is none that may be used.
        notes: what was tolerated, as fixed sentences for the log.
    """

    hook: str
    hook_instance: str = field(repr=False)
    patient_id: str = field(repr=False)
    user_id: str = field(repr=False)
    encounter_id: str | None = field(default=None, repr=False)
    selections: tuple[str, ...] | None = field(default=None, repr=False)
    draft_orders: msgspec.Raw | None = field(default=None, repr=False)
    prefetch: Mapping[str, msgspec.Raw] = field(default_factory=dict, repr=False)
    fhir_server: str | None = field(default=None, repr=False)
    fhir_token: str | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CallContext:
    """The circumstances of a call that are not in its body.

    Attributes:
        now: the moment of the call in the site's time zone; its date is the day of judgement.
        log: fields of the log line, to be added to: `cards` (rule ids), `notes` (remark -> count; already there).
            Names that are not on the list in `logs.py` are dropped.
        outcome: what the database is to keep of the call; to be filled in.
        watch: who looks on.
        explain: the caller asked, and may ask, how the decisions were derived.
    """

    profile: ClientProfile
    language: Language
    now: datetime
    log: dict[str, Any] = field(default_factory=dict)
    outcome: CallOutcome = field(default_factory=CallOutcome)
    observer: CallObserver = NULL_OBSERVER
    explain: bool = False


def parse_request(body: bytes, hook: str, profile: ClientProfile) -> HookRequest:
    """The body of a call to a service of `hook`.

    Raises:
        BadRequest: naming the member as a dotted path, what is wrong and what to do; never with a value of the request.
        TooLarge: more members than anybody needs.
    """
    notes: list[str] = []
    members = parse_body(body)
    if _text(members, "hook") != hook:
        raise BadRequest(f"hook is not this service's hook. Send {hook}, or call another service.", expression="hook")
    instance = _text(members, "hookInstance")
    if not _UUID.fullmatch(instance):
        raise BadRequest("hookInstance is not a UUID. Send a new UUID with every call.", expression="hookInstance")
    server = _server(members, profile.strict_request, notes)
    context = _context(members, hook, server, profile.strict_request, notes)
    user = user_reference(context.user_id, context.users)
    if user is None or (profile.strict_request and not user[1]):
        types = ", ".join(sorted(context.users))
        raise BadRequest(f"context.userId must be one of {types}, then / and an id.", expression="context.userId")
    if not user[1]:
        notes.append("userId without a resource type")
    token = _authorization(members, context.patient_id, server, profile, notes)
    return HookRequest(
        hook=hook,
        hook_instance=instance,
        patient_id=context.patient_id,
        user_id=user[0],
        encounter_id=context.encounter_id,
        selections=tuple(context.selections) if isinstance(context, OrderSelect) else None,
        draft_orders=context.draft_orders if isinstance(context, OrderSign) else None,
        prefetch=_prefetch(members, profile.prefetch_aliases),
        fhir_server=server,
        fhir_token=token,
        notes=tuple(notes),
    )


def parse_body(body: bytes) -> dict[str, msgspec.Raw]:
    """The members of the JSON object that a request body is, each still as bytes.

    Raises:
        BadRequest: not UTF-8, not JSON (also NaN, a byte order mark, too deep), not an object, or a member twice.
        TooLarge: more members than anybody needs.
    """
    # The JSON decoder steps over strings it need not decode; text that is no UTF-8 must not reach a reader that way.
    if not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError as error:
            raise BadRequest("The body is not UTF-8. JSON is exchanged as UTF-8.") from error
    return _members(body, None)


_FAULTS = {"string_too_short": "must not be empty"}


def _members(text: bytes, path: str | None) -> dict[str, msgspec.Raw]:
    name = path or "The body"
    try:
        members = _object.decode(text)
    except msgspec.ValidationError as error:
        raise BadRequest(f"{name} is not a JSON object. Send an object.", expression=path) from error
    except msgspec.DecodeError as error:
        raise BadRequest(f"{name} is not valid JSON. Check where it was made or cut.", expression=path) from error
    except RecursionError as error:
        raise BadRequest(f"{name} is nested too deeply. Send FHIR resources as they are.", expression=path) from error
    if len(members) > MAX_MEMBERS:
        raise TooLarge(f"{name} has more than {MAX_MEMBERS} members. Send those that are asked for.", expression=path)
    if not _each_member_once(text, members):
        raise BadRequest(f"{name} has a member twice, so that its meaning is unclear. Send each once.", expression=path)
    return members


def _each_member_once(text: bytes, members: dict[str, msgspec.Raw]) -> bool:
    """Whether walking over as many members as there are names ends at the end of the object.

    A JSON decoder keeps the last of two members of one name, so the text then holds more than the walk covers.
    Nothing is decoded a second time: values are stepped over by their length.
    """
    position = 0
    for value in members.values():
        head = _MEMBER.match(text, position)
        if head is None:
            return False
        position = head.end() + len(value)
    return _END.fullmatch(text, position) is not None


def _text(members: Mapping[str, msgspec.Raw], name: str) -> str:
    value = _small(members, name)
    if value is None:
        raise missing(name)
    if not isinstance(value, str) or not value.strip():
        raise BadRequest(f"{name} must be a string that is not blank.", expression=name)
    return value


def _small(members: Mapping[str, msgspec.Raw], name: str, path: str = "") -> Any:
    """The value of a member, decoded; None if it is absent or null."""
    raw = members.get(name)
    if raw is None:
        return None
    try:
        return _value.decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadRequest(f"{path}{name} cannot be read as JSON.", expression=f"{path}{name}") from error


def _context(
    members: Mapping[str, msgspec.Raw], hook: str, server: str | None, strict: bool, notes: list[str]
) -> Context:
    raw = members.get("context")
    if raw is None or is_null(raw):
        raise missing("context")
    given = _members(bytes(raw), "context")
    model = CONTEXTS[hook]
    values: dict[str, Any] = {}
    for name, member in given.items():
        if name in _MEMBERS_OF[hook] and not is_null(member):
            values[name] = member if name == "draftOrders" else _small(given, name, "context.")
    # Before CDS Hooks 1.0 the user stood beside the context, as it still does in HL7's PDDI-CDS.
    if "userId" not in values and not strict and isinstance(user := _small(members, "user"), str):
        values["userId"] = user
        notes.append("userId taken from the member user")
    try:
        context = model.model_validate(values)
    except ValidationError as error:
        if (fault := error.errors(include_input=False, include_url=False)[0])["type"] == "missing":
            raise missing("context." + ".".join(str(part) for part in fault["loc"])) from None
        # `from None`: pydantic's own error carries the value, which is patient data.
        raise bad_request(error, _FAULTS, "is of the wrong type", within="context") from None
    address = literal(values["patientId"])
    # The same id on another server is another patient.
    if server is not None and address is not None and address.base not in ("", normal_base(server)):
        path = "context.patientId"
        raise BadRequest(f"{path} is an address on another server than fhirServer. Send the bare id.", expression=path)
    return context


def _server(members: Mapping[str, msgspec.Raw], strict: bool, notes: list[str]) -> str | None:
    value = _small(members, "fhirServer")
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadRequest("fhirServer must be a string, the base URL of a FHIR server.", expression="fhirServer")
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        usable = False
    if usable:
        return value
    if strict:
        raise BadRequest("fhirServer must be an absolute http or https URL.", expression="fhirServer")
    notes.append("fhirServer is not an absolute URL")
    return None


def _authorization(
    members: Mapping[str, msgspec.Raw], patient_id: str, server: str | None, profile: ClientProfile, notes: list[str]
) -> str | None:
    """The token of `fhirAuthorization`; None if it is absent or cannot be used."""
    value = _small(members, "fhirAuthorization")
    if value is None:
        return None
    if not isinstance(value, dict):
        raise BadRequest("fhirAuthorization must be an object.", expression="fhirAuthorization")
    _members(bytes(members["fhirAuthorization"]), "fhirAuthorization")  # a token twice, or for two patients
    patient = value.get("patient")
    # A token for another patient's data must not be used for this one.
    if isinstance(patient, str) and patient.rsplit("/", 1)[-1] != patient_id:
        raise BadRequest(
            "fhirAuthorization.patient is not the patient of the context. Send a token for context.patientId.",
            expression="fhirAuthorization.patient",
        )
    fault = _authorization_fault(value) or (None if server else "without a usable fhirServer")
    if fault is None:
        if profile.fhir_subject is not None and value["subject"] != profile.fhir_subject:
            if profile.strict_request:
                raise BadRequest(
                    "fhirAuthorization.subject is not the one agreed on. Send a token made out to this service.",
                    expression="fhirAuthorization.subject",
                )
            notes.append("fhirAuthorization made out to another subject")
        return value["access_token"] if value["expires_in"] > 0 else None
    if profile.strict_request:
        raise BadRequest(f"fhirAuthorization is incomplete: {fault}.", expression="fhirAuthorization")
    notes.append(f"fhirAuthorization not used: {fault}")
    return None


def _authorization_fault(value: Mapping[str, Any]) -> str | None:
    for name in ("access_token", "token_type", "scope", "subject"):
        if not isinstance(value.get(name), str) or not value[name].strip():
            return f"no {name}"
    if value["token_type"].lower() != "bearer":
        return "token_type is not Bearer"
    expires = value.get("expires_in")
    if not isinstance(expires, int) or isinstance(expires, bool) or expires < 0:
        return "no expires_in in whole seconds"
    return None if _TOKEN.fullmatch(value["access_token"]) else "access_token cannot stand in a header"


def _prefetch(members: Mapping[str, msgspec.Raw], aliases: Mapping[str, str]) -> dict[str, msgspec.Raw]:
    raw = members.get("prefetch")
    if raw is None or is_null(raw):
        return {}
    given = _members(bytes(raw), "prefetch")
    if not aliases:
        return given
    renamed = {aliases[key]: value for key, value in given.items() if key in aliases}
    return renamed | {key: value for key, value in given.items() if key not in aliases}
