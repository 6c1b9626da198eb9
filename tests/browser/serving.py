"""The explorer's server as a user starts it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0
"""Seconds after which what was waited for will not come, on a machine with other things to do."""


@contextmanager
def served(path: Path, log: Path, *options: str) -> Iterator[str]:
    """The address at which `tune app` serves the store; at the end no traceback must be in the log."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tuner.cli", "app", "--no-browser", "--port", str(port), "--store", str(path)]
    command += options
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    with log.open("wb") as said:
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=said, text=True)
        assert server.stdout is not None
        first = server.stdout.readline()  # said once the server answers; empty if it ended instead
        address = re.search(r"http://127\.0\.0\.1:\d+", first)
        try:
            assert address, f"tune app did not start: {first}{log.read_text()}"
            yield address.group()
        finally:
            server.send_signal(signal.SIGINT)
            server.communicate(timeout=PATIENCE)
    assert "Traceback" not in log.read_text(), log.read_text()
