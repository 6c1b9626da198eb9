"""What the driver of a lane of 1,024 slots costs: asking, deciding, writing down and showing, in ms of CPU per trial.

    python benchmarks/lane_driver.py [--rounds 3] [--trials 8192] [--slots 1024] [--batch 64] [--samplers auto,random]
                                     [--record]

Controller, sampler, scheduler, driver, store (an SQLite file) and the display are the real ones; the slots are entries
of an agenda on a virtual clock, and their losses a formula. The study is that of search_spaces/mnist.yaml with more
trials: promoting ASHA over 1, 3 and 9 epochs. Each report has 25 metrics, four curves of 200 points and a checkpoint.
Slots report as they come, `--batch` at a time, and the free ones are filled after each batch, all in one commit.
"""

from __future__ import annotations

import os

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import argparse
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from heapq import heappop, heappush
from pathlib import Path

import numpy as np
from record import ROOT, Record, arguments, take_turns
from rich.console import Console

from tuner.cli.progress import ProgressDisplay
from tuner.control import Nothing, StudyController
from tuner.execution import Message
from tuner.records import Checkpoint, Config, Decision, Details, Event, Report, Segment, SegmentEnd, TrialSummary
from tuner.records import Ending as How
from tuner.schedule import make_scheduler
from tuner.search import Observation, Sampler, make_sampler
from tuner.spec import StudySpec, load_spec
from tuner.store import Writer, open_store
from tuner.workflows.driver import StudyDriver
from tuner.workflows.gauge import Gauge

PARTS = ("ask", "promising", "store", "display", "controller")
WANTED = 2.5
"""Milliseconds of CPU per trial, all in all."""
LANE_SECONDS = 60.0
"""What the lane is expected to take for 8,192 trials."""
N_POINTS = 200
CURVES = ("step", "loss", "lr", "grad_norm")
METRICS = (
    *("val_accuracy", "train_loss", "train_eval_loss", "train_eval_accuracy", "gap", "grad_norm", "grad_norm_max"),
    *("clipped", "lr", "weight_norm", "update_ratio", "steps", "skipped", "examples_per_second", "memory_mb"),
    *("weights_0", "weights_1", "weights_2", "updates_0", "updates_1", "updates_2", "dead_0", "dead_1", "noise"),
)


def main() -> None:
    parser = arguments(__doc__, rounds=3)
    parser.add_argument("--trials", type=int, default=8192, help="of a study (8,192)")
    parser.add_argument("--slots", type=int, default=1024, help="of the lane (1,024)")
    parser.add_argument("--batch", type=int, default=64, help="reports that come together (64)")
    parser.add_argument("--samplers", default="auto,random", help="which ones, with commas between (auto,random)")
    options = parser.parse_args()
    record = Record("lane-driver", "The driver of a lane", packages=("numpy", "scipy", "pydantic", "sqlalchemy"))
    names = options.samplers.split(",")
    turns = take_turns({name: lambda name=name: live_through(name, options) for name in names}, options.rounds)
    first = turns[names[0]][0]
    record.note(
        f"{options.trials:,} trials over {options.slots:,} slots, {options.batch} reports at a time: "
        f"{first.segments:,} segments, {first.reports:,} reports, {first.commits:,} commits with `{names[0]}`; "
        f"the store has {first.megabytes:.0f} MB then."
    )
    for name, of in turns.items():
        rows = {part: [1000 * turn.seconds[part] / options.trials for turn in of] for part in PARTS}
        rows["all"] = [1000 * turn.cpu / options.trials for turn in of]
        record.table(f"`{name}`: ms of CPU per trial", rows, digits=3)
    record.table("the whole study, seconds of CPU", {name: [turn.cpu for turn in of] for name, of in turns.items()})
    record.table("the whole study, seconds", {name: [turn.wall for turn in of] for name, of in turns.items()})
    longest = {name: [1000 * turn.longest for turn in of] for name, of in turns.items()}
    record.table("the longest turn of the driver, ms", longest, digits=0)
    for name, of in turns.items():
        each = statistics.median(1000 * turn.cpu / options.trials for turn in of)
        record.target(f"`{name}`: at most {WANTED} ms of CPU per trial", reached=f"{each:.2f}", met=each <= WANTED)
    record.publish(write=options.record)


@dataclass
class Turn:
    """What one study cost: seconds of CPU by part; `cpu` and `wall` in all; `longest` is that of one turn."""

    seconds: Counter[str] = field(default_factory=Counter)
    cpu: float = 0.0
    wall: float = 0.0
    longest: float = 0.0
    segments: int = 0
    reports: int = 0
    commits: int = 0
    megabytes: float = 0.0

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count what is done meanwhile as that part's."""
        began = time.process_time()
        try:
            yield
        finally:
            self.seconds[name] += time.process_time() - began


def live_through(sampler: str, options: argparse.Namespace) -> Turn:
    """A whole study with that sampler."""
    spec = study_spec(sampler, options.trials)
    turn = Turn()
    with tempfile.TemporaryDirectory() as folder, closing(open_store(f"sqlite:///{folder}/tuner.db")) as store:
        store.create(spec)
        controller = StudyController(spec, AskedSampler(make_sampler(spec), turn), make_scheduler(spec.scheduler))
        writer, gauge = TimedWriter(store.write(spec.study), turn), Gauge()
        with Path(os.devnull).open("w") as nowhere:
            display = ProgressDisplay(Console(file=nowhere, force_terminal=True, width=120), gauge=gauge)
            watch = timed(display, turn)
            driver = StudyDriver(controller, store, writer, list, watch=watch, gauge=gauge)
            Slots(spec, options.slots, options.batch).run(driver, turn)
        writer.release()
        turn.megabytes = sum(path.stat().st_size for path in Path(folder).iterdir()) / 1e6
    turn.seconds["controller"] = turn.cpu - sum(turn.seconds.values())
    return turn


