"""FHIR resources to a patient record; no network."""
