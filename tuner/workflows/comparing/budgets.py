"""What each run of a comparison may spend: the same for all methods, in trials, units of resource or minutes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tuner.analysis.progress import units_per_trial
from tuner.control import first_configs
from tuner.errors import UserMistake, did_you_mean, shown
from tuner.schedule import make_scheduler
from tuner.spec import Budget, StudySpec
from tuner.workflows.comparing.methods import Method

_FIELDS = {"trials": "trials", "units": "epochs", "epochs": "epochs", "steps": "epochs", "minutes": "minutes"}
"""The word for what is counted -> the field of a Budget."""

_LOOK_AT = 81
"""Trials over which the expected cost of one is averaged: whole rounds of Hyperband's brackets."""


def parse_budget(text: str) -> Budget:
    """The budget that "trials=64", "units=576" (or epochs, steps) or "minutes=10" names. Raises UserMistake."""
    word, _, number = text.partition("=")
    if word.strip() not in _FIELDS:
        raise UserMistake(f"--budget: must be trials=N, units=N or minutes=M, got {shown(text)}", hint=_hint(word))
    field = _FIELDS[word.strip()]
    try:
        value = float(number) if field == "minutes" else int(number)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        kind = "a number" if field == "minutes" else "a whole number"
        raise UserMistake(f"--budget: {word.strip()} must be {kind} above 0, got {shown(number)}")
    return Budget.model_validate({"trials": None, field: value})


def equal_budget(spec: StudySpec, methods: Sequence[Method]) -> Budget:
    """The budget of each run if nobody says another: the spec's, without what would end one method's runs earlier.

    A trial that is stopped early costs less than a full one. So where the methods' schedulers differ, a number of
    trials becomes as many full trainings, counted in units of resource.
    """
    trials, units = spec.budget.trials, spec.budget.epochs
    if trials is not None and len({method.scheduler for method in methods}) > 1:
        full = trials * spec.scheduler.max_resource
        trials, units = None, full if units is None else min(units, full)
    return Budget(trials=trials, minutes=spec.budget.minutes, epochs=units)


def expected_trials(spec: StudySpec) -> int | None:
    """How many trials the budget of a study is expected to suffice for; None where only its time is limited."""
    expected = [] if spec.budget.trials is None else [spec.budget.trials]
    if spec.budget.epochs is not None:
        scheduler = make_scheduler(spec.scheduler)
        for trial in range(_LOOK_AT):
            scheduler.start(trial)
        rungs = [scheduler.rungs(trial) for trial in range(_LOOK_AT)]
        expected.append(max(int(spec.budget.epochs / units_per_trial(spec, rungs)), 1))
    return min(expected, default=None)


def trials_to_choose(spec: StudySpec) -> int | None:
    """As `expected_trials`, without those whose configurations are given: enqueued ones and priors; at least 1."""
    expected = expected_trials(spec)
    return None if expected is None else max(expected - len(first_configs(spec)), 1)


def in_words(spec: StudySpec) -> str:
    """The budget, such as "576 epochs (64 full trainings)"."""
    budget, unit = spec.budget, spec.scheduler.unit
    parts = [f"{budget.trials} trials"] if budget.trials is not None else []
    if budget.epochs is not None:
        full = budget.epochs / spec.scheduler.max_resource
        parts.append(f"{budget.epochs} {unit}s ({full:.4g} full trainings)")
    if budget.minutes is not None:
        parts.append(f"{budget.minutes:g} min")
    return " or ".join(parts)


def _hint(word: str) -> str:
    return f"For example: --budget trials=64. {did_you_mean(word, _FIELDS)}"
