"""The table of record lists is whole, and a row added to it is seen wherever lists are told."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import get_args

from cds_service.egress.breaker import Breaker
from cds_service.hooks.cards.missing_data_card import list_name
from cds_service.languages import LANGUAGES
from cds_service.record import ListName
from cds_service.record_lists import RECORD_LISTS
from tests.support.clients.epic import strings_in

ROOT = Path(__file__).resolve().parents[2]

# A list of medicines that exists nowhere, put into the table before anything else is imported.
NEW_ROW = """
import json, sys
from datetime import UTC, datetime
from pathlib import Path
from dataclasses import replace
import cds_service.record_lists as table

statements = table.by_source()["medication-statements"]
row = replace(statements, source="made-up", key="madeUp", types=("MadeUp",), also=())
table.RECORD_LISTS = (*table.RECORD_LISTS, row)
table.by_source.cache_clear()

from cds_service.artifacts.load import load_knowledge
from cds_service.evaluate import Evaluator
from cds_service.hooks.discovery import discovery
from cds_service.gaps import Gap, GapKind
from cds_service.hooks.cards.missing_data_card import missing_parts
from cds_service.hooks.prefetch import prefetch_for
from cds_service.fhir.bundle import ListResult
from cds_service.record import Patient, PatientRecord
from cds_service.sandbox.patients import PREFETCH, TYPES
from cds_service.web.api.openapi_texts import EXAMPLES
from cds_service.web.viewer.charts import READABLE

GONE = (Gap(GapKind.NOT_SENT),)
knowledge = load_knowledge()
service = knowledge.services["vitamin-b12-patient-view"]
needs = prefetch_for(knowledge, service)
record = PatientRecord(Patient("p1"), unread={"made-up": GONE})
obtained = [ListResult(need.sources, unread=GONE if need.key == "madeUp" else ()) for need in needs]
parts = missing_parts(record, needs, obtained)
facts = Evaluator(knowledge).facts(record, datetime.now(UTC))
fact = next(name for name, one in knowledge.facts.items() if one.medication and one.state == "active")
print(json.dumps({
    "discovery": discovery(knowledge, "en")["services"][0]["prefetch"]["madeUp"],
    "OpenAPI": "madeUp" in EXAMPLES["HookRequest"]["patient-view"]["prefetch"],
    "scopes": "MadeUp" in READABLE,
    "card": parts.lists,
    "412": parts.unread,
    "sandbox": [PREFETCH["madeUp"], "MadeUp" in TYPES],
    "fact": [facts[fact].value, facts[fact].missing.about],
}))
"""


def test_every_name_has_one_row_and_every_key_and_type_one_list() -> None:
    assert [row.source for row in RECORD_LISTS] == list(get_args(ListName))
    for names in ([row.key for row in RECORD_LISTS], [kind for row in RECORD_LISTS for kind in row.types]):
        assert max(Counter(names).values()) == 1


def test_every_list_has_a_title_in_every_language_and_one_meaning_when_unread() -> None:
    for row in RECORD_LISTS:
        assert all(list_name(row.source, language) for language in LANGUAGES)
        assert row.default is None or not row.may_be_missing


def test_a_server_that_recovers_is_asked_for_the_patient_and_every_list() -> None:
    clock = [0.0]
    breaker = Breaker("ehr.example:443", lambda: clock[0], failures=1, pause=10)
    breaker.failed()
    clock[0] = 11
    assert sum(breaker.allow_request() for _ in range(100)) == 1 + len(RECORD_LISTS)


def test_the_integrators_page_names_every_list_that_is_asked_for() -> None:
    guide = (ROOT / "docs" / "integrate.md").read_text(encoding="utf-8")
    asked = {key for strings in strings_in(guide).values() for key in strings}
    first, _, _ = guide.partition("The templates in discovery")
    for row in RECORD_LISTS:
        assert (f"`{row.key}`" in first) == (row.key in asked), row.key


def test_a_row_more_is_seen_in_discovery_openapi_scopes_the_card_the_sandbox_and_in_unknown_facts() -> None:
    run = subprocess.run(
        [sys.executable, "-c", NEW_ROW], capture_output=True, text=True, check=False, timeout=60, cwd=ROOT
    )
    assert run.returncode == 0, run.stderr

    assert json.loads(run.stdout) == {
        "discovery": "MadeUp?patient={{context.patientId}}&_count=200",
        "OpenAPI": True,
        "scopes": True,
        "card": ["made-up"],
        "412": ["madeUp"],
        "sandbox": ["MadeUp", True],
        "fact": [None, "made-up"],
    }
