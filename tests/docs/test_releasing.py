"""RELEASING.md and .gitmessage: which files hold the version, and what a template of a commit message is."""

from __future__ import annotations

import re

from cds_service import __version__
from tests.support.documents import quoted, text
from tests.support.paths import ROOT


def test_every_file_that_holds_the_version_holds_that_of_the_program() -> None:
    step = text("RELEASING.md").partition("1. **Numbers.**")[2].partition("\n2. ")[0]
    files = [name for name in quoted(step) if (ROOT / name).is_file()]
    assert len(files) == 4
    for file in files:
        assert __version__ in re.findall(r"\d+\.\d+\.\d+", text(file)), file


def test_every_file_that_holds_the_version_is_named() -> None:
    step = text("RELEASING.md").partition("1. **Numbers.**")[2].partition("\n2. ")[0]
    deployed = [ROOT / "Dockerfile", ROOT / "docker-compose.yml", *(ROOT / "deploy").rglob("*.yaml")]
    holds = re.compile(rf'(?:newTag: |cds-service:|image\.version=")v?{re.escape(__version__)}\b')
    named = {str(path.relative_to(ROOT)) for path in deployed if holds.search(path.read_text())}
    assert named <= set(quoted(step))


def test_the_template_of_a_commit_message_is_all_comments() -> None:
    assert all(not line or line.startswith("#") for line in text(".gitmessage").splitlines())
    assert ".gitmessage" in text("CONTRIBUTING.md")
