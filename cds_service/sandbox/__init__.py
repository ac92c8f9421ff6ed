"""Invented patients as FHIR R4, and a small FHIR server that serves them."""
