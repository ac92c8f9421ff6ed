"""What the Dockerfile says, and what of it holds for the container that runs."""

from __future__ import annotations

import sys

from tests.support.paths import ROOT

sys.path.insert(0, str(ROOT / ".ci"))
from image import GRACE, instructions  # lies beside the pipeline's scripts

__all__ = ["GRACE", "IMAGE", "RUNNING"]

IMAGE = instructions((ROOT / "Dockerfile").read_text())
RUNNING = {each.name: each.words for each in IMAGE if each.stage == 1}
