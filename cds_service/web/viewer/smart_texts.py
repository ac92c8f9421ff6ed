"""What a clinician is answered when a launch from the EHR leads nowhere; the words are in `texts/viewer.yaml`."""

from __future__ import annotations

from collections.abc import Mapping

from cds_service.security.smart import Problem
from cds_service.texts import Texts

launch_say = Texts("viewer").get

STATUSES: Mapping[Problem, int] = {
    "incomplete": 400,
    "stranger": 403,
    "unreachable": 502,
    "not-smart": 502,
    "other-host": 502,
    "not-yours": 400,
    "refused": 403,
    "no-token": 502,
    "no-patient": 502,
}
