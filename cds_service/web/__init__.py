"""HTTP: the app, its routes, and errors as FHIR OperationOutcomes."""
