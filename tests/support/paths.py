"""Where the repository lies, so that no test counts folders up to it."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
