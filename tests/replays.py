"""Curves made by a formula, and studies that are played from them on simulated workers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from by_hand import study_spec
from executors import Recorder

from tuner.control import Nothing
from tuner.execution import Job, Message
from tuner.execution.simulated import Costs, Curve, Curves, SimulatedExecutor, curve_of_units
from tuner.records import Config, Decision, Pace, Report, Segment

MAX_RESOURCE = 9


@dataclass(frozen=True)
class Formula:
    """Every configuration has a curve: its losses, and the seconds of each epoch."""

    losses: Callable[[int, Config], Sequence[float]] = lambda trial, config: config["x"] + 1 / np.arange(1, 10)
    seconds: Callable[[int, Config], float] = lambda trial, config: 1.0
    metrics: tuple[str, ...] = ("loss",)
    unit: str = "epoch"
    max_resource: int = MAX_RESOURCE

    def session(self) -> Formula:
        return self

    def curve(self, trial: int, config: Config, reach: int) -> Curve:
        return curve_of_units(
            {"loss": np.asarray(self.losses(trial, config), dtype=float)}, self.seconds(trial, config)
        )


class Witness(Recorder):
    """A driver that notes what is said, and when, and checks that no worker has two segments."""

    def __init__(self, spec: Any, clock: Callable[[], float]) -> None:
        super().__init__(spec)
        self.clock = clock
        self.said: list[tuple[float, str, Any]] = []
        self.busy: dict[tuple[int, int], str] = {}
        """segment -> its worker"""
        self.at_work: set[str] = set()
        self.pulls: list[int] = []
        """how many workers asked at once"""

    def pull(self, workers: Sequence[str]) -> list[Segment] | Nothing:
        assert not set(workers) & self.at_work, "a worker that has a segment asks for none"
        assert len(set(workers)) == len(workers)
        self.pulls.append(len(workers))
        answer = super().pull(workers)
        if not isinstance(answer, Nothing):
            for segment, worker in zip(answer, workers, strict=False):
                self.busy[segment.key] = worker
                self.at_work.add(worker)
                self.note(worker, segment)
        return answer

    def push(self, messages: Sequence[Message]) -> list[Decision]:
        for message in messages:
            key = (message.trial, message.segment)
            self.note(self.busy[key], message)
            if not isinstance(message, Report | Pace):
                self.at_work.remove(self.busy.pop(key))
        return super().push(messages)

    def tick(self) -> None:
        self.controller.on_tick(self.clock())

    def note(self, worker: str, what: Any) -> None:
        assert not self.said or self.clock() >= self.said[-1][0], "time never goes back"
        self.said.append((self.clock(), worker, what))

    def begun(self) -> list[tuple[float, str, int]]:
        """(when, worker, trial) of each segment."""
        return [(when, worker, what.trial) for when, worker, what in self.said if isinstance(what, Segment)]


def replay(
    curves: Curves | Any,
    *,
    parallel: int = 1,
    costs: Costs = Costs(),  # noqa: B008
    executor: SimulatedExecutor | None = None,
    folder: Path = Path("nowhere"),
    **parts: Any,
) -> Witness:
    """Run a study to its end."""
    spec = study_spec(**parts)
    executor = executor or SimulatedExecutor(costs)
    witness = Witness(spec, executor.clock)
    job = Job(spec.study, curves, "loss", folder, checkpoint=spec.checkpoint, parallel=parallel)
    executor.run(job, witness)
    assert witness.controller.ended is not None
    assert not witness.busy, "every segment ends"
    return witness


FULL = {"name": "none", "max_resource": MAX_RESOURCE}


@dataclass
class Trials:
    """Losses by trial: `losses[trial][resource - 1]`."""

    losses: dict[int, Sequence[float]] = field(default_factory=dict)

    def __call__(self, trial: int, config: Config) -> Sequence[float]:
        return self.losses[trial]
