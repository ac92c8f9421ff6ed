"""Writes the sample patients to a FHIR test server: waits for it, checks it, writes.

It does not use `egress/egress.py`, which only calls listed servers: here the operator names the server as an argument.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import certifi
import requests

from cds_service.errors import UploadError, UploadNoAnswer
from cds_service.json_types import Json
from cds_service.sandbox.patients import WorkedResources

# Test health data: systems that obey security labels keep such resources out of care and out of statistics.
TEST_DATA = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ActReason",
    "code": "HTEST",
    "display": "test health data",
}
# A server that has just started is slow with its first transaction.
_SECONDS = 60.0


def upload(base: str, patients: Iterable[WorkedResources], *, wait: float = 0, ca_file: Path | None = None) -> int:
    """Writes the patients to a FHIR R4 server, one transaction each, with their own ids and a test-data label.

    Args:
        base: the server's base URL.
        wait: seconds to wait for a server that is still starting.
        ca_file: PEM file of authorities to trust besides the public ones.
    Returns:
        The number of resources written. Those of an earlier upload are replaced.
    Raises:
        UploadError: it is not an R4 server, holds other patients under these ids, or refuses the resources.
    """
    base = base.rstrip("/")
    with requests.Session() as session:
        # A proxy from the environment would be used for servers in the local network, too.
        session.trust_env = False
        session.verify = str(ca_file or certifi.where())
        session.headers["Accept"] = "application/fhir+json"
        _wait(session, base, wait)
        chosen = list(patients)
        for each in chosen:
            _refuse_somebody_else(session, base, each.patient)
        return sum(_write(session, base, each.all) for each in chosen)


def _wait(session: requests.Session, base: str, seconds: float) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            answer = _ask(session, "GET", f"{base}/metadata")
        except UploadNoAnswer:
            if time.monotonic() >= end:
                raise
        else:
            if answer.status_code == 200 and _json(answer).get("fhirVersion", "").startswith("4.0"):
                return
            # Behind a proxy, a server that is starting answers 503 or 404.
            if time.monotonic() >= end:
                raise UploadError(
                    f"No FHIR R4 server answers at this URL: {base}/metadata gave {answer.status_code} and no "
                    "capability statement of FHIR 4.0. Check the path; HAPI's ends in /fhir."
                )
        time.sleep(min(0.3, max(0.0, end - time.monotonic())))


def _refuse_somebody_else(session: requests.Session, base: str, patient: Json) -> None:
    answer = _ask(session, "GET", f"{base}/Patient/{patient['id']}")
    if answer.status_code in (404, 410):
        return
    if answer.status_code != 200:
        raise UploadError(f"The server answered {answer.status_code} to a read of Patient/{patient['id']}.")
    if _name(_json(answer)) != _name(patient):
        raise UploadError(
            f"The server holds another patient under Patient/{patient['id']}. Nothing was written. Use a test server."
        )


def _name(patient: Json) -> tuple[Any, Any]:
    name = (patient.get("name") or [{}])[0]
    return name.get("family"), name.get("given")


def _write(session: requests.Session, base: str, resources: list[Json]) -> int:
    entries = [
        {
            "resource": resource | {"meta": {"security": [TEST_DATA]}},
            "request": {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"},
        }
        for resource in resources
    ]
    answer = _ask(
        session,
        "POST",
        base,
        json={"resourceType": "Bundle", "type": "transaction", "entry": entries},
        headers={"Content-Type": "application/fhir+json"},
    )
    if answer.status_code != 200:
        raise UploadError(
            f"The server answered {answer.status_code} to the transaction with Patient/{resources[0]['id']}. "
            "See its log; it must let clients choose ids."
        )
    return len(entries)


def _ask(session: requests.Session, method: str, url: str, **options: Any) -> requests.Response:
    try:
        return session.request(method, url, timeout=_SECONDS, allow_redirects=False, **options)
    except requests.RequestException as error:
        raise UploadNoAnswer(f"{url} did not answer ({type(error).__name__}). Is the server running?") from error


def _json(answer: requests.Response) -> Json:
    try:
        body = answer.json()
    except requests.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}
