"""The Dockerfile to a program tree and to processes, without a container engine.

Its own instructions are carried out below a scratch folder instead of at "/": the RUN and COPY lines of the first stage
build the program; ENV, USER, HEALTHCHECK, ENTRYPOINT and CMD of the second say how it runs. Root runs it as the image's
user without any capability and, where the kernel lets it, on a root file system that is mounted read-only.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# The stop_grace_period of docker-compose.yml.
GRACE = 15
_PRIVATE = ["unshare", "--mount", "--propagation", "private"]


class Failed(Exception):
    """Something is not as the image promises."""


@dataclass(frozen=True)
class Instruction:
    stage: int
    name: str
    words: str


def instructions(dockerfile: str) -> list[Instruction]:
    """A Dockerfile's instructions, line continuations joined, comments left out; stage 0 begins at the first FROM."""
    text = re.sub(r"^\s*#.*\n", "", dockerfile, flags=re.MULTILINE)
    found, stage = [], -1
    for line in re.sub(r"\\\n", " ", text).splitlines():
        name, _, words = line.strip().partition(" ")
        stage += name == "FROM"
        if name:
            found.append(Instruction(stage, name, words.strip()))
    return found


@dataclass(frozen=True)
class Served:
    """A service that runs."""

    base: str
    process: subprocess.Popen[bytes]


