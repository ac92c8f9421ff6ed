"""What is shipped: sdist and wheel with the knowledge, locks with hashes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from cds_service.artifacts.load import knowledge_dir
from tests.support.paths import ROOT

# Builds the distributions.
pytestmark = pytest.mark.slow

KNOWLEDGE = sorted(
    str(path.relative_to(ROOT / "knowledge")) for path in (ROOT / "knowledge").rglob("*") if path.is_file()
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel of this checkout."""
    folder = tmp_path_factory.mktemp("dist")
    _run(sys.executable, "-m", "hatchling", "build", "-d", str(folder), "-t", "sdist", "-t", "wheel", cwd=ROOT)
    return folder


@pytest.fixture(scope="module")
def unpacked(built: Path) -> Path:
    """The sdist, unpacked."""
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(built, filter="data")
    return built / archive.name.removesuffix(".tar.gz")


def test_the_wheel_holds_the_whole_knowledge(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    inside = sorted(n.removeprefix("cds_service/knowledge/") for n in names if n.startswith("cds_service/knowledge/"))
    assert inside == KNOWLEDGE
    assert not [name for name in names if name.startswith("tests/")]


def test_the_wheel_holds_every_file_of_the_program(built: Path) -> None:
    """Also those that are no Python: migrations, ready profiles, pages and their style."""
    (wheel,) = built.glob("*.whl")
    program = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "cds_service").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"cds_service/web/pages/templates/catalogue.html", "cds_service/security/ready/epic.yaml"} < program
    assert any(name.startswith("cds_service/store/migrations/versions/") for name in program)
    assert program <= set(zipfile.ZipFile(wheel).namelist())


def test_the_wheel_tells_type_checkers_that_it_is_typed(built: Path) -> None:
    """PEP 561: without the marker, the classifier `Typing :: Typed` is an empty promise."""
    (wheel,) = built.glob("*.whl")
    assert "cds_service/py.typed" in zipfile.ZipFile(wheel).namelist()


def test_the_sdist_builds_the_same_wheel(built: Path, unpacked: Path, tmp_path: Path) -> None:
    _run(sys.executable, "-m", "hatchling", "build", "-d", str(tmp_path), "-t", "wheel", cwd=unpacked)
    (again,), (wheel,) = tmp_path.glob("*.whl"), built.glob("*.whl")
    assert sorted(zipfile.ZipFile(again).namelist()) == sorted(zipfile.ZipFile(wheel).namelist())


def test_the_sdist_can_run_tests_and_make(unpacked: Path) -> None:
    for name in (
        "Makefile",
        "requirements/install.sh",
        "requirements/dev.txt",
        "tests/conftest.py",
        "LICENSE",
        "NOTICE",
        "Dockerfile",
        "docker-compose.yml",
        "deploy/kubernetes/kustomization.yaml",
        ".ci/container",
    ):
        assert (unpacked / name).is_file(), name
    assert not (unpacked / "deploy" / "secrets").exists()


def test_the_knowledge_is_found_in_a_checkout() -> None:
    assert knowledge_dir() == ROOT / "knowledge"


def test_the_knowledge_is_found_in_an_unpacked_sdist(unpacked: Path) -> None:
    assert _knowledge_dir(Path(sys.executable), unpacked) == str(unpacked / "knowledge")


def test_an_installed_wheel_finds_its_knowledge_and_has_its_command(built: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "venv"
    venv.create(scratch, with_pip=False)
    python = scratch / "bin" / "python"
    (wheel,) = built.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    _run(*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel), cwd=tmp_path)
    # The dependencies are those of the tests; a path file lends them without lending this checkout.
    site = scratch / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    found = _knowledge_dir(python, tmp_path)
    assert found == str(site / "cds_service" / "knowledge")
    assert "cds, version" in _run(str(scratch / "bin" / "cds"), "--version", cwd=tmp_path)


@pytest.mark.parametrize("name", ["run", "dev", "build"])
def test_every_locked_package_has_hashes_and_no_index_is_named(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    blocks = [block for block in re.split(r"\n(?=[a-z0-9])", text) if "==" in block.split("\n")[0]]
    assert len(blocks) >= 3
    assert all("--hash=sha256:" in block for block in blocks)
    assert not re.search(r"https?://|--(extra-)?index|--find-links", text)


def test_the_lock_of_the_tests_holds_the_same_versions_as_that_of_the_service() -> None:
    def pins(name: str) -> set[str]:
        return set(re.findall(r"^[a-z0-9._-]+==[^ \\]+", (ROOT / "requirements" / name).read_text(), re.MULTILINE))

    assert pins("run.txt") | pins("build.txt") <= pins("dev.txt")


def test_the_licence_is_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert len(text) > 11_000


def test_a_second_install_is_nothing_to_do_and_an_old_python_is_told(tmp_path: Path) -> None:
    """The script is run where it finds only a Python that is too old."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("python3", "python3.11", "python3.12", "python3.13", "python3.14"):
        (folder / name).write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.6 || exit 1\n')
        (folder / name).chmod(0o755)
    copy = tmp_path / "checkout"
    (copy / "requirements").mkdir(parents=True)
    for path in [*(ROOT / "requirements").iterdir(), ROOT / "pyproject.toml"]:
        (copy / path.relative_to(ROOT)).write_bytes(path.read_bytes())
    command = ["/bin/sh", str(copy / "requirements" / "install.sh"), "run"]
    environment = {"PATH": f"{folder}:/usr/bin:/bin"}
    old = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert old.returncode == 1
    assert "Python 3.11 or newer is needed; python3 is Python 3.9.6." in old.stderr
    assert not (copy / ".venv").exists()
    # A .venv that works and bears the stamp is left alone.
    (copy / ".venv" / "bin").mkdir(parents=True)
    (copy / ".venv" / "bin" / "python").symlink_to(sys.executable)
    stamp = "cat requirements/install.sh requirements/*.txt pyproject.toml | cksum"
    done = subprocess.run(["/bin/sh", "-c", stamp], cwd=copy, capture_output=True, text=True, check=True).stdout
    (copy / ".venv" / ".installed-dev").write_text(done)
    again = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (again.returncode, again.stderr) == (0, "")


def test_make_run_hands_its_caller_s_settings_on(tmp_path: Path) -> None:
    """`make -n` shows what would be done, before the shell fills in the variables."""
    shown = _run("make", "-n", "run", "PORT=8123", "CDS_HOST=0.0.0.0", cwd=ROOT)
    assert 'CDS_PORT="8123"' in shown
    assert 'CDS_HOST="0.0.0.0"' in shown
    assert 'CDS_FHIR_ALLOW="http://127.0.0.1:8123/sandbox/fhir${CDS_FHIR_ALLOW:+,$CDS_FHIR_ALLOW}"' in shown
    assert 'CDS_OPEN="${CDS_OPEN:-1}"' in shown


def test_every_target_of_the_makefile_is_phony() -> None:
    """A file or folder of the same name (docs, bench) would otherwise make `make` do nothing."""
    makefile = (ROOT / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert sorted(phony.split()) == sorted(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))


def _knowledge_dir(python: Path, folder: Path) -> str:
    """Where a Python finds the knowledge when started in a folder."""
    code = "from cds_service.artifacts.load import knowledge_dir; print(knowledge_dir())"
    return _run(str(python), "-c", code, cwd=folder).strip()


def _run(*command: str, cwd: Path) -> str:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    result = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout
