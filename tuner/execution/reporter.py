"""What a segment reports: checked, with what was attached to it, and with its checkpoint."""

from __future__ import annotations

import math
import numbers
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, final

from tuner.errors import UserMistake
from tuner.execution._base import Job
from tuner.execution.attachment import Attachment
from tuner.execution.numbers import as_float, as_floats
from tuner.execution.room import check_share, when_there_is_room
from tuner.execution.workspace import Workspace, checkpoint_name
from tuner.objective import CheckpointState
from tuner.records import Checkpoint, Report, Segment
from tuner.storage import open_storage
from tuner.training.checkpoint import get, put

MAX_RESOURCE = 2**31 - 1
"""What a column of whole numbers holds in every database."""

StateOrMaker = CheckpointState | Callable[[], CheckpointState]


class Kept(NamedTuple):
    """A checkpoint that was written, and what there is to tell of that: nothing, as a rule."""

    checkpoint: Checkpoint
    events: list[str]


@final
class Reporter:
    """The reports of one segment. `waiting` is told why a checkpoint cannot be written yet, again and again.

    `keep` may be called from another thread than the rest.
    """

    def __init__(self, job: Job, segment: Segment, workspace: Workspace, waiting: Callable[[str], None]) -> None:
        self.last = segment.start
        """The last resource reported."""
        self.attached = Attachment()
        """What the next report takes along."""
        self._job = job
        self._segment = segment
        self._workspace = workspace
        self._waiting = waiting
        self._since = time.perf_counter()

    def checked(self, resource: int, metrics: Mapping[str, Any]) -> tuple[int, dict[str, float]]:
        """Both as plain numbers. Raises UserMistake for what cannot be reported."""
        if isinstance(resource, bool) or not isinstance(resource, numbers.Integral):
            raise UserMistake(f"trial.report: the resource must be a whole number, got {resource!r}")
        if resource > MAX_RESOURCE:
            raise UserMistake(f"trial.report: the resource must be at most {MAX_RESOURCE}, got {resource}")
        if resource <= self.last:
            raise UserMistake(
                f"trial.report: resource {resource} after {self.last}: it must rise",
                hint="Go on after trial.start: for epoch in range(trial.start + 1, trial.until + 1).",
            )
        return int(resource), as_floats(metrics)

    def is_decided(self, resource: int) -> bool:
        """Whether the report that comes now, at `resource`, is to be answered before the trial goes on."""
        return resource >= self._segment.until or any(self.last < due <= resource for due in self._segment.decide_at)

    def is_kept(self, resource: int) -> bool:
        """Whether a checkpoint is due with the report that comes now."""
        every = self._job.checkpoint.every
        return resource >= self._segment.until or resource // every != self.last // every

    def keep(self, resource: int, state: StateOrMaker) -> Kept:
        """Write the checkpoint of `resource`, once there is room for it. Raises UserMistake, OSError."""
        name = f"{self._segment.trial}/{checkpoint_name(resource, self._segment.index)}"
        given, storage = state() if callable(state) else state, open_storage(self._job.folder)
        began, waited = time.monotonic(), False

        def write() -> tuple[int, str]:
            if isinstance(self._job.folder, Path):
                check_share(self._job.folder, self._job.checkpoint.disk_share)
            return put(given, storage, name)

        def waiting(why: str) -> None:
            nonlocal waited
            waited = True
            self._waiting(why)

        size, sha256 = when_there_is_room(write, waiting)
        when_there_is_room(self._workspace.share, waiting)
        seconds = time.monotonic() - began
        events = [f"waited {seconds:.0f} s for room on the disk"] if waited and seconds > 1 else []
        return Kept(Checkpoint(resource, name, size, sha256), events)

    def report(self, resource: int, values: Mapping[str, float], kept: Checkpoint | None = None) -> Report:
        """The report, made: what was attached goes along, and its seconds end here."""
        seconds, self.last = time.perf_counter() - self._since, resource
        self.go_on()
        details = self.attached.take()
        return Report(self._segment.trial, self._segment.index, resource, values, seconds, kept, details)

    def go_on(self) -> None:
        """The seconds of the next report begin now."""
        self._since = time.perf_counter()


def checked_pace(seconds: float) -> float:
    """What `trial.pace` is given, as a float. Raises UserMistake."""
    value = as_float("trial.pace", "seconds", seconds)
    if not (math.isfinite(value) and value >= 0):
        raise UserMistake(f"trial.pace: seconds must be finite and not negative, got {value}")
    return value


def load_state(job: Job, segment: Segment) -> dict[str, Any] | None:
    """The state from which a segment goes on; None for a first one. Raises CheckpointError."""
    kept = segment.checkpoint
    return None if kept is None else get(open_storage(job.folder), kept.path, sha256=kept.sha256, size=kept.size)
