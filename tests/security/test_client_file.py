"""The client file: what a profile may hold, where it starts from, and how a fault in it is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from cds_service.cli.main import main
from cds_service.errors import SettingsError
from cds_service.security.client_file import READY, load_profiles, ready_names
from cds_service.security.clients import ASYMMETRIC, ClientProfile
from tests.support.paths import ROOT
from tests.support.signing import EXAMPLE_KEY, Signer, write_key_set


def client_file(folder: Path, text: str) -> Path:
    path = folder / "clients.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def profiles(folder: Path, *entries: str) -> tuple[ClientProfile, ...]:
    return load_profiles(client_file(folder, "clients:\n" + "".join(f"- {entry}\n" for entry in entries)))


ISSUER = "https://ehr.example/fhir"
JKU = "https://ehr.example/keys"


def known(name: str, *members: str, issuer: str = ISSUER) -> str:
    """An entry of the client file with all that a client must have, and more members."""
    return f"{{{', '.join([f'name: {name}', f'issuers: [{issuer!r}]', f'jku: [{JKU!r}]', *members])}}}"


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
        ("{name: a, jku: [https://ehr.example/keys]}", "client 1 (a): issuers: without one no token"),
        ("{name: a, issuers: ['https://a.example']}", "client 1 (a): jku: without keys"),
        (
            "{name: open, issuers: ['https://a.example']}",
            "client 1 (open): issuers: `open` is the profile of every caller",
        ),
        (known("a", "fhir_servers: [ehr.example]"), "client 1 (a): fhir_servers: an entry is not a plain URL"),
        (known("a", "fhir_servers: ['https://me:pw@ehr.example']"), "fhir_servers: an entry is not a plain URL"),
        (known("a", "cors_origins: ['https://ehr.example/']"), "client 1 (a): cors_origins: an entry is not an origin"),
        (known("a", "cors_origins: ['*']"), "client 1 (a): cors_origins: an entry is not an origin"),
        ("{name: a, issuers: [x:y], jku: ['http://ehr.example/keys']}", "client 1 (a): jku: keys sent over plain"),
        ("{name: a, issuers: [x:y], jku: ['https://ehr.example/keys?a=1']}", "jku: an entry is not a plain URL"),
        ("{name: a, issuers: [x:y], keys: nowhere.json}", "client 1 (a): keys: "),
        ("{name: a, like: athena}", "client 1 (a): like: there is no such ready profile"),
        ("{name: a, explain: true, explain: false}", "is repeated"),
        ("seven", "client 1 is not a list of members"),
        ("{name: [", "clients.yaml:3: "),
    ],
)
def test_a_faulty_client_is_told_by_number_name_and_member(tmp_path: Path, entry: str, where: str) -> None:
    with pytest.raises(SettingsError, match=r"CDS_CLIENTS: .*clients\.yaml:\d+: ") as caught:
        profiles(tmp_path, entry)
    assert where in str(caught.value)


@pytest.mark.parametrize("text", ["", "7", "clients: 7", "clients: []\nmore: 1", "[]", "clients: null"])
def test_a_file_without_a_list_of_clients_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match="one member, `clients`"):
        load_profiles(client_file(tmp_path, text))


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"YAML|UTF-8"):
        load_profiles(tmp_path)


def test_a_name_and_an_issuer_belong_to_one_client(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="same name"):
        profiles(tmp_path, known("a"), known("a", issuer="https://b.example"))
    with pytest.raises(SettingsError, match="same issuer"):
        profiles(tmp_path, known("a"), known("b"))


@pytest.mark.row("JWT-13", "JWT-14")
@pytest.mark.parametrize("algorithm", ["none", "None", "HS256", "HS384", "HS512", "ES256K", "es384", ""])
def test_no_client_may_sign_with_a_shared_secret_or_not_at_all(tmp_path: Path, algorithm: str) -> None:
    with pytest.raises(SettingsError, match="must be one of ES256, ES384"):
        profiles(tmp_path, f"{{name: a, algorithms: ['{algorithm}']}}")


@pytest.mark.row("JWT-15")
def test_the_recommended_algorithms_are_the_default_and_others_must_be_listed(tmp_path: Path) -> None:
    plain, listed = profiles(
        tmp_path, known("a"), known("b", f"algorithms: [{', '.join(ASYMMETRIC)}]", issuer="https://b.example")
    )
    assert plain.algorithms == ("ES384", "RS384")
    assert listed.algorithms == ASYMMETRIC


@pytest.mark.parametrize("ready", ready_names())
def test_a_client_starts_from_a_ready_profile_and_its_own_members_win(tmp_path: Path, ready: str) -> None:
    path = client_file(tmp_path, f"clients:\n- {known('a', f'like: {ready}')}\n")
    (like,) = load_profiles(path, sandbox=True)
    members = yaml.safe_load((READY / f"{ready}.yaml").read_text(encoding="utf-8"))
    own = {"name": "a", "like": ready, "issuers": [ISSUER], "jku": [JKU]}
    assert like == ClientProfile.model_validate(members | own)


def test_there_are_ready_profiles_for_the_clients_that_we_know() -> None:
    assert ready_names() == ["cds-hooks-sandbox", "epic", "generic", "oracle-health"]


def test_a_key_file_is_found_beside_the_client_file(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    write_key_set(tmp_path / "keys" / "a.json", Signer(ISSUER))
    (profile,) = profiles(tmp_path, f"{{name: a, issuers: [{ISSUER!r}], keys: keys/a.json}}")
    assert profile.keys == tmp_path / "keys" / "a.json"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("not json", "is not a JWK Set"),
        ('{"key": []}', "is not a JWK Set"),
        ('{"keys": []}', "holds no usable key"),
        ('{"keys": [{"kty": "oct", "kid": "1", "k": "c2VjcmV0"}]}', "holds a private or symmetric key"),
        (json.dumps({"keys": [Signer(ISSUER).private_jwk()]}), "holds a private or symmetric key"),
        (json.dumps({"keys": [Signer(ISSUER).jwk(kid=...)]}), "holds no usable key"),
        (json.dumps({"keys": [Signer(ISSUER, "RS384", bits=1024).jwk()]}), "holds no usable key"),
    ],
)
def test_a_key_file_without_usable_or_with_secret_keys_stops_the_start(tmp_path: Path, content: str, told: str) -> None:
    (tmp_path / "a.json").write_text(content, encoding="utf-8")
    with pytest.raises(SettingsError, match=r"CDS_CLIENTS: .*clients\.yaml:\d+: client 1 \(a\): keys: ") as caught:
        profiles(tmp_path, f"{{name: a, issuers: [{ISSUER!r}], keys: a.json}}")
    assert told in str(caught.value)


@pytest.mark.row("JWT-18", "S-8")
@pytest.mark.parametrize(
    "entry",
    [
        "{name: a, like: cds-hooks-sandbox, jku: ['https://ehr.example/keys']}",
        "{name: a, issuers: [x:y], jku: ['https://sandbox.cds-hooks.org/.well-known/jwks.json']}",
        "{name: a, issuers: [x:y], keys: example.json}",
    ],
)
def test_a_client_whose_private_key_is_published_is_for_sandboxes_only(tmp_path: Path, entry: str) -> None:
    (tmp_path / "example.json").write_text(json.dumps({"keys": [EXAMPLE_KEY]}), encoding="utf-8")
    with pytest.raises(SettingsError, match="private key has been published"):
        profiles(tmp_path, entry)
    assert load_profiles(tmp_path / "clients.yaml", sandbox=True)


def test_plain_http_for_keys_is_for_sandboxes_only(tmp_path: Path) -> None:
    path = client_file(tmp_path, "clients: [{name: a, issuers: ['x:y'], jku: ['http://127.0.0.1:1/keys']}]")
    with pytest.raises(SettingsError, match="plain http"):
        load_profiles(path)
    assert load_profiles(path, sandbox=True)[0].jku == ("http://127.0.0.1:1/keys",)


def test_a_client_may_call_what_was_agreed_on_and_without_an_agreement_everything() -> None:
    anybody = ClientProfile(name="a")
    by_topic = ClientProfile(name="a", services=("vitamin-k",))
    by_id = ClientProfile(name="a", services=("vitamin-k-order-sign",))
    calls = [("vitamin-k-order-sign", "order-sign"), ("vitamin-k-patient-view", "patient-view"), ("vitamin-k-k-x", "x")]
    assert [anybody.may_call(*call) for call in calls] == [True, True, True]
    assert [by_topic.may_call(*call) for call in calls] == [True, True, False]
    assert [by_id.may_call(*call) for call in calls] == [True, False, False]


def test_the_client_file_of_the_guide_is_a_good_one(tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
    example = guide.split("```yaml\n")[1].split("```")[0]
    write_key_set(tmp_path / "tablet.jwks.json", Signer(ISSUER))
    assert [profile.name for profile in load_profiles(client_file(tmp_path, example))] == ["city-hospital", "tablet"]


@pytest.mark.row("JWT-01")
def test_the_server_does_not_start_closed_without_the_url_that_tokens_name(tmp_path: Path) -> None:
    variables = {"CDS_CLIENTS": str(client_file(tmp_path, f"clients:\n- {known('city')}\n"))}
    result = CliRunner().invoke(main, ["serve"], env=variables)
    assert result.exit_code == 1
    assert result.output.startswith("cds: CDS_PUBLIC_URL: not set, so no token's audience could be checked")


def test_the_command_checks_a_client_file(tmp_path: Path) -> None:
    path = client_file(tmp_path, f"clients:\n- {known('city')}\n- {{name: open}}\n")
    good = CliRunner().invoke(main, ["check", "--clients", str(path)])
    assert (good.exit_code, good.output) == (0, f"city: {ISSUER}\nopen: every caller in open mode\n")
    path.write_text("clients: [{name: city}]", encoding="utf-8")
    bad = CliRunner().invoke(main, ["check", "--clients", str(path)])
    assert bad.exit_code == 1
    assert "client 1 (city): issuers: " in bad.output
