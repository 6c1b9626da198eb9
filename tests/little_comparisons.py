"""Little comparisons, written into a store as replays are: runs whose trials report what a test wants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from by_hand import study_spec

from tuner.records import (
    Config,
    Ending,
    Event,
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
from tuner.store import ComparisonPlan, ComparisonRun, JournalEntry, StudyStore

Losses = Callable[[str, int, int], float]
"""What trial number .. of (method, repeat) reports at max_resource."""

SPACE = {
    "lr": {"float": [1e-4, 1.0], "log": True},
    "clip_norm": {"float": [0.1, 10.0], "log": True, "none": True},
    "optimizer": {"choice": ["sgd", "adamw"]},
    "momentum": {"float": [0.0, 0.99], "when": {"optimizer": ["sgd"]}},
    "layers": {"int": [1, 4]},
}


def plan_of(name: str, methods: Sequence[str], repeats: int, n_trials: int = 4, **parts: Any) -> ComparisonPlan:
    """Methods at a budget of `n_trials` trials of two epochs."""
    data = {
        "study": name,
        "space": SPACE,
        "scheduler": {"name": "none", "max_resource": 2},
        "budget": {"trials": n_trials},
    }
    return ComparisonPlan(study_spec(**data | parts), tuple(methods), repeats)


def config_of(number: int) -> Config:
    """Every third trial has clip_norm off, every second has momentum."""
    config: dict[str, Any] = {"lr": 10.0 ** -(number % 4), "clip_norm": None if number % 3 == 2 else 1.0}
    config["optimizer"] = ("sgd", "adamw")[number % 2]
    return config | ({"momentum": 0.5} if number % 2 == 0 else {}) | {"layers": 1 + number % 4}


def add(store: StudyStore, plan: ComparisonPlan, loss: Losses, n_done: int | None = None) -> str:
    """The comparison with its first `n_done` runs, all of them if None. A trial is 1 worse at its first epoch."""
    store.comparisons.create(plan)
    runs = [(method, repeat) for repeat in range(plan.repeats) for method in plan.methods]
    for method, repeat in runs[: len(runs) if n_done is None else n_done]:
        run = ComparisonRun(plan.name, method, repeat, f"{plan.name}.{method.replace('+', '-')}.{repeat}")
        spec = plan.spec.model_copy(update={"study": run.study})
        n_trials = spec.budget.trials or 4
        losses = [loss(method, repeat, number) for number in range(n_trials)]
        store.comparisons.add_run(run, spec, journal_of(spec, losses), trials_of(spec, losses))
    return plan.name


def journal_of(spec: StudySpec, losses: Sequence[float]) -> list[JournalEntry]:
    """Of one worker, a second for each epoch."""
    timed: list[tuple[float, Event]] = []
    for number, loss in enumerate(losses):
        start = 2.0 * number
        timed.append((start, SegmentIssued(Segment(number, 0, 0, 2, config_of(number), number, 2))))
        for epoch in (1, 2):
            metrics = {spec.metric.name: loss + (2 - epoch) * spec.metric.loss(1.0)}
            timed.append((start + epoch, Reported(Report(number, 0, epoch, metrics, 1.0))))
        timed.append((start + 2, SegmentEnded(SegmentEnd(number, 0, Ending.REACHED))))
    timed.append((2.0 * len(losses), StudyEnded("its trials are done")))
    return [JournalEntry(number, 1e9 + time, event) for number, (time, event) in enumerate(timed, 1)]


def trials_of(spec: StudySpec, losses: Sequence[float]) -> list[TrialSummary]:
    return [
        TrialSummary(number, TrialState.COMPLETE, config_of(number), 2, 2, loss, loss, 2, None, 1, 2.0)
        for number, loss in enumerate(losses)
    ]
