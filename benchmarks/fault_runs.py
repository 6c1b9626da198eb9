"""A small study as real processes in a folder of its own: `tune run`, `tune resume`, and what is killed meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

import yaml
from postgres_server import PostgresServer
from record import FOLDER, ROOT

from tuner.store import SqlStore, StudyState, open_store

NAME = "faulted"
PATH = os.pathsep.join([str(ROOT), str(FOLDER), str(FOLDER / "ours")])
N_TRIALS = 12
PATIENCE_SECONDS = 150.0
"""For processes to go: Ray's agents take a minute to see that their raylet was killed."""


class Place:
    """A folder with a spec and a store, and the processes that work there, each in a session of its own."""

    def __init__(
        self, folder: Path, *, executor: str, parallel: int, pause: float, server: PostgresServer | None = None
    ) -> None:
        self.folder = folder
        self.server = server
        self.url = str(folder / "studies.db") if server is None else server.new_database()
        self.leaders: list[int] = []
        """The process of each command so far: the leader of its session."""
        self.torn: set[Path] = set()
        """The files that were damaged on purpose."""
        spec = {
            "study": NAME,
            "objective": "fault_curves:curve",
            "metric": {"name": "val_loss"},
            "space": {"lr": {"float": [1e-4, 1.0], "log": True}, "speed": {"float": [0.2, 1.5]}},
            "fixed": {"weight_decay": 1e-4, "pause": pause},
            "scheduler": {"name": "asha", "max_resource": 9},
            "checkpoint": {"keep": 2},
            "budget": {"trials": N_TRIALS},
            "storage": str(folder / "files"),
            "executor": executor,
            "parallel": parallel,
            "seed": 7,
        }
        (folder / "spec.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))

    def start(self, **environment: str) -> subprocess.Popen[str]:
        """`tune resume`, or `tune run` where there is no study yet: it was killed before it wrote one."""
        again = self.there()
        verb = ["resume", NAME] if again else ["run", str(self.folder / "spec.yaml")]
        self.output = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 (read at its end)
        process = subprocess.Popen(
            [sys.executable, "-m", "tuner.cli", *verb, "--store", self.url],
            cwd=self.folder,
            env={**os.environ, **environment, "PYTHONPATH": PATH},
            stdout=self.output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.leaders.append(process.pid)
        return process

    def said(self, n: int = 1500) -> str:
        """The last words of the last command."""
        output: IO[str] = self.output
        output.seek(0)
        return output.read()[-n:]

    def store(self) -> SqlStore:
        """For reading."""
        return open_store(self.url, create=False, read_only=True)

    def there(self) -> bool:
        """Whether the study is in the store."""
        store = self.store()
        try:
            return NAME in store.names()
        finally:
            store.close()

    def state(self) -> StudyState | None:
        """Where the study stands; None while there is none."""
        store = self.store()
        try:
            return store.study(NAME).state if NAME in store.names() else None
        finally:
            store.close()

    def left_over(self) -> dict[int, str]:
        """Processes of any session of this study that are there still, after a while."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (found := members(self.leaders)) and time.monotonic() < deadline:
            time.sleep(0.1)
        return found


def members(leaders: list[int]) -> dict[int, str]:
    """pid -> command line of the living processes in the sessions of `leaders` (Linux)."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            title = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue  # it has just gone
        if fields[0] not in "ZX" and int(fields[3]) in leaders:
            found[int(entry.name)] = title
    return found


def workers(leader: int) -> list[int]:
    """The processes of Ray's workers that run segments: Tune's actors."""
    return sorted(pid for pid, title in members([leader]).items() if title.startswith("ray::ImplicitFunc"))


def daemons(leader: int) -> list[int]:
    """Ray's raylet, and its global control store."""
    names = {"raylet", "gcs_server"}
    found = {pid: title.partition(" ")[0].rpartition("/")[2] for pid, title in members([leader]).items()}
    return sorted(pid for pid, name in found.items() if name in names)


def kill(pid: int) -> None:
    """SIGKILL; nothing if it has gone."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
