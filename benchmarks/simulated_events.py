"""How many events a second the simulated executor lives through, and whether that stays so as a study grows.

    python benchmarks/simulated_events.py [--rounds 5] [--trials 5000] [--segments 100000] [--record]

The controller, the scheduler and the executor are the real ones; the driver keeps the journal in memory. Proposals are
drawn before the clock runs, so that what a sampler costs is left out. The promotions of the long run are worked out a
second time, by counting.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
from record import Record, arguments, take_turns

from tuner.control import Nothing, StudyController
from tuner.execution import Job, Message
from tuner.execution.simulated import Curve, SimulatedExecutor, curve_of_units
from tuner.records import Config, Decision, Event, Report, Reported, SegmentIssued
from tuner.schedule import make_scheduler
from tuner.search import Observation
from tuner.spec import StudySpec

WANTED = 10_000
MAX_RESOURCE = 81
MANY_WORKERS = 1_000
TENTHS = 10
SEGMENTS_PER_TRIAL = 1.45
"""Of promoting ASHA with η = 3, nearly: 1 + 1/3 + 1/9 + .."""
MOST_GROWTH = 1.5
"""The last tenth of the long run may take so many times the first one's time."""


def main() -> None:
    parser = arguments(__doc__, rounds=5)
    parser.add_argument("--trials", type=int, default=5_000, help="of the short run (5,000)")
    parser.add_argument("--segments", type=int, default=100_000, help="of the long run, about (100,000)")
    options = parser.parse_args()
    record = Record("simulated-events", "Events on the virtual clock", packages=("numpy",))
    kinds = {"promote": "ASHA that promotes", "stop": "ASHA that stops", "none": "no scheduler"}
    contestants = {name: lambda kind=kind: short_run(kind, options.trials) for kind, name in kinds.items()}
    turns = take_turns(contestants, options.rounds)
    record.note(
        f"Short runs: {options.trials:,} trials (without a scheduler {options.trials // 10:,}) over 8 workers, "
        f"max_resource {MAX_RESOURCE}, one metric. An event is a report or the decision on it."
    )
    events = {name: [2 * turn.reports / turn.seconds for turn in of] for name, of in turns.items()}
    record.table("events per second", events, digits=0)
    by_cpu = {name: [2 * turn.reports / turn.cpu_seconds for turn in of] for name, of in turns.items()}
    record.table("events per second of CPU time", by_cpu, digits=0)
    segments = {name: [turn.segments / turn.seconds for turn in of] for name, of in turns.items()}
    record.table("segments per second", segments, digits=0)
    slowest = min(statistics.median(rates) for rates in events.values())
    record.target(f"{WANTED:,} events per second", reached=f"{slowest:,.0f}", met=slowest >= WANTED)
    long = [long_run(options.segments) for _ in range(options.rounds)]
    record.note(
        f"Long runs: {MANY_WORKERS:,} workers, {long[0].segments:,} segments of promoting ASHA, "
        f"{long[0].reports:,} reports."
    )
    tenths = {f"{n + 1}": [run.tenths[n] * 1e6 for run in long] for n in range(TENTHS)}
    record.table("tenth of the run: microseconds per decision", tenths)
    growth = statistics.median(run.tenths[-1] / run.tenths[0] for run in long)
    record.target(
        f"the last tenth's at most {MOST_GROWTH} times the first's", reached=f"{growth:.2f}", met=growth <= MOST_GROWTH
    )
    wrong = sum(wrong_promotions(turn.journal) for turn in long)
    record.target("every segment is the one that ASHA's rule names", reached=f"{wrong} wrong", met=wrong == 0)
    record.publish(write=options.record)


@dataclass
class Turn:
    """What a run came to; `tenths` are the seconds per decision in each tenth of it."""

    reports: int
    segments: int
    seconds: float
    cpu_seconds: float
    tenths: list[float]
    journal: list[Event]


