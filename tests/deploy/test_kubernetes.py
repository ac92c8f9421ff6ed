"""The Kubernetes manifests: valid, by the restricted standard, and in step with the settings and the routes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from flask.testing import FlaskClient

from cds_service import __version__
from cds_service.artifacts.load import load_knowledge
from cds_service.cli.main import main
from cds_service.security.client_file import load_profiles
from cds_service.settings import Settings, load_settings, unknown_variables
from cds_service.web.app import create_app
from tests.support.image_file import RUNNING
from tests.support.paths import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
KUSTOMIZATION: dict[str, Any] = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
# Of the oldest release that is still supported by its makers, and of a newer one.
RELEASES = ("1.33", "1.35")

Manifest = dict[str, Any]


def manifests(name: str) -> list[Manifest]:
    return list(yaml.safe_load_all((FOLDER / name).read_text()))


ALL = [manifest for name in KUSTOMIZATION["resources"] for manifest in manifests(name)]
SETTINGS = dict(
    line.split("=", 1) for line in (FOLDER / "settings.env").read_text().splitlines() if line and line[0] != "#"
)


def of_kind(kind: str) -> list[Manifest]:
    return [manifest for manifest in ALL if manifest["kind"] == kind]


(DEPLOYMENT,) = of_kind("Deployment")
(PURGE,) = of_kind("CronJob")
PODS = {
    "service": DEPLOYMENT["spec"]["template"],
    "purge": PURGE["spec"]["jobTemplate"]["spec"]["template"],
}
each_pod = pytest.mark.parametrize("pod", PODS.values(), ids=PODS.keys())


def container(pod: Manifest) -> Manifest:
    (only,) = pod["spec"]["containers"]
    found: Manifest = only
    return found


# --- Validity --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("manifest", ALL, ids=lambda each: f"{each['kind']}/{each['metadata']['name']}")
def test_a_manifest_is_valid_by_kubernetes_own_schema(manifest: Manifest, release: str) -> None:
    kubernetes_validate.validate(manifest, release, strict=True)


def test_the_validation_notices_a_misspelt_member() -> None:
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(
            DEPLOYMENT | {"spec": DEPLOYMENT["spec"] | {"replica": 2}}, RELEASES[0], strict=True
        )


def test_the_kustomization_names_every_file_and_no_other() -> None:
    generated = KUSTOMIZATION["configMapGenerator"]
    named = {
        *KUSTOMIZATION["resources"],
        *(name for each in generated for name in [*each.get("files", []), *each.get("envs", [])]),
    }
    there = {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*") if path.is_file()}
    assert there == named | {"kustomization.yaml", "servicemonitor.yaml"}
    assert KUSTOMIZATION["namespace"] == of_kind("Namespace")[0]["metadata"]["name"]


def test_the_image_is_that_of_this_version() -> None:
    assert KUSTOMIZATION["images"] == [{"name": "cds-service", "newTag": __version__}]
    assert {container(pod)["image"] for pod in PODS.values()} == {"cds-service"}


# --- Pods ------------------------------------------------------------------------------------------------------------


@each_pod
def test_a_pod_meets_the_restricted_standard_and_writes_to_tmp_alone(pod: Manifest) -> None:
    spec, confined = pod["spec"], container(pod)["securityContext"]
    user, group = RUNNING["USER"].split(":")
    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": int(user),
        "runAsGroup": int(group),
        "fsGroup": int(group),
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert confined == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert spec["automountServiceAccountToken"] is False
    writable = [mount["mountPath"] for mount in container(pod)["volumeMounts"] if not mount.get("readOnly")]
    assert writable == ["/tmp"]
    assert {"requests", "limits"} == container(pod)["resources"].keys()


@each_pod
def test_kubernetes_sets_no_variables_that_look_like_settings(pod: Manifest) -> None:
    """For a Service named cds it would set CDS_PORT to a URL, and the service would not start."""
    assert pod["spec"]["enableServiceLinks"] is False


@each_pod
def test_what_a_pod_refers_to_is_made_by_the_kustomization_or_is_the_secret(pod: Manifest) -> None:
    made = {each["name"] for each in KUSTOMIZATION["configMapGenerator"]}
    assert set(found(pod, "configMap", "name")) | set(found(pod, "configMapRef", "name")) <= made
    assert set(found(pod, "configMapKeyRef", "name")) <= {"cds-settings"}
    assert set(found(pod, "configMapKeyRef", "key")) <= SETTINGS.keys()
    assert set(found(pod, "secret", "secretName")) == {"cds-secrets"}
    assert "create secret generic cds-secrets" in (FOLDER / "kustomization.yaml").read_text()


def test_the_secret_s_keys_are_settings() -> None:
    keys = re.findall(r"--from-literal=([A-Z_]+)=", (FOLDER / "kustomization.yaml").read_text())
    assert len(keys) == 3
    assert unknown_variables(keys) == []


def test_no_value_of_a_secret_stands_in_a_manifest() -> None:
    assert not of_kind("Secret")
    assert not [value for value in SETTINGS.values() if re.search("@|password", value)]


def test_one_replica_keeps_answering_whatever_is_done_to_the_others() -> None:
    assert DEPLOYMENT["spec"]["replicas"] >= 2
    assert DEPLOYMENT["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    (budget,) = of_kind("PodDisruptionBudget")
    assert budget["spec"]["minAvailable"] == 1
    spread = PODS["service"]["spec"]["topologySpreadConstraints"]
    assert [each["topologyKey"] for each in spread] == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]


def test_the_selectors_select_the_service_s_pods_and_not_the_nightly_job() -> None:
    (service,), (budget,) = of_kind("Service"), of_kind("PodDisruptionBudget")
    spread = PODS["service"]["spec"]["topologySpreadConstraints"]
    wanted = PODS["service"]["metadata"]["labels"]
    for selector in (
        service["spec"]["selector"],
        budget["spec"]["selector"]["matchLabels"],
        DEPLOYMENT["spec"]["selector"]["matchLabels"],
        *(each["labelSelector"]["matchLabels"] for each in spread),
    ):
        assert selector == wanted
    assert PODS["purge"]["metadata"]["labels"] != wanted


def test_the_network_lets_out_nothing_but_what_is_named() -> None:
    policies = {policy["metadata"]["name"]: policy["spec"] for policy in of_kind("NetworkPolicy")}
    assert policies["nothing-else"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    selected = policies["cds-database"]["podSelector"]["matchLabels"].items()
    assert all(selected <= pod["metadata"]["labels"].items() for pod in PODS.values())
    assert policies["cds-service"]["podSelector"]["matchLabels"] == PODS["service"]["metadata"]["labels"]
    assert all(each["to"] and each["ports"] for policy in policies.values() for each in policy.get("egress", []))


def test_the_job_s_command_is_one() -> None:
    command, *words = container(PODS["purge"])["args"]
    main.commands[command].make_context(command, words)
    assert unknown_variables(each["name"] for each in container(PODS["purge"])["env"]) == []


def found(node: Any, above: str, name: str) -> Iterator[str]:
    """Every value of a member that stands directly in another one, at any depth."""
    if isinstance(node, list):
        for each in node:
            yield from found(each, above, name)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == above and isinstance(value, dict) and name in value:
                yield value[name]
            yield from found(value, above, name)


# --- The service that it configures ----------------------------------------------------------------------------------


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """The settings of a pod, with its mounts where they are in this checkout."""
    (tmp_path / "CDS_DATABASE_URL").write_text(f"sqlite:///{tmp_path}/cds.db\n")
    (tmp_path / "CDS_HASH_KEY").write_text("k" * 64)
    (tmp_path / "CDS_METRICS_TOKEN").write_text("m" * 64)
    mounts = {mount["mountPath"] for mount in container(PODS["service"])["volumeMounts"]}
    assert {"/etc/cds/clients", "/etc/cds/site", "/run/secrets/cds"} <= mounts
    here = {"/etc/cds/clients/": f"{FOLDER}/", "/etc/cds/site": f"{FOLDER}/site", "/run/secrets/cds": str(tmp_path)}
    for name, value in SETTINGS.items():
        for mount, folder in here.items():
            value = value.replace(mount, folder)
        monkeypatch.setenv(name, value)
    assert unknown_variables(SETTINGS) == []
    return load_settings()


@pytest.fixture
def pod_client(settings: Settings) -> Iterator[FlaskClient]:
    app = create_app(settings)
    yield app.test_client()
    app.extensions["database"].close()


def test_the_example_settings_make_a_closed_service_for_one_ehr(settings: Settings) -> None:
    assert not settings.open
    assert not settings.sandbox
    (profile,) = load_profiles(FOLDER / "clients.yaml", sandbox=False)
    assert profile.fhir_servers == settings.fhir_allow
    assert load_knowledge(site=settings.site).version != load_knowledge().version


def test_every_probe_asks_a_route_that_answers(pod_client: FlaskClient) -> None:
    spec = container(PODS["service"])
    probes = {name: spec[name]["httpGet"] for name in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert probes["livenessProbe"]["path"] != probes["readinessProbe"]["path"]
    for probe in probes.values():
        assert probe["port"] in {port["name"] for port in spec["ports"]}
        # As the kubelet asks: by the pod's address, without the Host of the service.
        assert pod_client.get(probe["path"], base_url="http://10.1.2.3:8080").status_code == 200
    assert spec["ports"] == [{"name": "http", "containerPort": int(RUNNING["EXPOSE"])}]


def test_the_ingress_publishes_what_clients_need_and_nothing_else(pod_client: FlaskClient, settings: Settings) -> None:
    (ingress,) = of_kind("Ingress")
    (rule,) = ingress["spec"]["rules"]
    paths = [each["path"] for each in rule["http"]["paths"]]
    assert paths == ["/cds-services", "/rules", "/openapi.json"]
    assert [pod_client.get(path).status_code for path in paths] == [401, 200, 200]
    assert f"https://{rule['host']}" == settings.public_url
    assert ingress["spec"]["tls"][0]["hosts"] == [rule["host"]]
    (service,) = of_kind("Service")
    for each in rule["http"]["paths"]:
        assert each["backend"]["service"] == {"name": service["metadata"]["name"], "port": {"name": "http"}}
    allowed = int(ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-body-size"].removesuffix("m"))
    assert allowed * 1024 * 1024 >= settings.max_body
    assert settings.proxies == 1


def test_the_service_monitor_finds_the_service_and_may_read_its_metrics(pod_client: FlaskClient) -> None:
    (monitor,), (service,) = manifests("servicemonitor.yaml"), of_kind("Service")
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert endpoint["authorization"]["credentials"] == {"name": "cds-secrets", "key": "CDS_METRICS_TOKEN"}
    assert pod_client.get(endpoint["path"]).status_code == 401
    page = pod_client.get(endpoint["path"], headers={"Authorization": f"Bearer {'m' * 64}"})
    assert page.status_code == 200
    assert "cds_build" in page.text
    assert "# - servicemonitor.yaml" in (FOLDER / "kustomization.yaml").read_text()
