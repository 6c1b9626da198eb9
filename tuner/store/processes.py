"""Which process of which host this is, and whether another one still lives."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from functools import cache
from pathlib import Path

from tuner.store._base import Holder


def this_process() -> Holder:
    """The process that asks."""
    pid = os.getpid()
    return Holder(socket.gethostname(), boot_id(), pid, start_time(pid) or 0.0)


def is_gone(holder: Holder) -> bool | None:
    """Whether the process is certainly over; None if that cannot be told from here, for it is another host's."""
    if holder.host != socket.gethostname():
        return None
    return holder.boot != boot_id() or start_time(holder.pid) != holder.started


@cache
def boot_id() -> str:
    """An id of the host's running since power-on; empty where there is none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return _output("sysctl", "-n", "kern.bootsessionuuid")


def start_time(pid: int) -> float | None:
    """When the process started, as a number that tells it from a later one with the same id; None if it is over.

    A zombie is over: it holds nothing any more. On Linux these are seconds since boot, else since the epoch.
    """
    if not Path("/proc/self/stat").exists():
        return _start_time_by_ps(pid)
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, *fields = stat.rpartition(")")[2].split()  # the name before it, in parentheses, may hold anything
    return None if state in "ZX" else int(fields[18]) / os.sysconf("SC_CLK_TCK")


def _start_time_by_ps(pid: int) -> float | None:
    state, _, started = _output("ps", "-o", "stat=,lstart=", "-p", str(pid)).partition(" ")
    if not started or state.startswith("Z"):
        return None
    return time.mktime(time.strptime(started.strip(), "%a %b %d %H:%M:%S %Y"))


def _output(*command: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 (fixed commands)
            command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"}
        )
    except OSError:
        return ""
    return done.stdout.strip()
