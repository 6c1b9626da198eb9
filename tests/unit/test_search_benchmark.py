"""The benchmark of search methods: its clock, its scores, and that it goes on where it was stopped."""

import json
import math
import sys
from argparse import Namespace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

SEARCH = Path(__file__).resolve().parents[2] / "benchmarks" / "search"
sys.path.append(str(SEARCH))

import report  # noqa: E402 (they are programs, no package: their folder is their path)
import run as program  # noqa: E402
from clock import Job, run  # noqa: E402
from lcbench import DEVELOPMENT, LCBench  # noqa: E402
from problem import Exhausted, spread  # noqa: E402
from taskset import CHANCE, SPACE, TaskSet  # noqa: E402


class Scripted:
    """Asks for the jobs of a list, and goes on with all of them."""

    def __init__(self, jobs):
        self.jobs = iter(jobs)
        self.told = []

    def ask(self):
        return next(self.jobs, None)

    def tell(self, job, resource, loss):
        self.told.append((job.trial, resource, loss))
        return True


def falling(config):
    """A curve whose loss at resource r is 1/r."""
    return 1 / np.arange(1, 51)


@given(st.integers(1, 9), st.integers(1, 12), st.integers(1, 300))
def test_full_trainings_keep_every_worker_busy(n_workers, until, budget):
    trace = run(Scripted(Job(n, {}, until) for n in count()), falling, n_workers=n_workers, budget=budget)
    # Worker j (1, 2, ..) ends its m-th training with unit (m * until - 1) * n_workers + j, and is then asked for.
    ends = ((m * until - 1) * n_workers + j for m in range(1, budget + 1) for j in range(1, n_workers + 1))
    assert trace.units == budget
    assert trace.n_trials == n_workers + sum(end < budget for end in ends)
    assert trace.incumbent(budget) == 1 / min(until, math.ceil(budget / n_workers))


def test_a_trial_that_goes_on_pays_for_the_new_units_alone():
    method = Scripted([Job(0, {}, 3), Job(0, {}, 9)])
    trace = run(method, falling, n_workers=1, budget=100)
    assert (trace.units, trace.n_trials) == (9, 1)
    assert [resource for _, resource, _ in method.told] == list(range(1, 10))


def test_what_is_known_is_told_at_once_and_for_nothing():
    method = Scripted([Job(0, {}, 9), Job(0, {}, 3)])
    assert run(method, falling, n_workers=1, budget=100).units == 9
    assert method.told[-1] == (0, 3, 1 / 3)


def test_two_jobs_of_one_trial_at_the_same_time_pay_once_and_each_is_told_its_end():
    method = Scripted([Job(0, {}, 4), Job(0, {}, 7)])
    assert run(method, falling, n_workers=2, budget=100).units == 7
    assert [resource for _, resource, _ in method.told] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 6, 7]


def test_nan_is_told_and_is_no_incumbent():
    method = Scripted([Job(0, {}, 2), Job(1, {}, 2)])
    trace = run(method, lambda config: np.array([0.5, math.nan]), n_workers=1, budget=100)
    assert trace.incumbents == [(1, 0.5)]
    assert math.isnan(method.told[-1][2])


def test_an_exhausted_table_ends_the_study():
    def one_row(config):
        if one_row.given:
            raise Exhausted
        one_row.given = True
        return falling(config)

    one_row.given = False
    trace = run(Scripted(Job(n, {}, 5) for n in count()), one_row, n_workers=1, budget=100)
    assert (trace.units, trace.n_trials) == (5, 1)


def test_a_method_that_asks_for_nothing_new_is_an_error():
    with pytest.raises(RuntimeError, match="nothing new"):
        run(Scripted(Job(0, {}, 1) for _ in count()), falling, n_workers=1, budget=100)


def write_table(file, n_tasks=2, n_rows=12):
    """A table in TaskSet's form, whose losses lie between 0.2 and chance but for a NaN."""
    rng = np.random.default_rng(3)
    rows = [SPACE.from_unit(unit) for unit in rng.random((n_rows, len(SPACE))).tolist()]
    arrays = {"hp_names": list(SPACE), "splits": ["train", "valid", "test"], "task_names": ["t"] * n_tasks}
    for task in range(n_tasks):
        curves = rng.uniform(0.3, CHANCE, (n_rows, 3, 51))
        curves[:, :, 0] = 0.1  # the untrained network: not to be seen
        curves[:, 0] = curves[:, 2] = 0.1  # the other splits: neither
        curves[1, 1, 7:] = math.nan
        curves[2, 1, 50] = 0.2
        arrays |= {f"hp_{task}": [[row[name] for name in SPACE] for row in rows], f"curves_{task}": curves}
    np.savez(file, **arrays)
    return rows


