"""Asking FHIR and terminology servers."""
