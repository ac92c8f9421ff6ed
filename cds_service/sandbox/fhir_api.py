"""A read-only FHIR R4 server over the sample patients: capabilities, read and search.

It answers as common servers do (paging by `next` links, unknown parameters ignored, errors as OperationOutcome), so
that the service can be tried and tested against a server that behaves like an EHR's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from urllib.parse import quote

import msgspec
from flask import Blueprint, Response, request

from cds_service import __version__
from cds_service.artifacts.worked_patients import WorkedPatient, is_relative
from cds_service.errors import KnowledgeError, NotFound, RequestError
from cds_service.json_types import Json
from cds_service.sandbox.patients import TYPES, patient_resources
from cds_service.sandbox.search import Found, search, search_parameters
from cds_service.terminology import Terminology

MEDIA_TYPE = "application/fhir+json"
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


class _NotAllowedError(RequestError):
    """405: the server is read-only."""

    status = 405
    code = "not-supported"


class _WrongFormError(RequestError):
    """415: the body of a _search is not a form."""

    status = 415
    code = "structure"


@dataclass(frozen=True, slots=True)
class _Day:
    day: date
    by_type: dict[str, dict[str, Json]]


class SamplePatients:
    """The sample patients as resources of today: built at start and again when the day changes.

    Args:
        worked: worked patients whose dates are all relative.
        now: the clock, with time zone.
    Raises:
        KnowledgeError: a patient has a fixed date, which would age, or an unknown value set.
    """

    def __init__(self, worked: Sequence[WorkedPatient], terminology: Terminology, now: Callable[[], datetime]) -> None:
        for patient in worked:
            if fixed := [when for when in patient.moments if not is_relative(when)]:
                raise KnowledgeError(
                    f"sample patient {patient.id}",
                    f"{fixed[0]} is a fixed date; the patient's data would get older every day.",
                    "Write an offset from today, such as -10d.",
                )
        self.worked = {patient.id: patient for patient in worked}
        self._terminology = terminology
        self._now = now
        self._lock = threading.Lock()
        self._built = self._build(now())

    def of_type(self, kind: str) -> dict[str, Json]:
        """Resources of one FHIR type by id, as of today."""
        now = self._now()
        with self._lock:
            if self._built.day != now.date():
                self._built = self._build(now)
            return self._built.by_type[kind]

    def check(self, kind: str) -> None:
        """Raises NotFound for a type that this server does not have."""
        if kind not in TYPES:
            raise NotFound(f"This server has no such type. It has {', '.join(TYPES)}.")

    def read(self, kind: str, resource_id: str) -> Json:
        """One resource; NotFound without it."""
        self.check(kind)
        resource = self.of_type(kind).get(resource_id)
        if resource is None:
            raise NotFound("There is no such resource.")
        return resource

    def search(self, base: str, kind: str, parameters: Sequence[tuple[str, str]], *, strict: bool = False) -> Json:
        """A page of a search as a Bundle with links below `base`; raises like `search.search`, or NotFound."""
        self.check(kind)
        return _searchset(base, kind, search(kind, self.of_type(kind).values(), parameters, strict=strict))

    def _build(self, now: datetime) -> _Day:
        by_type: dict[str, dict[str, Json]] = {kind: {} for kind in TYPES}
        for patient in self.worked.values():
            for resource in patient_resources(patient, self._terminology, now).all:
                by_type[resource["resourceType"]][resource["id"]] = resource
        return _Day(now.date(), by_type)


def sandbox_blueprint(
    worked: Sequence[WorkedPatient],
    terminology: Terminology,
    now: Callable[[], datetime],
    *,
    url_prefix: str = "/sandbox/fhir",
    public_url: str | None = None,
) -> Blueprint:
    """The FHIR server as a Flask blueprint; the application adds the CORS headers.

    Args:
        public_url: scheme and host that clients use behind a proxy; by default those of the request.
    """
    return samples_blueprint(
        SamplePatients(worked, terminology, now), now, url_prefix=url_prefix, public_url=public_url
    )


def samples_blueprint(
    patients: SamplePatients,
    now: Callable[[], datetime],
    *,
    url_prefix: str = "/sandbox/fhir",
    public_url: str | None = None,
) -> Blueprint:
    """The same blueprint over a given `Samples`, which the page reads too."""
    blueprint = Blueprint("sandbox_fhir", __name__, url_prefix=url_prefix)

    def base() -> str:
        return f"{(public_url or request.host_url).rstrip('/')}{url_prefix}"

    @blueprint.get("/metadata")
    def metadata() -> Response:
        return _json(_capabilities(base(), now()))

    @blueprint.get("/<kind>/<resource_id>")
    def read(kind: str, resource_id: str) -> Response:
        return _json(patients.read(kind, resource_id))

    @blueprint.get("/<kind>")
    @blueprint.get("/<kind>/")
    @blueprint.post("/<kind>/_search")
    def search_type(kind: str) -> Response:
        patients.check(kind)
        if request.method == "POST" and request.content_length and not request.mimetype.endswith("form-urlencoded"):
            raise _WrongFormError("The parameters of a _search come as application/x-www-form-urlencoded.")
        parameters = [*request.args.items(multi=True), *request.form.items(multi=True)]
        strict = "handling=strict" in request.headers.get("Prefer", "")
        return _json(patients.search(base(), kind, parameters, strict=strict))

    @blueprint.route("/", defaults={"rest": ""}, methods=_METHODS, strict_slashes=False)
    @blueprint.route("/<path:rest>", methods=_METHODS)
    def anything_else(rest: str) -> Response:
        if request.method == "GET":
            raise NotFound("There is nothing here. Ask for metadata, Type/id or Type?parameters.")
        raise _NotAllowedError("This server is read-only. Use GET, or POST to Type/_search.")

    @blueprint.errorhandler(RequestError)
    def outcome(error: RequestError) -> Response:
        issue = {"severity": "error", "code": error.code, "diagnostics": str(error)}
        return _json({"resourceType": "OperationOutcome", "issue": [issue]}, error.status)

    return blueprint


def _searchset(base: str, kind: str, found: Found) -> Json:
    links = [{"relation": "self", "url": _address(base, kind, found.used)}]
    if found.next_offset is not None:
        links.append(
            {"relation": "next", "url": _address(base, kind, [*found.used, ("_offset", str(found.next_offset))])}
        )
    bundle: Json = {"resourceType": "Bundle", "type": "searchset", "total": found.total, "link": links}
    if found.page:
        bundle["entry"] = [
            {"fullUrl": f"{base}/{kind}/{resource['id']}", "resource": resource, "search": {"mode": "match"}}
            for resource in found.page
        ]
    return bundle


def _address(base: str, kind: str, parameters: Sequence[tuple[str, str]]) -> str:
    query = "&".join(f"{quote(name, safe=':')}={quote(value, safe=',/:')}" for name, value in parameters)
    return f"{base}/{kind}?{query}"


def _capabilities(base: str, now: datetime) -> Json:
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": now.isoformat(timespec="seconds"),
        "kind": "instance",
        "software": {"name": "cds-service sandbox", "version": __version__},
        "implementation": {"description": "Invented sample patients; no real person is in here.", "url": base},
        "fhirVersion": "4.0.1",
        "format": ["json", MEDIA_TYPE],
        "rest": [
            {
                "mode": "server",
                "resource": [
                    {
                        "type": kind,
                        "interaction": [{"code": "read"}, {"code": "search-type"}],
                        "searchParam": [{"name": name, "type": type_} for name, type_ in search_parameters(kind)],
                    }
                    for kind in TYPES
                ],
            }
        ],
    }


def _json(resource: Json, status: int = 200) -> Response:
    return Response(msgspec.json.encode(resource), status=status, content_type=MEDIA_TYPE)
