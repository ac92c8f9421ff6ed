"""The clinician's page: patient, cards, explanations, trends, SMART launch."""