class Image:
    """The program below a scratch folder, and how it is run."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        everything = instructions((ROOT / "Dockerfile").read_text())
        self._building = [each for each in everything if each.stage == 0]
        self._running = {each.name: each.words for each in everything if each.stage == 1}
        self._user = self._running["USER"].split(":")
        self.data, self.tmp, self.program = (scratch / name for name in ("data", "tmp", "venv"))
        path = f"{self._base_python()}:/usr/local/bin:/usr/bin:/bin"
        self._while_building = {n: v for n, v in os.environ.items() if not n.startswith("CDS_")} | {"PATH": path}
        pairs = (word.split("=", 1) for word in shlex.split(self._running["ENV"]))
        self._while_running = {name: self._below(value.replace("$PATH", path)) for name, value in pairs}

    def build(self) -> None:
        """Carries out the first stage; of it, only the program is kept."""
        folder = self.scratch
        for each in self._building:
            if each.name == "WORKDIR":
                folder = Path(self._below(each.words))
                folder.mkdir()
            elif each.name == "COPY":
                *names, target = each.words.split()
                for name in names:
                    _copy(ROOT / name, folder / target / (Path(name).name if target == "./" else ""))
            elif each.name == "RUN":
                say(each.words)
                command = ["/bin/sh", "-ec", self._below(each.words)]
                done = subprocess.run(
                    command,
                    cwd=folder,
                    env=self._while_building,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    check=False,
                )
                if done.returncode != 0:
                    print(done.stdout.decode(errors="replace")[-4000:], file=sys.stderr)
                    raise Failed("this step of the Dockerfile failed; see the lines above.")
        for name in ("build", "src", "wheels"):
            shutil.rmtree(self.scratch / name)
        for folder in (self.data, self.tmp):
            folder.mkdir()
            if self._is_root:
                os.chown(folder, int(self._user[0]), int(self._user[1]))
        if not self._is_root:
            subprocess.run(["chmod", "-R", "a-w", str(self.program)], check=True)
        self._built = time.time()

    def run(self, *command: str, settings: Mapping[str, str] | None = None) -> tuple[int, str]:
        """A command's exit code and what it printed."""
        process = self._start(*command, settings=settings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        said, _ = process.communicate(timeout=300)
        return process.returncode, said.decode()

    @contextmanager
    def served(self, settings: Mapping[str, str]) -> Iterator[Served]:
        """The service as ENTRYPOINT and CMD start it; afterwards SIGTERM, which must end it with exit code 0."""
        port = _free_port()
        # The image listens on every address of its container; here that would be every address of this machine.
        settings = {"CDS_HOST": "127.0.0.1", "CDS_PORT": str(port)} | dict(settings)
        command = [*json.loads(self._running["ENTRYPOINT"]), *json.loads(self._running["CMD"])]
        log = self.scratch / f"log-{port}"
        with log.open("wb") as stream:
            process = self._start(*command, settings=settings, stdout=stream, stderr=subprocess.STDOUT)
            try:
                self._until_healthy(process, settings)
                yield Served(f"http://127.0.0.1:{port}", process)
                self._until_stopped(process, settings)
            except Failed:
                print(log.read_text(errors="replace")[-4000:], file=sys.stderr)
                raise
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()

    def check_what_can_be_written(self) -> None:
        """The data and the temporary folder, and nothing of the program."""
        how = "on a root file system mounted read-only" if self._may_mount else "with a program tree it may not write"
        say(f"runs as user {self._user[0] if self._is_root else os.geteuid()} {how}")
        for folder, expected in ((self.data, 0), (self.tmp, 0), (self.program, 1), (self.program / "bin", 1)):
            if self.run("/bin/sh", "-c", f"touch {folder}/written 2>/dev/null || exit 1")[0] != expected:
                raise Failed(f"{folder} {'can' if expected else 'cannot'} be written by the image's user.")
        if self.run("python", "-c", "import pip")[0] == 0:
            raise Failed("the program brings pip along.")

    def check_that_the_program_is_as_built(self) -> None:
        newer = [path for path in self.program.rglob("*") if path.lstat().st_mtime > self._built]
        if newer:
            raise Failed(f"the program wrote to its own folder: {newer[0].relative_to(self.scratch)}.")

    def remove(self) -> None:
        subprocess.run(["chmod", "-R", "u+w", str(self.scratch)], check=True)
        shutil.rmtree(self.scratch)

    # --- How it is run -------------------------------------------------------------------------------------------

    def _start(
        self, *command: str, settings: Mapping[str, str] | None = None, **options: Any
    ) -> subprocess.Popen[bytes]:
        environment = self._while_running | {"TMPDIR": str(self.tmp)} | dict(settings or {})
        return subprocess.Popen([*self._inside(), *command], cwd=self.data, env=environment, **options)

    def _inside(self) -> list[str]:
        """What goes before a command: the image's user without privileges, and a file system that is read-only."""
        if not self._is_root:
            return []
        user, group = self._user
        drop = f"setpriv --reuid={user} --regid={group} --clear-groups --no-new-privs"
        drop += " --bounding-set=-all --inh-caps=-all"
        if not self._may_mount:
            return shlex.split(drop)
        steps = [f"mount --bind {path} {path}" for path in (self.data, self.tmp)]
        steps += ["mount -o remount,bind,ro /", f'exec {drop} "$@"']
        return [*_PRIVATE, "/bin/sh", "-ec", "; ".join(steps), "sh"]

    def _until_healthy(self, process: subprocess.Popen[bytes], settings: Mapping[str, str]) -> None:
        end = time.monotonic() + 60
        while not self._is_healthy(settings):
            if process.poll() is not None or time.monotonic() > end:
                raise Failed("the service did not get healthy.")
            time.sleep(0.2)

    def _until_stopped(self, process: subprocess.Popen[bytes], settings: Mapping[str, str]) -> None:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
        if process.returncode != 0:
            raise Failed(f"SIGTERM ended it with {process.returncode} instead of 0 within {GRACE} seconds.")
        if self._is_healthy(settings):
            raise Failed("the health check is content with a service that is not there.")

    def _is_healthy(self, settings: Mapping[str, str]) -> bool:
        return self.run(*json.loads(self._running["HEALTHCHECK"].partition(" CMD ")[2]), settings=settings)[0] == 0

    # --- What stands in for the engine ---------------------------------------------------------------------------

    @property
    def _is_root(self) -> bool:
        return os.geteuid() == 0

    @cached_property
    def _may_mount(self) -> bool:
        probe = [*_PRIVATE, "mount", "-o", "remount,bind,ro", "/"]
        return self._is_root and subprocess.run(probe, capture_output=True, check=False).returncode == 0

    def _below(self, words: str) -> str:
        """The words of the Dockerfile with its folders below the scratch folder."""
        return re.sub(r"(?<![\w.])/(venv|build|wheels|src|data)\b", rf"{self.scratch}/\1", words)

    def _base_python(self) -> Path:
        """A folder with `python`, as the base image has it; every user may run it, wherever a developer's own lies."""
        check = ["-c", "import ensurepip, sys; sys.exit(sys.version_info < (3, 11))"]
        drop = ["setpriv", f"--reuid={self._user[0]}", "--clear-groups"] if self._is_root else []
        for python in ("/usr/bin/python3", "/usr/local/bin/python3", sys.executable):
            tried = subprocess.run([*drop, "/usr/bin/env", python, *check], capture_output=True, check=False)
            if tried.returncode == 0:
                folder = self.scratch / "bin"
                folder.mkdir()
                (folder / "python").write_text(f'#!/bin/sh\nexec {python} "$@"\n')
                (folder / "python").chmod(0o755)
                return folder
        raise Failed("no Python 3.11 with venv here that every user may run. Run .ci/install first.")


def _copy(source: Path, target: Path) -> None:
    """As COPY does with our .dockerignore."""
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def say(what: str) -> None:
    print(f"container: {what}", flush=True)
