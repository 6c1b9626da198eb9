"""Little studies for the explorer's pages, written into a store as a running study writes them.

`EDGES` are those that every page must survive. Each maker takes the store and gives the name of the study it wrote.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import Any

from tuner.records import (
    Command,
    Commanded,
    CommandKind,
    Config,
    Details,
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
    TrialState,
    TrialSummary,
)
from tuner.spec import StudySpec
from tuner.store import StudyStore, open_store

EPOCHS = 9
DONE = {TrialState.COMPLETE, TrialState.PRUNED, TrialState.PAUSED}


def spec_of(name: str, **parts: Any) -> StudySpec:
    """A study of the built-in trainer's kind: a log axis, one that may be off, a choice, and one under a condition."""
    data = {
        "study": name,
        "objective": "somewhere:Something",
        "metric": {"name": "val_loss"},
        "space": {
            "lr": {"float": [1e-4, 1.0], "log": True},
            "clip_norm": {"float": [0.1, 10.0], "log": True, "none": True},
            "optimizer": {"choice": ["sgd", "adamw"]},
            "momentum": {"float": [0.0, 0.99], "when": {"optimizer": ["sgd"]}},
            "layers": {"int": [1, 4]},
        },
        "fixed": {"batch_size": 32},
        "scheduler": {"name": "asha", "max_resource": EPOCHS},
        "budget": {"trials": 12},
    }
    return StudySpec.from_dict(data | parts)


def config_of(number: int) -> Config:
    """The configuration of trial `number` of such a study: every third has clip_norm off, every second has momentum."""
    config: dict[str, Any] = {"lr": 10 ** (-0.4 * (number % 8)), "clip_norm": None if number % 3 == 2 else 1.0 + number}
    config["optimizer"] = ("sgd", "adamw")[number % 2]
    if number % 2 == 0:
        config["momentum"] = 0.1 * (number % 10)
    return config | {"layers": 1 + number % 4, "batch_size": 32}


def trained(trial: int, epoch: int, **changes: float) -> Report:
    """A report of the built-in trainer, with its steps; the first trial's second report says what happened."""
    loss = (1 + trial % 5) / (1 + epoch) + 0.02 * epoch
    norm = 2.0 / epoch
    metrics = {
        "epoch": float(epoch),
        "step": 10.0 * epoch,
        "samples": 320.0 * epoch,
        "seconds": 0.5,
        "samples_per_second": 640.0,
        "data_wait": 0.1,
        "lr": 0.1 / epoch,
        "loss_scale": 1.0,
        "train_loss": 0.9 * loss,
        "skipped_steps": float(epoch == 2),
        "nonfinite_steps": 0.0,
        "clip_rate": 1 / (1 + epoch),
        "grad_norm_p50": norm,
        "grad_norm_p90": 1.5 * norm,
        "grad_norm_p99": 2 * norm,
        "grad_norm_max": 3 * norm,
        "update_ratio": 2e-3 / epoch,
        "clip_norm_recommended": 1.25,
        "val_loss": loss,
        "val_accuracy": 1 - loss / 10,
        "train_eval_loss": 0.8 * loss,
        "gap": 0.2 * loss,
        "weight_norm": 12.0,
    }
    steps = range(10 * (epoch - 1) + 1, 10 * epoch + 1)
    curves = {"step": tuple(map(float, steps)), "loss": tuple(loss + 1 / step for step in steps)}
    curves |= {"lr": (0.1 / epoch,) * 10, "grad_norm": (norm,) * 10, "loss_scale": (1.0,) * 10, "skipped": (0.0,) * 10}
    events = ("step 15: not finite, precision: bf16 -> fp32",) if (trial, epoch) == (0, 2) else ()
    return Report(trial, 0, epoch, metrics | changes, 0.6, None, Details(curves, events))


def summary_of(spec: StudySpec, number: int, reports: Sequence[Report], **changes: Any) -> TrialSummary:
    """The row of trial `number` after its `reports`: complete at max_resource, else pruned; `changes` come on top."""
    last = reports[-1].metrics if reports else {}
    resource = reports[-1].resource if reports else 0
    values = {report.resource: report.metrics.get(spec.metric.name) for report in reports}
    known = {resource: value for resource, value in values.items() if value is not None and math.isfinite(value)}
    best = min(known, key=lambda resource: spec.metric.loss(known[resource]), default=None)
    gap = last["val_loss"] - last["train_eval_loss"] if {"val_loss", "train_eval_loss"} <= last.keys() else None
    made = {
        "number": number,
        "state": TrialState.COMPLETE if resource >= spec.scheduler.max_resource else TrialState.PRUNED,
        "config": config_of(number),
        "resource": resource,
        "horizon": spec.scheduler.max_resource,
        "value": known.get(resource),
        "best_value": None if best is None else known[best],
        "best_resource": best,
        "gap": gap,
        "segments": 1,
        "seconds": sum(report.seconds for report in reports),
        "metrics": dict(last),
    }
    return TrialSummary(**made | changes)


def write(
    store: StudyStore,
    spec: StudySpec,
    trials: Sequence[TrialSummary],
    reports: Mapping[int, Sequence[Report]],
    *,
    running: bool = False,
) -> str:
    """Write a study of one segment a trial, all of one worker; its lease is kept if it is `running`."""
    store.create(spec)
    writer = store.write(spec.study)
    for trial in trials:
        segment = Segment(trial.number, 0, 0, spec.scheduler.max_resource, trial.config, trial.number, EPOCHS)
        events: list[Event] = [SegmentIssued(segment, worker="w0")]
        events += [Reported(report) for report in reports.get(trial.number, ())]
        if trial.state is TrialState.FAILED:
            events.append(SegmentEnded(SegmentEnd(trial.number, 0, Ending.FAILED, trial.failure)))
        elif trial.state in DONE:
            ending = Ending.REACHED if trial.state is TrialState.COMPLETE else Ending.STOPPED
            events.append(SegmentEnded(SegmentEnd(trial.number, 0, ending)))
        writer.append(events, [trial])
    if not running:
        writer.append([StudyEnded("all trials are done")])
        writer.release()
    return spec.study


