"""All computed facts. Importing a module declares those in it; a new module is added to the list here."""

from __future__ import annotations

from cds_service.facts import (
    amounts,
    changes,
    course,
    medications,
    observations,
    patient,
    problems,
    prophylaxis,
    replacement,
    reversal,
    unit_slip,
)
from cds_service.facts.changes import change
from cds_service.facts.computed import (
    COMPUTED,
    Computed,
    condition_take,
    entries,
    medication_take,
    observation_take,
    patient_fact,
    product_filter,
    state,
)

MODULES = (
    amounts,
    changes,
    course,
    medications,
    observations,
    patient,
    problems,
    prophylaxis,
    replacement,
    reversal,
    unit_slip,
)

__all__ = [
    "COMPUTED",
    "MODULES",
    "Computed",
    "change",
    "condition_take",
    "entries",
    "medication_take",
    "observation_take",
    "patient_fact",
    "product_filter",
    "state",
]