def study_spec(sampler: str, trials: int) -> StudySpec:
    spec = load_spec(ROOT / "search_spaces" / "mnist.yaml").to_dict()
    return StudySpec.from_dict({**spec, "sampler": {"name": sampler}, "budget": {"trials": trials}})


class Slots:
    """The lane: each slot has a segment, or is free. Steps take a slot about as long as any other."""

    def __init__(self, spec: StudySpec, n_slots: int, batch: int) -> None:
        self._space = spec.space
        self._batch = batch
        self._free = [f"slot-{number}" for number in range(n_slots)]
        self._rng = np.random.default_rng(0)
        self._agenda: list[tuple[float, int, str, Segment, int]] = []
        self._now, self._count = 0.0, 0
        self._target = self._rng.random(len(self._space))
        columns = self._rng.random((16, len(CURVES), N_POINTS), dtype=np.float32)
        self._details = [
            Details({name: tuple(column) for name, column in zip(CURVES, curves.tolist(), strict=True)})
            for curves in columns
        ]

    def run(self, driver: StudyDriver, turn: Turn) -> None:
        """Until the study has ended."""
        reported: list[tuple[str, Segment, int]] = []
        while True:
            messages = [self._report(segment, resource) for _, segment, resource in reported]
            began, began_cpu = time.perf_counter(), time.process_time()
            driver.tick()
            decisions = driver.push(messages)
            ended = list(self._carry_on(reported, decisions))
            driver.push(ended)
            segments = driver.pull(self._free) if self._free else []
            driver.commit()
            seconds = time.perf_counter() - began
            turn.cpu += time.process_time() - began_cpu
            turn.wall += seconds
            turn.longest = max(turn.longest, seconds)
            turn.reports += len(messages)
            turn.commits += 1
            if segments is Nothing.DONE:
                return
            if not isinstance(segments, Nothing):
                turn.segments += len(segments)
                for segment, slot in zip(segments, self._free, strict=False):
                    self._start(slot, segment, segment.start + 1)
                self._free = self._free[len(segments) :]
            reported = [self._next() for _ in range(min(self._batch, len(self._agenda)))]

    def _start(self, slot: str, segment: Segment, resource: int) -> None:
        self._count += 1
        heappush(self._agenda, (self._now + self._rng.uniform(0.9, 1.1), self._count, slot, segment, resource))

    def _next(self) -> tuple[str, Segment, int]:
        self._now, _, slot, segment, resource = heappop(self._agenda)
        return slot, segment, resource

    def _carry_on(
        self, reported: Iterable[tuple[str, Segment, int]], decisions: Sequence[Decision]
    ) -> Iterator[Message]:
        for (slot, segment, resource), decision in zip(reported, decisions, strict=True):
            if decision is Decision.CONTINUE and resource < segment.until:
                self._start(slot, segment, resource + 1)
            else:
                self._free.append(slot)
                yield SegmentEnd(segment.trial, segment.index, How.REACHED)

    def _report(self, segment: Segment, resource: int) -> Report:
        away = np.array(self._space.to_unit(segment.config)) - self._target
        own = np.random.default_rng(segment.seed).normal(0, 0.02)
        loss = float(0.05 + (away**2).sum() + own + 1 / resource)
        metrics = {"val_loss": loss} | dict(zip(METRICS, self._rng.random(len(METRICS)).tolist(), strict=True))
        path = f"trials/{segment.trial:05d}/{resource:05d}.safetensors"
        checkpoint = Checkpoint(resource, path, 1_900_000, f"{segment.seed:064x}")
        details = self._details[segment.trial % len(self._details)]
        return Report(segment.trial, segment.index, resource, metrics, 0.5, checkpoint, details)


@dataclass
class AskedSampler:
    """The sampler, and how long it took."""

    sampler: Sampler
    turn: Turn

    def ask(self, history: Sequence[Observation], first: int, count: int) -> list[Config]:
        with self.turn.part("ask"):
            return self.sampler.ask(history, first, count)

    def promising(self, history: Sequence[Observation], paused: Collection[int]) -> int | None:
        with self.turn.part("promising"):
            return self.sampler.promising(history, paused)

    def size(self) -> int | None:
        return self.sampler.size()


@dataclass
class TimedWriter:
    """The writer, and how long it took."""

    writer: Writer
    turn: Turn

    def append(self, events: Sequence[Event], trials: Iterable[TrialSummary] = ()) -> None:
        with self.turn.part("store"):
            self.writer.append(events, trials)

    def heartbeat(self) -> None:
        with self.turn.part("store"):
            self.writer.heartbeat()

    def release(self) -> None:
        self.writer.release()


def timed(watch: Callable[[StudyController], None], turn: Turn) -> Callable[[StudyController], None]:
    """The watch, and how long it took."""

    def watched(controller: StudyController) -> None:
        with turn.part("display"):
            watch(controller)

    return watched


if __name__ == "__main__":
    main()