def commanded(kind: CommandKind, author: str, number: int) -> Commanded:
    """The event of a command that was taken up."""
    return Commanded(Command(kind, author), number)


def ordinary(store: StudyStore, name: str = "ordinary", n: int = 6, *, running: bool = False) -> str:
    """`n` trials of the trainer; the even ones go to the end, the others are pruned at 3 epochs."""
    spec = spec_of(name)
    reports = {number: [trained(number, epoch) for epoch in range(1, EPOCHS + 1)] for number in range(0, n, 2)}
    reports |= {number: [trained(number, epoch) for epoch in range(1, 4)] for number in range(1, n, 2)}
    trials = [summary_of(spec, number, reports[number]) for number in range(n)]
    return write(store, spec, trials, reports, running=running)


def one_slow_worker(path: str, name: str = "slow") -> str:
    """Thirty trials of an epoch on three workers, of which `node-7 2` takes three times as long as the others."""
    spec, hands, now = spec_of(name), {"node-5 0": 1.0, "node-6 1": 1.0, "node-7 2": 3.0}, 0.0
    idle = dict.fromkeys(hands, 0.0)
    happened: list[tuple[float, list[Event], list[TrialSummary]]] = []
    for number in range(30):
        worker = min(idle, key=lambda worker: idle[worker])
        segment, report = Segment(number, 0, 0, 1, config_of(number), number, EPOCHS), trained(number, 1)
        happened.append((idle[worker], [SegmentIssued(segment, worker=worker)], []))
        idle[worker] += hands[worker] * (10.0 + number % 3)
        end = SegmentEnded(SegmentEnd(number, 0, Ending.STOPPED))
        summary = summary_of(spec, number, [report], state=TrialState.PRUNED)
        happened.append((idle[worker], [Reported(report), end], [summary]))
    with closing(open_store(path, clock=lambda: now)) as store:
        store.create(spec)
        writer = store.write(name)
        for now, events, trials in sorted(happened, key=lambda one: one[0]):  # noqa: B007 (the store's clock reads it)
            writer.append(events, trials)
        writer.append([StudyEnded("all trials are done")])
        writer.release()
    return name


def no_trials(store: StudyStore) -> str:
    """A study that has not begun."""
    store.create(spec_of("no-trials"))
    return "no-trials"


def just_started(store: StudyStore) -> str:
    """One running trial, which has not reported."""
    spec = spec_of("just-started")
    trial = TrialSummary(0, TrialState.RUNNING, config_of(0), 0, EPOCHS, segments=1)
    return write(store, spec, [trial], {}, running=True)


def failures(store: StudyStore) -> str:
    """Three trials that failed before their first report."""
    why = Failure(FailureKind.EXCEPTION, "ValueError: <b>no</b> [x](javascript:alert(1))", "Traceback ...\nValueError")
    trials = [
        TrialSummary(number, TrialState.FAILED, config_of(number), 0, EPOCHS, segments=1, failure=why)
        for number in range(3)
    ]
    return write(store, spec_of("failures"), trials, {})


def not_finite(store: StudyStore) -> str:
    """Three trials, every number of which is NaN."""
    spec = spec_of("not-finite")
    nan = dict.fromkeys(trained(0, 1).metrics, math.nan)
    reports = {number: [Report(number, 0, epoch, nan, 0.6) for epoch in (1, 2)] for number in range(3)}
    why = Failure(FailureKind.NON_FINITE, "val_loss was nan")
    states = {"state": TrialState.FAILED, "failure": why, "gap": math.nan}
    trials = [summary_of(spec, number, reports[number], **states) for number in range(3)]
    return write(store, spec, trials, reports)


def single(store: StudyStore) -> str:
    """One trial, with one report."""
    spec = spec_of("single", scheduler={"name": "none", "max_resource": 1})
    report = trained(0, 1)
    return write(store, spec, [summary_of(spec, 0, [report])], {0: [report]})


def custom(store: StudyStore) -> str:
    """A function of one's own: it reports its metric, `score <i>`, and nothing of the trainer's."""
    metric = {"name": "score <i>", "direction": "maximize"}
    spec = spec_of("custom", metric=metric, space={"x": {"float": [0.0, 1.0]}}, fixed={})
    reports = {
        number: [Report(number, 0, resource, {"score <i>": number + resource / 10}, 0.1) for resource in (1, 2, EPOCHS)]
        for number in range(4)
    }
    trials = [summary_of(spec, number, reports[number], config={"x": number / 4}) for number in range(4)]
    return write(store, spec, trials, reports)


def constant(store: StudyStore) -> str:
    """Four trials of one configuration, with the same numbers."""
    spec = spec_of("constant")
    reports = {
        number: [Report(number, 0, epoch, trained(0, 1).metrics, 0.6) for epoch in range(1, EPOCHS + 1)]
        for number in range(4)
    }
    trials = [summary_of(spec, number, reports[number], config=config_of(2)) for number in range(4)]
    return write(store, spec, trials, reports)


EDGES: tuple[Callable[[StudyStore], str], ...] = (
    ordinary,
    no_trials,
    just_started,
    failures,
    not_finite,
    single,
    custom,
    constant,
)
