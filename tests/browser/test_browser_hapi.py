"""The page on a real FHIR server that was filled with `cds load-samples`: the same chart, the same cards."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.reader import LOCALES, Language, Reader
from tests.browser.service_process import served
from tests.browser.visit import Visit

pytestmark = [pytest.mark.browser, pytest.mark.hapi]


@pytest.fixture(scope="module")
def with_hapi(hapi_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service whose page shows a HAPI server with the sample patients."""
    load = [sys.executable, "-m", "cds_service", "load-samples", "--test-server", hapi_url]
    subprocess.run(load, check=True, capture_output=True, timeout=120)
    with served(tmp_path_factory.mktemp("hapi"), page_servers=f"hapi={hapi_url}", fhir_allow=hapi_url) as base:
        yield base


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_patient_of_a_real_server_is_found_by_name_and_gets_the_cards_of_the_sandbox(
    visits: Callable[..., Visit], with_hapi: str, language: Language
) -> None:
    reader = Reader(visits(with_hapi, locale=LOCALES[language]), language, "keyboard")
    reader.visit.open("/app/?server=hapi")

    reader.choose(reader.page.locator("#patient-pick-input"), "Roy", "Roy Example")

    cards = reader.panel("patient-view").locator("article.card")
    expect(cards).to_have_count(2)
    expect(cards.filter(has_text="151 pg/mL")).to_have_count(1)
    expect(reader.page.locator("#results tbody tr")).to_have_count(2)
    assert reader.visit.posted("vitamin-b12-patient-view")[-1]["fhirServer"].endswith("/fhir")
    assert reader.visit.posted("vitamin-b12-patient-view")[-1]["fhirServer"] != f"{with_hapi}/sandbox/fhir"
