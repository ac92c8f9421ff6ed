"""All fuzzers for as long as is asked for: `make fuzz`, or `make fuzz CDS_TEST_FUZZ=600` for ten minutes.

Each round prints its seed, by which it can be repeated; what fails is kept in tests/fuzz/found and ends the run.
"""

from __future__ import annotations

import importlib.util
import os
import random
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Under the folder of caches, so that each run goes on from what the last one knew.
CASES = HERE.parent.parent / ".cache" / "fuzz"


def main() -> int:
    seconds = float(os.environ.get("CDS_TEST_FUZZ") or 120)
    environment = os.environ | {"CDS_TEST_FUZZ": str(seconds)}
    if code := _readers(seconds / 3):
        return code
    ends = time.monotonic() + seconds * 2 / 3
    while time.monotonic() < ends:
        seed = random.randrange(2**32)
        print(f"== hypothesis and schemathesis, seed {seed}", flush=True)
        command = [sys.executable, "-m", "pytest", "-q", "-x", "--tb=short", "--show-capture=no", str(HERE)]
        code = subprocess.run([*command, f"--hypothesis-seed={seed}"], env=environment, check=False).returncode
        if code:
            print(f"== failed with seed {seed}; its case is in {HERE / 'found'}", flush=True)
            return code
    print("== nothing found")
    return 0


def _readers(seconds: float) -> int:
    """Atheris, where it can be had: Linux on x86_64."""
    if importlib.util.find_spec("atheris") is None:
        print("== atheris is not installed here; its part is left out")
        return 0
    print("== atheris on the readers", flush=True)
    finds = HERE / "found"
    finds.mkdir(exist_ok=True)
    limits = [f"-max_total_time={int(seconds)}", "-max_len=20000", "-rss_limit_mb=1500", f"-artifact_prefix={finds}/"]
    command = [sys.executable, str(HERE / "reader.py"), str(CASES), *limits, "-print_final_stats=1", "-verbosity=0"]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
