"""What the contracts of stores put into one: a small spec, events and trials with every odd value."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from tuner.records import (
    Checkpoint,
    Command,
    Commanded,
    CommandKind,
    Ending,
    Event,
    Failure,
    FailureKind,
    Report,
    Reported,
    Segment,
    SegmentEnd,
    SegmentEnded,
    SegmentIssued,
    StudyEnded,
    Ticked,
    TrialState,
    TrialSummary,
    encode_event,
)
from tuner.spec import StudySpec
from tuner.store import StudyStore

Opener = Callable[[], StudyStore]

CHECKPOINT = Checkpoint(3, "7/0003.ckpt", 2**40, "ab" * 32)
CONFIG = {"lr": 1e-05, "batch_size": 32, "nesterov": True, "optimizer": "adåm 雪", "clip_norm": None, "share": 1.0}
ODD = {"nan": math.nan, "up": math.inf, "down": -math.inf, "tiny": 5e-324, "third": 1 / 3, "größe 🎲": 2.0}
EVENTS: tuple[Event, ...] = (
    SegmentIssued(Segment(7, 0, 0, 9, CONFIG, 2**63 - 1, 9, (1, 3, 9), CHECKPOINT), worker="w-1"),
    Reported(Report(7, 0, 3, ODD, 0.25, CHECKPOINT)),
    Reported(Report(7, 0, 4, {f"layer.{i}.grad_norm_p99": i / 7 for i in range(2_000)}, 1.0)),
    Commanded(Command(CommandKind.STOP, "anna", trial=7), number=1),
    Commanded(Command(CommandKind.ENQUEUE, "anna", config=CONFIG)),
    Commanded(Command(CommandKind.EXTEND, "zoë", budget={"trials": 128, "minutes": 1.5, "epochs": None}), number=2),
    Ticked(12.5),
    SegmentEnded(SegmentEnd(7, 0, Ending.FAILED, Failure(FailureKind.OUT_OF_MEMORY, "no room", 'a\n  "b" \\ \x07'))),
    SegmentEnded(SegmentEnd(8, 2, Ending.LOST)),
    StudyEnded("all trials are done"),
)
TRIALS = (
    TrialSummary(0, TrialState.WAITING, {}, 0, 9),
    TrialSummary(7, TrialState.COMPLETE, CONFIG, 9, 9, 0.5, 0.25, 3, -0.1, 2, 1e-3, ODD, None, "stopped by anna"),
    TrialSummary(
        8,
        TrialState.FAILED,
        CONFIG,
        1,
        9,
        math.nan,
        -math.inf,
        1,
        math.nan,
        1,
        2.0,
        {},
        Failure(FailureKind.TIMEOUT, "?"),
    ),
)


def spec(name: str = "mnist", **changes: Any) -> StudySpec:
    """A small spec."""
    space = {"lr": {"float": [1e-5, 1.0], "log": True}, "optimizer": {"choice": ["sgd", "adåm 雪"]}}
    data = {"study": name, "objective": "somewhere:something", "metric": {"name": "val_loss"}, "space": space}
    return StudySpec.from_dict({**data, **changes})


def reported(trial: int, resource: int) -> Reported:
    return Reported(Report(trial, 0, resource, {"val_loss": 1 / resource}, 0.1))


def lines(events: Iterator[Event] | tuple[Event, ...]) -> list[bytes]:
    """Events in a form in which NaN equals NaN."""
    return [encode_event(event) for event in events]
