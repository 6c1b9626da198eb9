"""`tune check --deep`: the pre-flight of a study's task, and what the whole study is going to take."""

from __future__ import annotations

import math
from typing import Any

from tuner.analysis.progress import units_per_trial
from tuner.control import first_configs
from tuner.errors import TunerError, UserMistake
from tuner.objective import failure_of_own_code
from tuner.records import Config
from tuner.schedule import make_scheduler
from tuner.spec import StudySpec
from tuner.training.findings import Finding, Verdict


def check_deep(spec: StudySpec, objective: Any) -> list[Finding]:
    """Everything that can be asked of a Task before its study is run, on this machine's CPU.

    The configuration is the one that the study would try first, or else the middle of its space. Raises UserMistake if
    the objective is no Task.
    """
    if not getattr(objective, "__tuner_task__", False):
        raise UserMistake(
            f"objective {spec.objective!r} is a plain function, and --deep looks into a Task",
            hint="Write the training job as a tuner.Task (docs/extending.md), or leave --deep out.",
        )
    from tuner.training.preflight import preflight  # imports torch

    objective.fetch()
    threads = max(1, int(spec.resources.cpus))
    try:
        found = preflight(objective, first_config(spec), threads=threads, seed=spec.seed)
    except TunerError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a task's code raises
        raise failure_of_own_code(error, f"{spec.objective} fails", "Correct it there.") from None
    if math.isnan(found.seconds_per_epoch):
        return found.findings
    return [*found.findings, estimate(spec, found.seconds_per_epoch, found.steps_per_epoch)]


def first_config(spec: StudySpec) -> Config:
    """What the study would try first before it asks its sampler, or else the middle of its space."""
    for config in first_configs(spec):
        return config
    return spec.space.complete({name: axis.from_unit(0.5) for name, axis in spec.axes.items()})


def estimate(spec: StudySpec, seconds_per_epoch: float, steps_per_epoch: int) -> Finding:
    """How long the study's training steps take, one worker at it; evaluation and start-up come on top."""
    scheduler = make_scheduler(spec.scheduler)
    n_trials = spec.budget.trials
    units = math.inf
    if n_trials is not None:
        rungs = []
        for number in range(n_trials):  # the brackets of Hyperband differ
            scheduler.start(number)
            rungs.append(scheduler.rungs(number))
        units = n_trials * units_per_trial(spec, rungs)
    if spec.budget.epochs is not None:
        units = min(units, spec.budget.epochs)
    seconds = units * seconds_per_epoch / (1 if spec.scheduler.unit == "epoch" else steps_per_epoch)
    if spec.budget.minutes is not None:
        seconds = min(seconds, spec.budget.minutes * 60)
    what = "" if math.isinf(units) else f"about {units:,.0f} {spec.scheduler.unit}s, "
    return Finding("the study", Verdict.FINE, f"{what}{_told(seconds)} of training steps, divided by its workers")


def _told(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
