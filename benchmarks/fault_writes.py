"""Writes that are cut short: by the kernel at a random byte, with the process; or, as after a power cut, afterwards.

The kernel cuts them through RLIMIT_FSIZE: a write beyond it ends in the middle, and its process by SIGXFSZ. The
objective of the campaign (`ours/fault_curves.py`) sets the limit, right before a report, as `ORDER` in its environment
says: "what:n:share", the n-th report of the process, and the share of what would be written that still is.
"""

from __future__ import annotations

import os
import random
import resource
import signal
from pathlib import Path

ORDER = "TUNER_FAULT_WRITE"
LOG = "TUNER_FAULT_LOG"
"""The path of the store's write-ahead log."""
WHAT = ("checkpoint", "store")
COMMIT_BYTES = 40_000
"""About what a commit of the small study adds to the log."""
MOST_REPORTS = 40


def drawn_order(draw: random.Random) -> str:
    """An order to cut a write, anywhere."""
    return f"{draw.choice(WHAT)}:{draw.randint(1, MOST_REPORTS)}:{draw.random()}"


class Saboteur:
    """In the process that is to die: told of every report, before it is made."""

    def __init__(self) -> None:
        self._what, n, share = (os.environ.get(ORDER) or "nothing:0:0").split(":")
        self._at, self._share, self._n_reports = int(n), float(share), 0

    def before_report(self, checkpoint_bytes: int) -> None:
        """Limit what may still be written, if it is time to."""
        self._n_reports += 1
        if self._n_reports != self._at:
            return
        if self._what == "checkpoint":
            limit = int(self._share * checkpoint_bytes)
        else:
            limit = Path(os.environ[LOG]).stat().st_size + int(self._share * COMMIT_BYTES)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))


def lose_power(store: Path, files: Path, draw: random.Random) -> Path | None:
    """What had not come to the disk is not there: cut the end of the store's log, or a checkpoint, at a random byte.

    For after a kill; the file that was cut. The log is only cut where nothing of it was copied into the database, as
    is true of small ones.
    """
    log = store.with_name(store.name + "-wal")
    checkpoints = sorted(files.rglob("*.ckpt"), key=lambda path: path.stat().st_mtime)
    torn = draw.choice([path for path in (log, *checkpoints[-2:]) if path.exists() and path.stat().st_size] or [None])
    if torn is not None:
        os.truncate(torn, draw.randrange(torn.stat().st_size))
    return torn
