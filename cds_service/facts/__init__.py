"""A PatientRecord at a date to named facts, each with its evidence."""
