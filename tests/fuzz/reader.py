"""Atheris on the readers: any bytes as a call, as feedback, and as FHIR resources of a patient.

    python tests/fuzz/reader.py -max_total_time=60 [folder of cases]

A RequestError or an unreadable entry is what they may make of it; any other exception is a find.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import atheris

FUZZ = Path(__file__).resolve().parent

with atheris.instrument_imports(include=["cds_service.fhir", "cds_service.hooks"]):
    from cds_service.artifacts.load import load_knowledge
    from cds_service.errors import RequestError
    from cds_service.fhir.bundle import ListResult, open_resource
    from cds_service.fhir.read.record import read_record
    from cds_service.hooks.contexts import CONTEXTS
    from cds_service.hooks.feedback import parse_feedback
    from cds_service.hooks.messages import parse_request
    from cds_service.security.clients import OPEN

KNOWLEDGE = load_knowledge()
PATIENT = open_resource(b'{"resourceType":"Patient","id":"p","gender":"female","birthDate":"1950-01-01"}').entries


def read(data: bytes) -> None:
    """One case."""
    hook = sorted(CONTEXTS)[len(data) % len(CONTEXTS)]
    with suppress(RequestError):
        request = parse_request(data, hook, OPEN)
        for value in request.prefetch.values():
            open_resource(value)
    with suppress(RequestError):
        parse_feedback(data, "service")
    opened = open_resource(data)
    obtained = [ListResult((), PATIENT), ListResult(("observations",), opened.entries)]
    with suppress(RequestError):
        read_record("p", obtained, KNOWLEDGE.terminology, KNOWLEDGE.units, drafts=data)


def corpus(folder: Path) -> None:
    """Real requests, and every resource in them, to begin with."""
    import json

    for path in sorted((FUZZ.parent / "wire" / "requests").glob("*.json")):
        body = json.loads(path.read_text(encoding="utf-8"))
        parts = [body, *(body.get("prefetch") or {}).values(), (body.get("context") or {}).get("draftOrders")]
        for number, part in enumerate(parts):
            if part is not None:
                (folder / f"{path.stem}-{number}.json").write_bytes(json.dumps(part).encode())


if __name__ == "__main__":
    folders = [Path(word) for word in sys.argv[1:] if not word.startswith("-")]
    if folders:
        folders[0].mkdir(parents=True, exist_ok=True)
        corpus(folders[0])
    atheris.Setup(sys.argv, read)
    atheris.Fuzz()
