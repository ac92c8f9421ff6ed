"""What an error must look like: an OperationOutcome with one issue."""

from __future__ import annotations

from werkzeug.test import TestResponse


def outcome(response: TestResponse, status: int, code: str) -> str:
    """Checks that the reply is an OperationOutcome and gives its text."""
    assert (response.status_code, response.content_type) == (status, "application/json")
    assert response.json["resourceType"] == "OperationOutcome"
    (issue,) = response.json["issue"]
    assert (issue["severity"], issue["code"]) == ("error", code)
    assert set(issue) <= {"severity", "code", "diagnostics", "expression"}
    return str(issue["diagnostics"])
