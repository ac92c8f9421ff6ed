"""The wire: CDS Hooks routes, health, OpenAPI, errors as OperationOutcome."""
