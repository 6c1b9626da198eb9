"""A PostgreSQL server of one's own, in a temporary folder: to be crashed and started at will."""

from __future__ import annotations

import os
import random
import secrets
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

USER = "postgres"


class NoServer(Exception):
    """There is no PostgreSQL on this machine whose server could be started; why."""


class PostgresServer:
    """Made and started at once; `stop` it at the end. PostgreSQL refuses to run as root: then it runs as `postgres`."""

    def __init__(self) -> None:
        self._bin = _programs()
        folder = self._folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        self._data = folder / "data"
        self._log = folder / "log"
        self._user = USER if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(folder, self._user)
        self._port = _free_port()
        self._run("initdb", "-D", str(self._data), "-A", "trust", "-U", USER, "--no-sync")
        self.start()
        self.url = f"postgresql://{USER}@127.0.0.1:{self._port}/postgres"

    def start(self) -> None:
        """Return when it answers."""
        options = f"-p {self._port} -k '' -c listen_addresses=127.0.0.1"
        self._run("pg_ctl", "-D", str(self._data), "-l", str(self._log), "-o", options, "-w", "start")

    def new_database(self) -> str:
        """The URL of an empty database."""
        name = f"study_{secrets.token_hex(4)}"
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self._port), "-U", USER, name)
        return self.url.rpartition("/")[0] + f"/{name}"

    def crash(self) -> None:
        """End it at once, connections and all: it recovers from its log when it starts."""
        self._run("pg_ctl", "-D", str(self._data), "-m", "immediate", "-w", "stop")

    def stop(self) -> None:
        """End it, if it runs, and remove what it has."""
        if (self._data / "postmaster.pid").exists():
            self.crash()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._bin / program), *arguments]
        ended = subprocess.run(
            command, user=self._user, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False
        )
        if ended.returncode:
            raise NoServer(f"{program} failed; its log: {self._log}")


def _programs() -> Path:
    on_path = shutil.which("pg_ctl")
    places = [Path(on_path).resolve().parent] if on_path else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    for place in reversed(places):
        if (place / "initdb").exists():
            return place
    raise NoServer("no pg_ctl and initdb on the PATH, nor below /usr/lib/postgresql")


def _free_port() -> int:
    """A port below those that the system gives to clients: one of these might take it while the server is away."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
