"""The client file: what a profile may hold, where it starts from, and how a fault in it is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from cds_service.errors import SettingsError, Unauthorized
from cds_service.settings import Settings
from cds_service.trust.callers import identify
from cds_service.trust.client_file import load_profiles, ready_names
from cds_service.trust.clients import ASYMMETRIC, ClientProfile


def client_file(folder: Path, text: str) -> Path:
    path = folder / "clients.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def profiles(folder: Path, *entries: str) -> tuple[ClientProfile, ...]:
    return load_profiles(client_file(folder, "clients:\n" + "".join(f"- {entry}\n" for entry in entries)))


def test_open_gives_everybody_the_profile_open(tmp_path: Path) -> None:
    assert identify({}, Settings(open=True)) == ClientProfile(name="open", fhir_without_token=True)
    assert identify({}, Settings(open=True, explain=True)).explain is True
    path = client_file(tmp_path, "clients:\n- {name: other, explain: true}\n- {name: open, on_missing_data: card}\n")
    profile = identify({"Authorization": "Bearer x"}, Settings(open=True, clients=path))
    assert profile == ClientProfile(name="open", on_missing_data="card")


def test_closed_refuses_even_those_who_are_in_the_file(tmp_path: Path) -> None:
    path = client_file(tmp_path, "clients:\n- {name: ehr}\n")
    for settings in (Settings(), Settings(clients=path)):
        with pytest.raises(Unauthorized):
            identify({"Authorization": "Bearer ehr"}, settings)


@pytest.mark.parametrize(
    ("entry", "where"),
    [
        ("{name: a, language: fr}", "client 1 (a): language: "),
        ("{name: a, colour: red}", "client 1 (a): colour: "),
        ("{explain: true}", "client 1: name: "),
        ("{name: a, on_missing_data: 412}", "client 1 (a): on_missing_data: "),
        ("{name: a, explain: 'yes'}", "client 1 (a): explain: "),
        ("{name: a b}", "client 1 (a b): name: "),
        ("{name: a, issuers: https://a.example}", "client 1 (a): issuers: "),
        ("{name: a, issuers: ['']}", "client 1 (a): issuers.0: "),
        ("{name: a, max_token_age: 90000}", "client 1 (a): max_token_age: "),
        ("{name: a, fhir_deadline: 5}", "client 1 (a): fhir_deadline: "),
        ("{name: a, like: athena}", "client 1 (a): like: there is no such ready profile"),
        ("{name: a, explain: true, explain: false}", "a member stands here twice"),
        ("seven", "client 1 is not a list of members"),
        ("{name: [", "line 3: "),
    ],
)
def test_a_faulty_client_is_told_by_number_name_and_member(tmp_path: Path, entry: str, where: str) -> None:
    with pytest.raises(SettingsError, match=r"CDS_CLIENTS: .*clients\.yaml: ") as caught:
        profiles(tmp_path, entry)
    assert where in str(caught.value)


@pytest.mark.parametrize("text", ["", "7", "clients: 7", "clients: []\nmore: 1", "[]", "clients: null"])
def test_a_file_without_a_list_of_clients_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match="one member, `clients`"):
        load_profiles(client_file(tmp_path, text))


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="not a readable YAML file"):
        load_profiles(tmp_path)


def test_a_name_and_an_issuer_belong_to_one_client(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="same name"):
        profiles(tmp_path, "{name: a}", "{name: a}")
    with pytest.raises(SettingsError, match="same issuer"):
        profiles(tmp_path, "{name: a, issuers: [https://a.example]}", "{name: b, issuers: [https://a.example]}")


@pytest.mark.parametrize("algorithm", ["none", "None", "HS256", "HS384", "HS512", "ES256K", "es384", ""])
def test_no_client_may_sign_with_a_shared_secret_or_not_at_all(tmp_path: Path, algorithm: str) -> None:
    with pytest.raises(SettingsError, match="must be one of ES256, ES384"):
        profiles(tmp_path, f"{{name: a, algorithms: ['{algorithm}']}}")


def test_the_recommended_algorithms_are_the_default_and_others_must_be_listed(tmp_path: Path) -> None:
    plain, listed = profiles(tmp_path, "{name: a}", f"{{name: b, algorithms: [{', '.join(ASYMMETRIC)}]}}")
    assert plain.algorithms == ("ES384", "RS384")
    assert listed.algorithms == ASYMMETRIC


@pytest.mark.parametrize("ready", ready_names())
def test_a_client_starts_from_a_ready_profile_and_its_own_members_win(tmp_path: Path, ready: str) -> None:
    like, changed = profiles(
        tmp_path, f"{{name: a, like: {ready}, issuers: []}}", f"{{name: b, like: {ready}, issuers: [x:y]}}"
    )
    assert like.like == ready
    assert changed.issuers == ("x:y",)
    assert changed.model_copy(update={"name": "a", "issuers": ()}) == like


def test_there_are_ready_profiles_for_the_clients_that_we_know() -> None:
    assert ready_names() == ["cds-hooks-sandbox", "epic", "generic", "oracle-health"]


def test_a_key_file_is_found_beside_the_client_file(tmp_path: Path) -> None:
    (profile,) = profiles(tmp_path, "{name: a, keys: keys/a.json}")
    assert profile.keys == tmp_path / "keys" / "a.json"


def test_a_client_may_call_what_was_agreed_on_and_without_an_agreement_everything() -> None:
    anybody = ClientProfile(name="a")
    by_topic = ClientProfile(name="a", services=("vitamin-k",))
    by_id = ClientProfile(name="a", services=("vitamin-k-order-sign",))
    calls = [("vitamin-k-order-sign", "order-sign"), ("vitamin-k-patient-view", "patient-view"), ("vitamin-k-k-x", "x")]
    assert [anybody.may_call(*call) for call in calls] == [True, True, True]
    assert [by_topic.may_call(*call) for call in calls] == [True, True, False]
    assert [by_id.may_call(*call) for call in calls] == [True, False, False]
