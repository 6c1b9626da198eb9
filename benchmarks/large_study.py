"""Makes a large finished study in a store, for measuring what reads it.

    python benchmarks/large_study.py --store FILE [--trials 10000] [--reports 100] [--metrics 20] [--early 0.05]

The spec is that of search_spaces/mnist.yaml, the metrics are the built-in trainer's, the curves are made up. Eight
workers, two sessions: half way the study was interrupted for an hour. Some trials lose their worker and go on as a
second segment; a share of them (`--early`) ends early: pruned, failed, or not finite. The same arguments make the same
rows, but for the host and process that wrote them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from made_up_curves import METRICS, curves

from tuner.records import (
    Checkpoint,
    Config,
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
)
from tuner.spec import StudySpec, load_spec
from tuner.store import open_store

SPEC = Path(__file__).resolve().parents[1] / "search_spaces" / "mnist.yaml"
N_WORKERS, LOST_SHARE = 8, 0.02
BEGAN, BREAK_SECONDS = 1_790_000_000.0, 3_600.0
NOT_FINITE = Failure(FailureKind.NON_FINITE, "val_loss is nan", "step 1204: the loss was not finite")
NO_ROOM = Failure(FailureKind.OUT_OF_MEMORY, "CUDA out of memory", "Traceback (most recent call last): ...")
EARLY_ENDS = ((TrialState.PRUNED, None), (TrialState.FAILED, NOT_FINITE), (TrialState.FAILED, NO_ROOM))


@dataclass
class Trial:
    """A made-up trial: all of its reports, and how it ends after the last of them."""

    number: int
    worker: str
    config: Config
    reports: list[Report]
    state: TrialState
    failure: Failure | None
    lost_at: int
    until: int
    segment: int = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", required=True, help="the file or URL; its study of that name is replaced")
    parser.add_argument("--study", default="large", help="the study's name (large)")
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--reports", type=int, default=100, help="reports of a trial that completes (100)")
    parser.add_argument("--metrics", type=int, default=20, choices=range(1, len(METRICS) + 1), metavar="N")
    parser.add_argument("--early", type=float, default=0.05, help="share of trials that end early (0.05)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    start = time.perf_counter()
    n_events = make(options)
    size = Path(options.store).stat().st_size / 2**20 if Path(options.store).exists() else float("nan")
    print(f"{n_events:,} events in {time.perf_counter() - start:.1f} s, {size:,.0f} MiB")


def make(options: argparse.Namespace) -> int:
    """Write the study; how many events it has."""
    changes = [f"study={options.study}", f"budget.trials={options.trials}", f"scheduler.max_resource={options.reports}"]
    spec, now = load_spec(SPEC, changes), BEGAN
    with closing(open_store(options.store, clock=lambda: now)) as store:
        if options.study in store.names():
            store.delete(options.study)
        store.create(spec)
        writer = store.write(options.study)
        rounds, running = range(0, options.trials, N_WORKERS), 0.0
        for first in rounds:
            numbers = range(first, min(first + N_WORKERS, options.trials))
            trials = [make_trial(spec, options, number) for number in numbers]
            breaks = first == rounds[len(rounds) // 2]
            seconds = max(sum(report.seconds for report in trial.reports) for trial in trials) / 2
            before, after = halves(trials, options.reports, interrupted=breaks)
            now, running = now + seconds, running + seconds
            writer.append([*before, Ticked(running)])
            if breaks:
                writer.release()
                now += BREAK_SECONDS
                writer = store.write(options.study)
            now, running = now + seconds, running + seconds
            writer.append([*after, Ticked(running)], [summary(trial) for trial in trials])
        writer.append([StudyEnded(f"all {options.trials} trials are done")])
        writer.release()
        return store.study(options.study).events


def make_trial(spec: StudySpec, options: argparse.Namespace, number: int) -> Trial:
    draw = np.random.default_rng((options.seed, number))
    config = spec.space.from_unit(draw.random(len(spec.space)).tolist())
    early = draw.random() < options.early
    state, failure = EARLY_ENDS[draw.integers(3)] if early else (TrialState.COMPLETE, None)
    n_reports = int(draw.integers(1, options.reports + 1)) if early else options.reports
    lost_at = int(draw.integers(1, n_reports)) if n_reports > 1 and draw.random() < LOST_SHARE else 0
    table = curves(config, draw, options.reports)
    if failure is NOT_FINITE:
        table["val_loss"][n_reports - 1] = np.nan
    names = METRICS[: options.metrics]
    lines = zip(*(table[name][:n_reports].tolist() for name in names), strict=True)
    metrics = [dict(zip(names, line, strict=True)) for line in lines]
    seconds = table["seconds"].tolist()
    reports = [Report(number, 0, r, at, seconds[r - 1]) for r, at in enumerate(metrics, 1)]
    worker = f"worker-{number % N_WORKERS}"
    return Trial(number, worker, config, reports, state, failure, lost_at, options.reports)


def halves(trials: list[Trial], n_reports: int, *, interrupted: bool) -> tuple[list[Event], list[Event]]:
    """What happens to trials that run side by side, in two groups to commit."""
    middle = n_reports // 2
    before: list[Event] = [issued(trial, 0) for trial in trials]
    before += [event for r in range(1, middle + 1) for trial in trials for event in at(trial, r)]
    after: list[Event] = []
    for trial in trials if interrupted else ():
        if len(trial.reports) > middle:
            before.append(SegmentEnded(SegmentEnd(trial.number, trial.segment, Ending.INTERRUPTED)))
            trial.segment += 1
            after.append(issued(trial, middle))
    after += [event for r in range(middle + 1, n_reports + 1) for trial in trials for event in at(trial, r)]
    return before, after


def at(trial: Trial, resource: int) -> Iterator[Event]:
    """A trial's report at a resource, and what follows from it."""
    if resource > len(trial.reports):
        return
    report = trial.reports[resource - 1]
    yield Reported(replace(report, segment=trial.segment))
    if resource == len(trial.reports):
        ended = {TrialState.COMPLETE: Ending.REACHED, TrialState.PRUNED: Ending.STOPPED}.get(trial.state, Ending.FAILED)
        yield SegmentEnded(SegmentEnd(trial.number, trial.segment, ended, trial.failure))
    elif resource == trial.lost_at:
        yield SegmentEnded(SegmentEnd(trial.number, trial.segment, Ending.LOST))
        trial.segment += 1
        yield issued(trial, resource)


def issued(trial: Trial, start: int) -> SegmentIssued:
    checkpoint = (
        Checkpoint(start, f"{trial.number}/{start:04}.ckpt", 2_150_000, f"{trial.number:064x}") if start else None
    )
    key, seed = (trial.number, trial.segment), trial.number * 7_919
    return SegmentIssued(
        Segment(*key, start, trial.until, trial.config, seed, trial.until, (), checkpoint), trial.worker
    )


def summary(trial: Trial) -> TrialSummary:
    """The trial's row, once it is over."""
    last = trial.reports[-1]
    losses = [report.metrics["val_loss"] for report in trial.reports]
    best = int(np.nanargmin(losses)) if np.isfinite(losses).any() else None
    value = None if trial.state is TrialState.FAILED else losses[-1]
    best_value, best_resource = (None, None) if best is None else (losses[best], best + 1)
    seconds = sum(report.seconds for report in trial.reports)
    counts = (last.metrics.get("gap"), trial.segment + 1, seconds)
    row = (trial.number, trial.state, trial.config, last.resource, trial.until)
    return TrialSummary(*row, value, best_value, best_resource, *counts, last.metrics, trial.failure)


if __name__ == "__main__":
    main()
