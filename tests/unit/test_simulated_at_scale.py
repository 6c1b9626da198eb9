"""A thousand workers: ASHA's promotions against the rule of the paper, worked out anew from what was reported."""

from __future__ import annotations

import math

import numpy as np
import pytest
from replays import Formula, replay

from tuner.records import Report, Segment, TrialState

RUNGS = (1, 3, 9, 27)
ETA = 3


@pytest.fixture(scope="module")
def long_run():
    rng = np.random.default_rng(0)
    finals = rng.random(3000)
    noise = rng.normal(0, 0.05, (3000, 27))
    speeds = np.exp(rng.normal(0, 1, 3000))

    def losses(trial, config):
        curve = finals[trial] + 1 / np.arange(1, 28) + noise[trial]
        if trial % 17 == 0:
            curve[trial % 5 :] = math.nan
        return curve

    return replay(
        Formula(losses=losses, seconds=lambda trial, config: float(speeds[trial]), max_resource=27),
        parallel=1000,
        scheduler={"name": "asha", "max_resource": 27, "reduction_factor": ETA},
        budget={"trials": 3000},
    )


def test_every_promotion_is_the_one_of_the_paper(long_run):
    """Li et al. 2020, Algorithm 2: from the top rung down, the best of those in the best floor(n/η) that were not
    promoted yet; a new trial only where there is none.
    """
    recorded: dict[int, dict[int, float]] = {rung: {} for rung in RUNGS}
    promoted: dict[int, set[int]] = {rung: set() for rung in RUNGS}
    n_promotions = n_trials = 0
    for _, _, what in long_run.said:
        if isinstance(what, Report):
            loss = what.metrics["loss"]
            heads_for = next(rung for rung in RUNGS if rung >= what.resource)
            if not math.isfinite(loss):
                recorded[heads_for].setdefault(what.trial, math.inf)
            elif what.resource in recorded:
                recorded[what.resource][what.trial] = loss
        elif isinstance(what, Segment):
            due = promotion(recorded, promoted)
            if what.index == 0:
                assert due is None, "a new trial is started only where there is nobody to promote"
                n_trials += 1
            else:
                assert due == (what.trial, what.start)
                promoted[what.start].add(what.trial)
                n_promotions += 1
    assert n_trials == 3000
    assert n_promotions > 1000
    assert promotion(recorded, promoted) is None, "nobody is left behind"


def promotion(recorded, promoted):
    for rung in reversed(RUNGS[:-1]):
        ranked = sorted(recorded[rung], key=lambda trial: (recorded[rung][trial], trial))
        for trial in ranked[: len(ranked) // ETA]:
            if trial not in promoted[rung] and recorded[rung][trial] < math.inf:
                return trial, rung
    return None


def test_all_workers_work_until_the_budget_is_spent(long_run):
    spent = min(when for when, _, trial in long_run.begun() if trial == 2999)
    workers = {worker for _, worker, what in long_run.said if isinstance(what, Segment)}
    assert len(workers) == 1000
    n_at_work = 0
    for when, _, what in long_run.said:
        if when >= spent:
            break
        n_at_work += isinstance(what, Segment) - (not isinstance(what, Segment | Report))
    assert n_at_work >= 990


def test_the_states_add_up(long_run):
    trials = long_run.controller.trials
    assert len(trials) == 3000
    failed = {trial.number for trial in trials if trial.state is TrialState.FAILED}
    assert failed
    assert all(trial.number % 17 == 0 for trial in trials if trial.number in failed)
    complete = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    assert all(trial.resource == 27 for trial in complete)
    assert long_run.controller.units == sum(trial.resource for trial in trials)