def short_run(kind: str, trials: int) -> Turn:
    return run(study_spec(kind, trials if kind != "none" else trials // 10), n_workers=8)


def long_run(segments: int) -> Turn:
    return run(study_spec("promote", int(segments / SEGMENTS_PER_TRIAL)), n_workers=MANY_WORKERS)


def study_spec(kind: str, trials: int) -> StudySpec:
    scheduler = {"name": "none"} if kind == "none" else {"name": "asha", "type": kind}
    return StudySpec.from_dict(
        {
            "study": "bench",
            "objective": "no:objective",
            "metric": {"name": "loss"},
            "space": {"x": {"float": [0.0, 1.0]}},
            "sampler": {"name": "random"},
            "scheduler": {**scheduler, "max_resource": MAX_RESOURCE},
            "budget": {"trials": trials},
        }
    )


def run(spec: StudySpec, n_workers: int) -> Turn:
    """Live through a study."""
    rng = np.random.default_rng(0)
    drawn = Drawn([{"x": x} for x in rng.random(spec.budget.trials).tolist()])
    driver = MemoryDriver(StudyController(spec, drawn, make_scheduler(spec.scheduler)))
    job = Job(spec.study, Formula(), spec.metric.name, Path("nowhere"), parallel=n_workers)
    began, began_cpu = time.perf_counter(), time.process_time()
    SimulatedExecutor().run(job, driver)
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - began_cpu
    marks = [driver.stamps[round(tenth * (len(driver.stamps) - 1) / TENTHS)] for tenth in range(TENTHS + 1)]
    tenths = [(end - begin) / (after - before) for (before, begin), (after, end) in pairwise(marks)]
    return Turn(driver.reports, driver.segments, seconds, cpu_seconds, tenths, driver.journal)


def wrong_promotions(journal: Sequence[Event]) -> int:
    """How many segments were not those of Li et al. 2020, Algorithm 2, worked out anew from what was reported before.

    From the top rung down: the best that was not promoted, if fewer than floor(n/η) of the n there are better; a new
    trial where there is none.
    """
    rungs = [Standings(resource) for resource in (27, 9, 3, 1)]
    wrong = 0
    for event in journal:
        if isinstance(event, Reported):
            report = event.report
            for rung in rungs:
                if rung.resource == report.resource:
                    rung.record(report.trial, report.metrics["loss"])
        elif isinstance(event, SegmentIssued):
            segment = event.segment
            due = next(((trial, rung) for rung in rungs if (trial := rung.promotable()) is not None), None)
            if due is not None:
                due[1].promoted.add(due[0])
            named = None if due is None else (due[0], due[1].resource)
            wrong += named != (None if segment.index == 0 else (segment.trial, segment.start))
    return wrong


class Standings:
    """Who was recorded at a rung, by plain counting."""

    def __init__(self, resource: int) -> None:
        self.resource = resource
        self.promoted: set[int] = set()
        self._trials: list[int] = []
        self._losses = np.empty(1 << 17)
        self._waiting = np.full(1 << 17, np.inf)

    def record(self, trial: int, loss: float) -> None:
        n = len(self._trials)
        self._losses[n] = self._waiting[n] = loss
        self._trials.append(trial)

    def promotable(self) -> int | None:
        n = len(self._trials)
        if n < 3:
            return None
        best = int(np.argmin(self._waiting[:n]))
        if self._trials[best] in self.promoted:
            self._waiting[best] = np.inf
            return self.promotable()
        better = int((self._losses[:n] < self._losses[best]).sum())
        return self._trials[best] if better < n // 3 else None


class Formula:
    """Curves that differ in their ends, in their speed and in their noise."""

    metrics = ("loss",)
    unit = "epoch"
    max_resource = MAX_RESOURCE

    def __init__(self) -> None:
        self._falling = 1 / np.arange(1, MAX_RESOURCE + 1)
        self._noise = np.random.default_rng(1).normal(0, 0.05, 10_007 + MAX_RESOURCE)

    def session(self) -> Formula:
        return self

    def curve(self, trial: int, config: Config, reach: int) -> Curve:  # noqa: ARG002 (all go to the end)
        noise = self._noise[trial % 10_007 :][:MAX_RESOURCE]
        return curve_of_units({"loss": config["x"] + self._falling + noise}, 0.5 + config["x"])


@dataclass
class Drawn:
    """A sampler that knows its proposals beforehand."""

    configs: Sequence[Config]

    def ask(self, history: Sequence[Observation], first: int, count: int) -> list[Config]:  # noqa: ARG002 (it learns nothing)
        return list(self.configs[first : first + count])

    def promising(self, history: Sequence[Observation], paused: Collection[int]) -> None:
        """None: who goes on is ASHA's affair."""

    def size(self) -> int | None:
        return len(self.configs)


@dataclass
class MemoryDriver:
    """A driver whose store is a list."""

    controller: StudyController
    journal: list[Event] = field(default_factory=list)
    stamps: list[tuple[int, float]] = field(default_factory=list)
    """(reports so far, when) at every round of messages"""
    reports: int = 0
    segments: int = 0

    def pull(self, workers: Sequence[str]) -> list[object] | Nothing:
        answer = self.controller.next_segments(workers)
        self.segments += 0 if isinstance(answer, Nothing) else len(answer)
        return answer

    def push(self, messages: Sequence[Message]) -> list[Decision]:
        self.stamps.append((self.reports, time.perf_counter()))
        return [self._take(message) for message in messages]

    def tick(self) -> None:
        pass

    def overdue(self) -> tuple[()]:
        return ()

    def commit(self) -> None:
        self.journal += self.controller.take_changes().events

    def _take(self, message: Message) -> Decision:
        if isinstance(message, Report):
            self.reports += 1
            return self.controller.on_reports([message])[0]
        self.controller.on_segment_end(message)
        return Decision.STOP


if __name__ == "__main__":
    main()
