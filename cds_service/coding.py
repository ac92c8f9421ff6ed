"""Codes, and one canonical URI for each code system, for all spellings in records."""

from __future__ import annotations

from typing import NamedTuple

LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
ATC = "http://www.whocc.no/atc"
NDC = "http://hl7.org/fhir/sid/ndc"
ICD10 = "http://hl7.org/fhir/sid/icd-10"
ICD10CM = "http://hl7.org/fhir/sid/icd-10-cm"
UCUM = "http://unitsofmeasure.org"

# Short names, as the value set tables in knowledge/valuesets/ write them.
SYSTEMS = {
    "loinc": LOINC,
    "snomed": SNOMED,
    "rxnorm": RXNORM,
    "atc": ATC,
    "ndc": NDC,
    "icd-10": ICD10,
    "icd-10-cm": ICD10CM,
    "icd-10-cn": "http://hl7.org/fhir/sid/icd-10-cn",
    "nhsa": "urn:cn:nhsa:drug",
    "ctv3": "http://read.info/ctv3",
    "read2": "http://read.info/readv2",
    "npu": "urn:oid:1.2.208.176.2.1",
}

# Other spellings of the same systems: OIDs (Epic sends them), older and versioned URIs.
_ALIASES = {
    "urn:oid:2.16.840.1.113883.6.1": LOINC,
    "urn:oid:2.16.840.1.113883.6.96": SNOMED,
    "urn:oid:2.16.840.1.113883.6.88": RXNORM,
    "urn:oid:2.16.840.1.113883.6.73": ATC,
    "http://www.whocc.no/atc/": ATC,
    "https://www.whocc.no/atc": ATC,
    "urn:oid:2.16.840.1.113883.6.69": NDC,
    "urn:oid:2.16.840.1.113883.6.3": ICD10,
    "urn:oid:2.16.840.1.113883.6.90": ICD10CM,
    "http://hl7.org/fhir/sid/icd-10-us": ICD10CM,
    "https://loinc.org": LOINC,
    "https://snomed.info/sct": SNOMED,
    "https://unitsofmeasure.org": UCUM,
}


class Coding(NamedTuple):
    """One code of a record; a missing part is an empty string."""

    system: str
    code: str
    display: str = ""


def system_uri(written: str) -> str:
    """The canonical URI of a code system, from its URI, OID or short name; an unknown one is returned unchanged."""
    return SYSTEMS.get(written) or _ALIASES.get(written) or written
