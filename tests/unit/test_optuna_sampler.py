"""The sampler `auto` in Optuna's own studies."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from tuner.search.optuna_sampler import AutoSampler

SPACE = {"x": FloatDistribution(-2.0, 2.0), "y": FloatDistribution(1e-4, 1.0, log=True)}


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(optuna.logging.INFO)


def bowl(x, y):
    return (x - 0.7) ** 2 + (math.log10(y) + 2) ** 2


def quadratic(trial):
    return bowl(trial.suggest_float("x", -2, 2), trial.suggest_float("y", 1e-4, 1, log=True))


def in_steps(trial):
    value = quadratic(trial)
    for step in range(1, 10):
        trial.report(value + 1 / step, step)
        if trial.should_prune():
            raise optuna.TrialPruned
    return value + 1 / 9


def study_of(objective, n_trials=30, seed=0, sampler=None, **options):
    study = optuna.create_study(sampler=sampler or AutoSampler(seed), **options)
    study.optimize(objective, n_trials=n_trials, catch=(RuntimeError,))
    return study


def with_history(trials, **options):
    """A study of trials that were made elsewhere."""
    study = optuna.create_study(sampler=AutoSampler(3), **options)
    study.add_trials(trials)
    return study


def some_trials(length, **outcome_of):
    """Complete trials of the bowl's space, or what `outcome_of` says of each (x, y)."""
    rng = np.random.default_rng(0)
    for x, log_y in zip(rng.uniform(-2, 2, length), rng.uniform(-4, 0, length), strict=True):
        y = 10**log_y
        made = {name: of(x, y) for name, of in outcome_of.items()}
        yield create_trial(params={"x": x, "y": y}, distributions=SPACE, **made)


def proposals(study, count=5):
    """Several asked for at once; one in ten is random, so that a claim about them is about their median."""
    return [study.ask(SPACE).params for _ in range(count)]


def test_it_beats_random_search():
    found = [study_of(quadratic, seed=seed).best_value for seed in range(3)]
    random = [study_of(quadratic, 100, sampler=optuna.samplers.RandomSampler(seed)).best_value for seed in range(3)]
    assert np.median(found) < 0.2 * np.median(random)


def test_with_a_pruner():
    study = study_of(in_steps, 60, pruner=optuna.pruners.SuccessiveHalvingPruner(reduction_factor=3))
    states = [trial.state for trial in study.trials]
    assert states.count(TrialState.PRUNED) >= 10
    assert states.count(TrialState.COMPLETE) >= 2
    assert study.best_value < 1 / 9 + 0.02


def test_it_learns_from_trials_that_were_all_pruned():
    pruned = some_trials(
        30, state=lambda *_: TrialState.PRUNED, intermediate_values=lambda x, y: {0: math.nan, 1: bowl(x, y)}
    )
    assert np.median([bowl(**params) for params in proposals(with_history(pruned))]) < 0.25


def test_it_learns_from_running_trials():
    running = some_trials(
        30, state=lambda *_: TrialState.RUNNING, intermediate_values=lambda x, y: {1: bowl(x, y) + 1, 4: bowl(x, y)}
    )
    done = [create_trial(params={"x": 1.9, "y": 0.5}, distributions=SPACE, value=5.0)]
    assert np.median([bowl(**params) for params in proposals(with_history([*done, *running]))]) < 0.25


def test_what_is_maximised():
    trials = some_trials(25, value=lambda x, y: -bowl(x, y))
    study = with_history(trials, direction="maximize")
    assert np.median([bowl(**params) for params in proposals(study)]) < 0.25


def test_it_keeps_away_from_what_fails():
    def objective(trial):
        value = quadratic(trial)
        if trial.params["x"] < 0:
            raise RuntimeError("out of memory")
        return math.nan if trial.params["y"] > 0.5 else value  # Optuna takes NaN for a failure

    study = study_of(objective, 40)
    failed = [trial.state is TrialState.FAIL for trial in study.trials]
    assert any(failed[:10])
    assert sum(failed[20:]) < 0.3 * 20


def test_a_mixed_space():
    """What Optuna can hold: steps, ranges of two numbers, choices of any kind, parameters that not all trials have."""

    def objective(trial):
        kind = trial.suggest_categorical("kind", ["a", None, True, 1, 2.5])
        own = trial.suggest_float("own", 0, 1) if kind == "a" else 0.0
        step = trial.suggest_float("step", 0.1, 0.7, step=0.2)
        layers = trial.suggest_int("layers", 1, 64, log=True)
        units = trial.suggest_int("units", 16, 128, step=16)
        batch = trial.suggest_categorical("batch", [32, 64, 128])
        only = trial.suggest_categorical("only", ["one"])
        assert only == "one"
        return own + step + abs(layers - 8) + units / 128 + batch / 128 + (kind != "a")

    study = study_of(objective)
    assert study.best_value < 6
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}
    assert {type(trial.params["layers"]) for trial in study.trials} == {int}


def test_a_small_space_is_tried_to_its_last_point():
    space = {"n": IntDistribution(1, 5), "kind": CategoricalDistribution(["a", "b"])}
    study = optuna.create_study(sampler=AutoSampler())
    for _ in range(14):
        trial = study.ask(space)
        study.tell(trial, trial.params["n"])
    first = [tuple(trial.params.values()) for trial in study.trials[:10]]
    assert len(set(first)) == 10


def test_the_same_seed_proposes_the_same():
    def params(seed):
        return [trial.params for trial in study_of(quadratic, 14, seed=seed).trials]

    assert params(1) == params(1)
    assert params(1) != params(2)
    halfway = study_of(quadratic, 12, seed=1)
    halfway.sampler = AutoSampler(1)  # as after a restart
    halfway.optimize(quadratic, n_trials=2)
    assert [trial.params for trial in halfway.trials] == params(1)


def test_open_trials_are_kept_away_from():
    study = with_history(some_trials(20, value=bowl))
    asked = proposals(study, 8)
    assert len({tuple(params.values()) for params in asked}) == 8


def test_threads():
    study = optuna.create_study(sampler=AutoSampler())
    study.optimize(quadratic, n_trials=16, n_jobs=2)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 16


def test_mistakes():
    with pytest.raises(ValueError, match="max_resource must be at least 1, got 0"):
        AutoSampler(max_resource=0)
    study = optuna.create_study(sampler=AutoSampler(), directions=["minimize", "maximize"])
    with pytest.raises(ValueError, match="multi-objective"):
        study.ask(SPACE)


def test_the_example(tmp_path):
    script = Path(__file__).resolve().parents[2] / "examples" / "auto_in_optuna.py"
    command = [sys.executable, "-W", "error", script, "--trials", "14"]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    found = re.search(r"best val_loss ([\d.]+) of 14 trials, (\d+) of them pruned", ran.stdout)
    assert found, ran.stdout
    assert 0 < float(found[1]) < 0.3
    assert 1 <= int(found[2]) <= 13
