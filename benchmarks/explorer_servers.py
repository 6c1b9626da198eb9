"""The servers that `explorer.py` opens in a browser: the explorer, and its peers in an environment of their own.

    python benchmarks/explorer_servers.py

makes that environment under ~/.cache/tuner/peers, of which this project needs nothing.
"""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import venv
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tuner.store import open_store

ROOT = Path(__file__).resolve().parents[1]
PEERS = Path.home() / ".cache" / "tuner" / "peers" / "explorer"
PYTHON = PEERS / "bin" / "python"
PACKAGES = ("optuna-dashboard==0.21.0", "tensorboard==2.21.0")
LOADER = ROOT / "benchmarks" / "peers" / "load_study.py"
PATIENCE = 120.0


def make_environment() -> None:
    """Create the peers' environment; pip's own error ends the program."""
    venv.create(PEERS, with_pip=True, clear=True)
    subprocess.run([PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES], check=True)


def load_peers(store: str, study: str, folder: Path) -> None:
    """The study as the peers read it: folder/optuna.db and folder/events; kept if they are there already."""
    if not PYTHON.exists():
        raise SystemExit("the peers have no environment: python benchmarks/explorer_servers.py")
    if (folder / "loaded").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    lines = folder / "trials.jsonl"
    with closing(open_store(store, read_only=True)) as opened, lines.open("w") as file:
        values = opened.values(study)
        order = np.lexsort((values.resource, values.trial))
        ends = np.cumsum(np.bincount(values.trial))
        for trial in opened.trials(study):
            curve = values.value[order][ends[trial.number - 1] if trial.number else 0 : ends[trial.number]].tolist()
            params = {name: value for name, value in trial.config.items() if not isinstance(value, str | bool | None)}
            row = {"number": trial.number, "state": trial.state.value, "params": params, "value": trial.value}
            row["curve"] = [value if math.isfinite(value) else None for value in curve]
            file.write(json.dumps(row) + "\n")
    places = ["--optuna", folder / "optuna.db", "--tensorboard", folder / "events"]
    subprocess.run([PYTHON, LOADER, lines, *places], check=True)
    (folder / "loaded").touch()


@contextmanager
def explorer(store: str) -> Iterator[tuple[str, int]]:
    """`tune app`: its address and process."""
    port = free_port()
    command = [sys.executable, "-m", "tuner.cli", "app", "--no-browser", "--port", str(port), "--store", store]
    with server(command, port, "/_stcore/health") as started:
        yield started


LINE = (
    "import streamlit as st, plotly.graph_objects as go\nst.plotly_chart(go.Figure(go.Scatter(x=[1, 2], y=[1, 2])))\n"
)


@contextmanager
def least() -> Iterator[tuple[str, int]]:
    """A Streamlit app that draws one line: its address and process."""
    port = free_port()
    with TemporaryDirectory() as folder:
        script = Path(folder) / "line.py"
        script.write_text(LINE)
        options = ["--server.headless", "true", "--server.fileWatcherType", "none", "--server.port", str(port)]
        with server([sys.executable, "-m", "streamlit", "run", script, *options], port, "/_stcore/health") as started:
            yield started


@contextmanager
def optuna_dashboard(folder: Path) -> Iterator[tuple[str, int]]:
    """optuna-dashboard on the loaded study: its address and process."""
    port = free_port()
    command = [PEERS / "bin" / "optuna-dashboard", f"sqlite:///{folder / 'optuna.db'}", "--port", str(port)]
    with server([*command, "--host", "127.0.0.1"], port, "/dashboard") as started:
        yield started


@contextmanager
def tensorboard(folder: Path) -> Iterator[tuple[str, int]]:
    """TensorBoard on the loaded study: its address and process."""
    port = free_port()
    command = [PEERS / "bin" / "tensorboard", "--logdir", folder / "events", "--port", str(port)]
    with server([*command, "--host", "127.0.0.1"], port, "/data/environment") as started:
        yield started


@contextmanager
def server(command: Sequence[str | Path], port: int, ready: str) -> Iterator[tuple[str, int]]:
    """Until it answers at `ready`, then until the block ends."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    started = subprocess.Popen([str(part) for part in command], cwd=ROOT, env=environment, **quiet)
    address = f"http://127.0.0.1:{port}"
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                direct.open(address + ready, timeout=5).close()
                break
            except OSError:
                if started.poll() is not None or time.monotonic() > until:
                    raise SystemExit(f"no server: {' '.join(map(str, command))}") from None
                time.sleep(0.05)
        yield address, started.pid
    finally:
        started.send_signal(signal.SIGINT)
        try:
            started.wait(timeout=10)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


def memory(pid: int) -> float:
    """MiB of a process and its children: their proportional set sizes."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    own = next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return own / 1024 + sum(memory(int(child)) for child in children)


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


if __name__ == "__main__":
    make_environment()
