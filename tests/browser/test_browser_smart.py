"""The page launched from a patient's record in an EHR: one patient, the cards, refused sign-ins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import expect

from tests.browser.axe import violations
from tests.browser.reader import LOCALES, Language, Reader
from tests.browser.service_process import served
from tests.browser.visit import Visit
from tests.support.certificates import Authority
from tests.support.ports import free_port
from tests.support.smart_server import Ehr, smart_server

pytestmark = pytest.mark.browser

Visits = Callable[..., Visit]
PATIENT = "b12-and-warfarin"


@dataclass(frozen=True)
class Launched:
    """A closed service by https, and the EHR that opens its page."""

    base: str
    ehr: Ehr

    def address(self, patient: str) -> str:
        return f"/smart/launch?iss={self.ehr.base}&launch={self.ehr.launch(patient)}"


@pytest.fixture(scope="module")
def launched(base: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    """The records of the EHR are those of another service's sandbox."""
    folder: Path = tmp_path_factory.mktemp("smart")
    port = free_port()
    authority = Authority(folder, "Service CA")
    pair = authority.vouch("127.0.0.1")
    redirect = f"https://127.0.0.1:{port}/smart/callback"
    with smart_server(folder, f"{base}/sandbox/fhir", redirect_uri=redirect) as ehr:
        client = {"name": "hospital", "issuers": ["https://ehr.example"], "jku": ["https://ehr.example/keys"]}
        client |= {"fhir_servers": [ehr.base], "smart_client_id": ehr.client_id}
        clients = folder / "clients.yaml"
        clients.write_text(yaml.safe_dump({"clients": [client]}))
        settings = {
            "port": str(port),
            "open": "0",
            "sandbox": "0",
            "page": "1",
            "fhir_allow": ehr.base,
            "clients": str(clients),
            "ca_file": str(ehr.ca_file),
            "session_key": "0123456789abcdef0123456789abcdef",
            "tls_cert": str(pair.cert),
            "tls_key": str(pair.key),
        }
        with served(folder, vouched_by=authority.ca_file, **settings) as address:
            yield Launched(address, ehr)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_launch_opens_the_record_with_its_cards_and_no_list_of_patients(
    visits: Visits, launched: Launched, language: Language
) -> None:
    reader = Reader(visits(launched.base, locale=LOCALES[language], ignore_https_errors=True), language)

    reader.visit.open(launched.address(PATIENT))

    expect(reader.page.get_by_role("heading", name="Roy Example")).to_be_visible()
    expect(reader.panel("patient-view").locator("article.card")).to_have_count(2)
    expect(reader.page.locator("#patient-pick-input")).to_be_disabled()
    assert launched.ehr.host not in reader.page.url
    assert PATIENT not in reader.page.evaluate("document.cookie + JSON.stringify({...localStorage})")
    assert violations(reader.page) == []


def test_what_is_answered_in_a_session_reaches_the_service(visits: Visits, launched: Launched) -> None:
    reader = Reader(visits(launched.base, ignore_https_errors=True))
    reader.visit.open(launched.address(PATIENT))
    card = reader.card("patient-view", "K2")

    card.get_by_role("button", name=reader.words("override")).click()
    card.get_by_role("radio").first.check()
    card.get_by_role("button", name=reader.words("override_send"), exact=True).click()

    expect(card).to_have_attribute("data-state", "overridden")


def test_without_a_launch_a_closed_service_shows_no_patient(visits: Visits, launched: Launched) -> None:
    page = visits(launched.base, ignore_https_errors=True, refusals=(401, 403, 404)).open("/app/")

    page.wait_for_load_state("networkidle")
    expect(page.locator("#workplace")).to_be_hidden()
    assert "Example" not in page.locator("main").inner_text()


def test_a_refused_sign_in_is_explained_in_words(visits: Visits, launched: Launched) -> None:
    launched.ehr.refuses = "access_denied"
    try:
        page = visits(launched.base, ignore_https_errors=True, refusals=(403,)).open(launched.address(PATIENT))
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert violations(page) == []
    finally:
        launched.ehr.refuses = None
