"""The frozen records that pass between the rooms, and the events of a study's journal.

All of them are plain dataclasses that round-trip through JSON (`encode_event`, `decode_event`). Non-finite metrics are
written as the strings "NaN", "Infinity" and "-Infinity", so that the journal is strict JSON and loses nothing. One
thing stays out of it on purpose, a report's `details`: they decide nothing, and a replay need not read them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, TypeAdapter

Value = bool | int | float | str | None
"""What an axis may take: a scalar that JSON knows."""

Config = Mapping[str, Value]
"""One point of the space plus the fixed values; axes whose condition does not hold are absent."""


class TrialState(StrEnum):
    """Where a trial stands. The last three are ends; PAUSED trials become PRUNED when their study ends."""

    WAITING = "waiting"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of the trial, unless its study is extended."""
        return self in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAILED)


class Decision(StrEnum):
    """What becomes of a trial after a report. A value: only an executor acts on it."""

    CONTINUE = "continue"
    PAUSE = "pause"
    STOP = "stop"


class FailureKind(StrEnum):
    """Why a trial failed, or a segment was lost. The last three are of the machines: see `of_machines`."""

    EXCEPTION = "exception"
    NON_FINITE = "non-finite"
    OUT_OF_MEMORY = "out of memory"
    TIMEOUT = "timeout"
    DATA_MISSING = "data missing"
    CHECKPOINT = "checkpoint"
    WORKER_LOST = "worker lost"
    NODE_LOST = "node lost"
    PREEMPTED = "preempted"

    @property
    def of_machines(self) -> bool:
        """Whether the trial has no part in it: it goes on elsewhere, and no attempt is counted."""
        return self in (FailureKind.WORKER_LOST, FailureKind.NODE_LOST, FailureKind.PREEMPTED)


class Ending(StrEnum):
    """How a segment ended."""

    REACHED = "reached"  # its last resource was reported
    FINISHED = "finished"  # the objective returned before that
    STOPPED = "stopped"  # it was told to
    FAILED = "failed"
    LOST = "lost"  # its worker or node went away
    INTERRUPTED = "interrupted"  # the driver went away
    RECALLED = "recalled"  # a person wants it to rest or end, and nothing more was heard of it: its worker was ended


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a trial's state at `resource` is kept: a path below the study's folder, its size in bytes, its checksum."""

    resource: int
    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Segment:
    """One uninterrupted stretch of a trial, from resource `start` (exclusive) to `until` (inclusive).

    `index` counts the trial's segments from 0. `decide_at` are the resources whose report must be answered before the
    trial goes on; `until` is answered always. `horizon` is the resource over which the trial's schedule is laid out.
    `seed` is the trial's own, the same in each of its segments.
    """

    trial: int
    index: int
    start: int
    until: int
    config: Config
    seed: int
    horizon: int
    decide_at: tuple[int, ...] = ()
    checkpoint: Checkpoint | None = None

    @property
    def key(self) -> tuple[int, int]:
        return (self.trial, self.index)


@dataclass(frozen=True, slots=True)
class Details:
    """What a report carries for people besides its numbers, about the stretch since the report before it.

    `curves` are columns of equal length, such as the loss of each step; `events` say what happened, a sentence each.
    """

    curves: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    events: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What a trial measured at a resource. `seconds` is the time since its last report (or its segment's start).

    `details` are left out of the journal: a store keeps them beside it.
    """

    trial: int
    segment: int
    resource: int
    metrics: Mapping[str, float]
    seconds: float
    checkpoint: Checkpoint | None = None
    details: Annotated[Details | None, Field(exclude=True)] = None


@dataclass(frozen=True, slots=True)
class Pace:
    """How many seconds a unit of resource takes a trial, said before its first report. For the time left: no event."""

    trial: int
    segment: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """A trial lives, but cannot go on: for room on a disk, say. `why` is for people: no event."""

    trial: int
    segment: int
    why: str


