"""The record of every study: what any store must do."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, Protocol

from tuner.records import Command, Details, Event, Report, TrialState, TrialSummary
from tuner.spec import StudySpec

if TYPE_CHECKING:
    from tuner.store._comparisons import Comparisons
    from tuner.store._values import ReportValues

EventKind = Literal["segment_issued", "reported", "segment_ended", "commanded", "ticked", "revised", "study_ended"]
"""The `event` of each kind of event."""


class StudyState(StrEnum):
    """Where a study stands. UNFINISHED: nobody is running it, and there is something left to do. PAUSED: a person wants
    nothing to run for now, whether a process waits for it to go on or not.
    """

    RUNNING = "running"
    PAUSED = "paused"
    UNFINISHED = "unfinished"
    FINISHED = "finished"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """Whether there is nothing left to do, unless the study is extended."""
        return self in (StudyState.FINISHED, StudyState.FAILED)


@dataclass(frozen=True, slots=True)
class Holder:
    """Who writes a study: `host`, `boot` (an id of its running since power-on), `pid` and that process's start time."""

    host: str
    boot: str
    pid: int
    started: float


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """A study in the store. Times are seconds since the epoch; `events` is the number of its last event, `commands`
    that of the last command posted to it.
    """

    name: str
    spec: StudySpec
    state: StudyState
    reason: str
    created: float
    updated: float
    events: int
    commands: int
    holder: Holder | None


@dataclass(frozen=True, slots=True)
class StudyOutline:
    """A study in a list of all: its record, and its trials in numbers.

    `spec` is None where this version of tuner cannot read it, and `error` says why; it is empty else. `counts` has the
    states that some trial is in; `values` are (number, resource, value) of the trials that have a value, by number.
    """

    name: str
    spec: StudySpec | None
    error: str
    state: StudyState
    reason: str
    created: float
    updated: float
    events: int
    commands: int
    holder: Holder | None
    counts: Mapping[TrialState, int]
    values: tuple[tuple[int, int, float], ...]


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """A numbered event (from 1) and when it was recorded (seconds since the epoch)."""

    number: int
    time: float
    event: Event


@dataclass(frozen=True, slots=True)
class PostedCommand:
    """A command as posted: its number in the command table (from 1) and when."""

    number: int
    time: float
    command: Command


@dataclass(frozen=True, slots=True)
class Remark:
    """What happened to a trial in the stretch before its report at `resource`, a sentence."""

    trial: int
    resource: int
    event: str


class Writer(Protocol):
    """The one writer of a study, while it holds the lease. Each method raises StudyHeld once the lease was lost, and
    StoreAway where waiting may mend what is wrong.
    """

    def append(self, events: Sequence[Event], trials: Iterable[TrialSummary] = ()) -> None:
        """Commit `events`, in order, the details of the reports among them, and the rows of the trials they changed, in
        one transaction. After StoreAway the same `events` may be given again: they are written once.
        """
        ...

    def heartbeat(self) -> None:
        """Say that the writer lives; due every HEARTBEAT_SECONDS."""
        ...

    def release(self) -> None:
        """Give the lease back. Safe to call twice."""
        ...


class StudyStore(Protocol):
    """Studies, their journals, their trials. Reading never blocks writing, nor is it ever blocked.

    Raises StudyNotFound for unknown names, StoreError when the store cannot be used.
    """

    def create(self, spec: StudySpec) -> StudyRecord:
        """Add a study. Raises StudyExists if the name is taken."""
        ...

    def studies(self) -> list[StudyRecord]:
        """All studies, the most recently updated first. Raises StoreError if one of them has an unreadable spec."""
        ...

    def names(self) -> list[str]:
        """The names of all studies, in the order of `studies`, be their specs readable or not."""
        ...

    def outlines(self) -> list[StudyOutline]:
        """All studies at a glance, in the order of `studies`. One that cannot be read says so in its outline."""
        ...

    def study(self, name: str) -> StudyRecord: ...

    def delete(self, name: str) -> None:
        """Remove a study and all of its rows. Raises StudyHeld while someone writes it."""
        ...

    def write(self, name: str) -> Writer:
        """Take the writer's lease. Raises StudyHeld, naming the holder, if a live process has it."""
        ...

    def journal(self, name: str, after: int = 0, kinds: Collection[EventKind] | None = None) -> Iterable[JournalEntry]:
        """The events with numbers above `after`, in order; with `kinds`, those of these kinds alone, which is quick
        however many reports there are, unless they are asked for.
        """
        ...

    def trials(self, name: str) -> list[TrialSummary]:
        """All trials, by number."""
        ...

    def reports(self, name: str, trial: int | Collection[int] | None = None) -> list[Report]:
        """All reports of the study, of one trial or of several, in the order they came, without their details."""
        ...

    def values(self, name: str, after: int = 0) -> ReportValues:
        """The study's metric in the reports whose events have numbers above `after`: all reports, in no time."""
        ...

    def details(self, name: str, trial: int) -> list[tuple[int, Details]]:
        """What a trial's reports carried besides their numbers, by resource, in the order they came."""
        ...

    def remarks(self, name: str, trials: Collection[int]) -> list[Remark]:
        """The events among the details of some trials, in the order they came, without their curves."""
        ...

    def post(self, name: str, command: Command) -> int:
        """Append to the command table (anyone may); the command's number."""
        ...

    def commands(self, name: str, after: int = 0) -> list[PostedCommand]:
        """The commands with numbers above `after`, in order."""
        ...

    @property
    def comparisons(self) -> Comparisons:
        """Comparisons, and which of the studies are their runs."""
        ...

    def close(self) -> None: ...