def test_taskset_scores_between_the_tables_best_and_chance(tmp_path):
    write_table(tmp_path / "taskset8.npz")
    problem = TaskSet(tmp_path / "taskset8.npz", "1")
    assert problem.max_resource == 50
    halfway = (0.2 + CHANCE) / 2
    assert [problem.score(loss) for loss in (0.2, CHANCE, math.inf)] == [0, 1, 1]
    assert problem.score(halfway) == pytest.approx(0.5)


def test_taskset_answers_with_the_nearest_row_and_each_row_once(tmp_path):
    rows = write_table(tmp_path / "taskset8.npz")
    problem = TaskSet(tmp_path / "taskset8.npz", "0")
    curves, fresh = problem.curves(), problem.curves()
    own = [curves(row) for row in rows]
    assert own[2][-1] == pytest.approx(0.2)
    assert np.isnan(own[1][6:]).all()
    assert not np.isnan(own[1][:6]).any()
    with pytest.raises(Exhausted):
        curves(rows[0])
    firsts = {fresh(rows[5]).tobytes() for _ in rows}
    assert firsts == {curve.tobytes() for curve in own}


def test_of_lcbench_only_the_tasks_to_develop_on_can_be_had(tmp_path):
    names = [f"task {position}" for position in range(34)]
    axes = {"hyperparameters": [{"name": "epoch"}, {"name": "OpenML_task_id", "choices": names}]}
    (tmp_path / "config_space.json").write_text(json.dumps(axes))
    assert LCBench.tasks(tmp_path) == [f"task {position}" for position in DEVELOPMENT]
    for position in set(range(34)) - set(DEVELOPMENT):
        with pytest.raises(ValueError, match="not one to develop on"):
            LCBench(tmp_path, f"task {position}")


def test_spread_takes_the_tasks_evenly():
    assert spread("abcdefgh", 4) == list("aceg")
    assert spread("abc", 8) == list("abc")


def options(tmp_path, seeds):
    return Namespace(
        until=80,
        out=tmp_path / "out.jsonl",
        benchmarks="taskset",
        data=tmp_path,
        tasks=None,
        seeds=seeds,
        methods="asha+random",
    )


def test_a_run_that_was_cut_off_goes_on_and_repeats_nothing(tmp_path):
    write_table(tmp_path / "taskset8.npz")
    program.run_here(options(tmp_path, seeds=2))
    whole = (tmp_path / "out.jsonl").read_text()
    lines = whole.splitlines(keepends=True)
    assert len(lines) == 4
    (tmp_path / "out.jsonl").write_text(lines[0] + lines[1][:40])
    program.run_here(options(tmp_path, seeds=2))

    def told(text):
        return [{**json.loads(line), "own_seconds": 0} for line in text.splitlines()]

    assert told((tmp_path / "out.jsonl").read_text()) == told(whole)
    assert (tmp_path / "out.jsonl").read_text().startswith(lines[0])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_is_monotone_and_between_the_raw_p_and_bonferroni(p_values):
    corrected = report.holm(p_values)
    pairs = sorted(zip(p_values, corrected, strict=True))
    assert all(p <= own <= min(1, p * len(p_values)) for p, own in pairs)
    assert [own for _, own in pairs] == sorted(corrected)
    assert corrected[int(np.argmin(p_values))] == pytest.approx(min(1, min(p_values) * len(p_values)))
    assert all(own >= fdr - 1e-12 for own, fdr in zip(corrected, false_discovery_control(p_values), strict=True))


def test_ranks_are_taken_where_all_methods_were(tmp_path):
    def line(value):
        return {"readings": dict.fromkeys(("8", "16", "40", "80"), value)}

    studies = {
        "a": {("x", 0): line(1.0), ("y", 0): line(2.0), ("y", 1): line(0.0)},
        "b": {("x", 0): line(2.0), ("y", 0): line(2.0)},
    }
    n_cells, table = report.average_ranks(studies, "lcbench", ["a", "b"])
    assert n_cells == 2
    assert "| a | 1.25 | 1.25 | 1.25 | 1.25 |" in table
    assert "| b | 1.75 | 1.75 | 1.75 | 1.75 |" in table
