"""FHIR in and out: opening Bundles, reading records, fetching what is missing, writing draft orders."""