@dataclass(frozen=True, slots=True)
class Failure:
    """Why, in a sentence, and the lines that show it (a traceback's, say)."""

    kind: FailureKind
    message: str
    details: str = ""


@dataclass(frozen=True, slots=True)
class SegmentEnd:
    """How a segment ended; `failure` is there when it FAILED, and when it was LOST if it is known to what."""

    trial: int
    segment: int
    ending: Ending
    failure: Failure | None = None


class CommandKind(StrEnum):
    """What a person may ask of a study from outside."""

    STOP = "stop"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    EXTEND = "extend"
    ENQUEUE = "enqueue"


@dataclass(frozen=True, slots=True)
class Command:
    """One row of the command table: STOP, PAUSE or UNPAUSE (one trial, or the study), EXTEND (the budget), ENQUEUE (a
    configuration).
    """

    kind: CommandKind
    author: str
    trial: int | None = None
    config: Config | None = None
    budget: Mapping[str, float | int | None] | None = None


# The journal. Everything that can change a decision is one of these.


@dataclass(frozen=True, slots=True)
class SegmentIssued:
    """A segment was given to a worker; a trial's first one carries its proposal in `segment.config`."""

    segment: Segment
    worker: str = ""
    event: Literal["segment_issued"] = "segment_issued"


@dataclass(frozen=True, slots=True)
class Reported:
    """The first report of a trial at a resource."""

    report: Report
    event: Literal["reported"] = "reported"


@dataclass(frozen=True, slots=True)
class SegmentEnded:
    """A segment's end."""

    end: SegmentEnd
    event: Literal["segment_ended"] = "segment_ended"


@dataclass(frozen=True, slots=True)
class Commanded:
    """A person's command was taken up; `number` is its row in the command table."""

    command: Command
    number: int | None = None
    event: Literal["commanded"] = "commanded"


@dataclass(frozen=True, slots=True)
class Ticked:
    """The study has been running for so many seconds, over all its sessions."""

    seconds: float
    event: Literal["ticked"] = "ticked"


@dataclass(frozen=True, slots=True)
class Revised:
    """A person changed the study's spec; both are given in their YAML form.

    `horizon_free` are the trials whose training up to a resource is the same whatever max_resource is: where that has
    changed, they go on along their curves, and the others are left as they are.
    """

    author: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    horizon_free: tuple[int, ...] = ()
    event: Literal["revised"] = "revised"


@dataclass(frozen=True, slots=True)
class StudyEnded:
    """Nothing is left to do. `failed` says that it was given up."""

    reason: str
    failed: bool = False
    event: Literal["study_ended"] = "study_ended"


Event = SegmentIssued | Reported | SegmentEnded | Commanded | Ticked | Revised | StudyEnded


@cache
def _events() -> TypeAdapter[Event]:
    # Made when first needed: it takes a tenth of a second, and `tune --help` needs none.
    return TypeAdapter(Annotated[Event, Discriminator("event")], config=ConfigDict(ser_json_inf_nan="strings"))


def encode_event(event: Event) -> bytes:
    """The event as one line of strict JSON (UTF-8), without a report's details."""
    return _events().dump_json(event)


def decode_event(data: bytes | str) -> Event:
    """The event that `encode_event` wrote."""
    return _events().validate_json(data)


@dataclass(frozen=True, slots=True)
class TrialSummary:
    """A trial in a row, derived from the journal: what tables and lists are made of.

    `value` follows the spec (last or best); `metrics` are those of the last report; `gap` is
    val_loss - train_eval_loss where both are reported; `seconds` are those of its reports.
    """

    number: int
    state: TrialState
    config: Config
    resource: int
    horizon: int
    value: float | None = None
    best_value: float | None = None
    best_resource: int | None = None
    gap: float | None = None
    segments: int = 0
    seconds: float = 0.0
    metrics: Mapping[str, float] = field(default_factory=dict)
    failure: Failure | None = None
    reason: str = ""
