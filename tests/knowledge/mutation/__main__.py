"""All mutants of the knowledge against all worked patients; survivors in neither list are printed, exit code 1."""

from __future__ import annotations

import sys
from itertools import groupby
from multiprocessing import get_context

from tests.knowledge.mutation.equivalent import equivalents, unnoticed
from tests.knowledge.mutation.mutants import Mutant, mutants_of
from tests.knowledge.mutation.ward import Ward
from tests.support.worked_service import WorkedService

# Filled before the processes part, so that the patients are read once.
_wards: list[Ward] = []


def main() -> int:
    service = WorkedService()
    ward = Ward(service)
    _wards.append(ward)
    mutants = list(mutants_of(service.knowledge))
    parts = [list(part) for _, part in groupby(mutants, key=lambda one: (one.kind, one.name))]
    with get_context("fork").Pool() as pool:
        survivors = [mutant for found in pool.imap(_survivors, parts) for mutant in found]
    same, open_ = equivalents().keys(), unnoticed()
    found = [mutant for mutant in survivors if mutant.id not in same | open_]
    stale = sorted((same | open_) - {mutant.id for mutant in survivors})
    for patient, complaints in ward.ill.items():
        print(f"{patient} complains of the knowledge as it is: {'; '.join(complaints)}")
    for mutant in found:
        print(f"{mutant.where}: nobody notices {mutant.id}")
    for id_ in stale:
        file = "unnoticed" if id_ in open_ else "equivalent"
        print(f"tests/knowledge/mutation/{file}.yaml: no such mutant, or somebody notices it: {id_}")
    print(
        f"{len(mutants)} mutants, {len(ward)} worked patients: {len(mutants) - len(survivors)} noticed, "
        f"{len(same)} equivalent, {len(open_)} not noticed yet (unnoticed.yaml), {len(found)} more survive"
    )
    return 1 if found or stale or ward.ill else 0


def _survivors(part: list[Mutant]) -> list[Mutant]:
    return list(_wards[0].survivors(part))


if __name__ == "__main__":
    sys.exit(main())
