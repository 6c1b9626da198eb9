"""Replayed comparisons: the same every time, in whatever process; equal budgets; tables that do not fit."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from synthetic_table import MAX_RESOURCE, save_table, synthetic_spec, synthetic_table

from tuner.analysis.tracing import trace_of
from tuner.errors import RunFailed, StudyExists, UserMistake
from tuner.records import TrialState, encode_event
from tuner.space import Choice, Float, Int, SearchSpace
from tuner.spec import Budget
from tuner.store import Replay, StudyState, open_store
from tuner.workflows.comparing.planning import make_plan, runs_of, spec_of
from tuner.workflows.comparing.processes import in_processes
from tuner.workflows.comparing.replaying import check_table, open_table, replay_study
from tuner.workflows.comparing.workflow import Comparing, run, settle

SPEC = synthetic_spec()


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return save_table(tmp_path_factory.mktemp("table") / "curves.parquet")


@pytest.fixture
def store(tmp_path):
    with closing(open_store(tmp_path / "tuner.db")) as store:
        yield store


def plan_of(table, *methods, repeats=2, **options):
    return make_plan(SPEC, methods, repeats, replay=open_table(table, SPEC, 2), **options)


def story(store, name):
    """All that a comparison's runs did and saw."""
    return {
        each.study: [(entry.number, entry.time, encode_event(entry.event)) for entry in store.journal(each.study)]
        for each in store.comparisons.runs(name)
    }


def test_every_run_is_a_finished_study_that_holds_what_this_process_would_have_found(table, store):
    plan = plan_of(table, "random", "tpe", "asha+random")
    told = []
    run(store, plan, Comparing(n_processes=2), told.append)
    assert [standing.done for standing in told] == [1, 2, 3, 4, 5, 6]
    assert {standing.n_runs for standing in told} == {6}
    assert {standing.run for standing in told} == set(runs_of(plan)) == set(store.comparisons.runs(plan.name))
    for each in runs_of(plan):
        study = store.study(each.study)
        assert (study.state, study.spec, study.holder) == (StudyState.FINISHED, spec_of(plan, each), None)
        here = replay_study(spec_of(plan, each), synthetic_table())
        assert repr(store.trials(each.study)) == repr(list(here.trials))
        there = [(entry.number, entry.time, encode_event(entry.event)) for entry in store.journal(each.study)]
        assert there == [(entry.number, entry.time, encode_event(entry.event)) for entry in here.journal]


def test_it_is_told_which_row_answered(table, store):
    plan = plan_of(table, "random", repeats=1)
    told = []
    run(store, plan, Comparing(), told.append)
    (study,) = (each.study for each in runs_of(plan))
    config = store.trials(study)[3].config
    asked, known = SPEC.space.to_unit(config), synthetic_table()
    gaps = [np.subtract(SPEC.space.to_unit(row), asked) for row in known.configs]
    nearest = int(np.argmin([gap @ gap for gap in gaps]))
    (resource, details), *others = store.details(study, 3)
    assert (resource, others) == (1, [])
    assert details.events[0].startswith(f"row {nearest} of the table answers, at a distance of ")
    assert told[0].distances[3] == pytest.approx(float(np.linalg.norm(gaps[nearest])))


def test_budgets_are_equal(table):
    """In units: no method spends more than the budget but for what its workers had begun, nor less by a full trial."""
    plan = plan_of(
        table, "grid", "random", "sobol", "tpe", "asha+tpe", "asha-stop+random", "hyperband+random", repeats=1
    )
    assert plan.spec.budget == Budget(trials=None, epochs=12 * MAX_RESOURCE)
    curves = synthetic_table()
    for each in runs_of(plan):
        replayed = replay_study(spec_of(plan, each), curves)
        spent = trace_of(replayed.journal, plan.spec).units[-1]
        assert spent <= 12 * MAX_RESOURCE + 2 * MAX_RESOURCE, each.method
        short = 12 * MAX_RESOURCE - spent
        assert short <= (12 - 8) * MAX_RESOURCE if each.method == "grid" else short <= 0, each.method


def test_equal_trials(table):
    plan = plan_of(table, "grid", "random", "tpe", repeats=1, budget=Budget(trials=8))
    for each in runs_of(plan):
        replayed = replay_study(spec_of(plan, each), synthetic_table())
        assert [trial.state for trial in replayed.trials] == [TrialState.COMPLETE] * 8
        assert trace_of(replayed.journal, plan.spec).units[-1] == 8 * MAX_RESOURCE


def test_workers_share_the_virtual_time(table):
    spec = spec_of(plan_of(table, "random"), runs_of(plan_of(table, "random"))[0])
    seconds = {}
    for workers in (1, 4):
        replayed = replay_study(spec.model_copy(update={"parallel": workers}), synthetic_table())
        seconds[workers] = trace_of(replayed.journal, spec).seconds[-1]
    assert seconds == {1: 12 * MAX_RESOURCE, 4: 3 * MAX_RESOURCE}


def test_a_budget_of_minutes_is_virtual(table):
    plan = plan_of(table, "random", budget=Budget(trials=None, minutes=1.0), repeats=1)
    replayed = replay_study(spec_of(plan, runs_of(plan)[0]), synthetic_table())
    assert 60 <= replayed.journal[-1].time <= 60 + MAX_RESOURCE


def test_going_on_does_what_is_missing_and_nothing_else(table, store):
    small = plan_of(table, "random", repeats=1)
    run(store, small)
    before = story(store, small.name)
    plan, was_there = settle(store, plan_of(table, "tpe", repeats=2))
    assert was_there
    assert (plan.methods, plan.repeats) == (("random", "tpe"), 2)
    told = []
    run(store, plan, Comparing(), told.append)
    assert [standing.done for standing in told] == [2, 3, 4]
    after = story(store, plan.name)
    assert before.items() <= after.items()
    whole = open_store(store._database.file.with_name("whole.db"))
    run(whole, plan)
    assert story(whole, plan.name) == after
    whole.close()


def test_a_run_that_was_deleted_is_done_again(table, store):
    plan = plan_of(table, "random", repeats=2)
    run(store, plan)
    before = story(store, plan.name)
    store.delete(runs_of(plan)[0].study)
    run(store, plan)
    assert story(store, plan.name) == before


def test_another_comparison_of_the_name_is_told_from_this_one(table, store):
    plan = plan_of(table, "random", repeats=1)
    run(store, plan)
    with pytest.raises(StudyExists, match=r"budget.trials: 12 -> 13"):
        settle(store, plan_of(table, "random", repeats=1, budget=Budget(trials=13)))
    kept, _ = settle(store, plan_of(table, "asha+random", repeats=1), budget_asked=False)
    assert kept.spec.budget == Budget(trials=12)
    with pytest.raises(StudyExists, match=r"2 workers -> live"):
        settle(store, make_plan(plan.spec, ["random"], 1, name=plan.name))
    with pytest.raises(StudyExists, match=r"\(abcd\), 3 workers"):
        settle(store, replace(plan, replay=Replay("t", "abcd", 3)))
    store.create(SPEC)
    with pytest.raises(StudyExists, match="a study 'synthetic'"):
        settle(store, plan_of(table, "random", name="synthetic"))


def test_what_is_remembered_is_taken_once_and_is_the_same_for_all_runs(table, store):
    first = plan_of(table, "random", repeats=1)
    run(store, first)
    warm = SPEC.model_copy(update={"warm_start": (runs_of(first)[0].study,)})
    asked = make_plan(warm, ["random", "tpe"], 1, name="warm", replay=first.replay)
    plan, _ = settle(store, asked)
    assert len(plan.spec.memory) == 1
    run(store, plan)
    store.comparisons.delete(first.name)
    again, was_there = settle(store, asked)
    assert (again, was_there) == (plan, True)
    assert {store.study(each.study).spec.memory for each in runs_of(plan)} == {plan.spec.memory}


LR, DECAY, SPEED = SPEC.axes["lr"], SPEC.axes["weight_decay"], SPEC.axes["speed"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"metric": {"name": "val_accuracy"}}, "no metric 'val_accuracy'"),
        ({"scheduler": {"name": "none", "unit": "step"}}, "counts in epochs, and the spec in steps"),
        ({"scheduler": {"name": "none", "max_resource": 10}}, "as far as epoch 10: the longest ends at 9"),
        ({"space": {"lr": LR, "weight_decay": DECAY, "speed": SPEED, "x": Float(0, 1)}}, "space.x: .* does not exist"),
        ({"space": {"lr": Float(1e-6, 1.0, log=True), "weight_decay": DECAY, "speed": SPEED}}, "space.lr: .* beyond"),
        ({"space": {"lr": Float(0.1, 1, none=True), "weight_decay": DECAY, "speed": SPEED}}, "space.lr: .* beyond"),
        ({"space": {"lr": Choice(("a",)), "weight_decay": DECAY, "speed": SPEED}}, "space.lr: .* beyond"),
        ({"space": {"lr": LR, "weight_decay": DECAY}}, "an axis 'speed' that the spec does not mention"),
        ({"space": {"lr": LR, "weight_decay": DECAY}, "fixed": {"speed": 3.0}}, "fixed.speed: 3.0 is nothing that"),
    ],
)
def test_tables_that_do_not_fit(table, changes, said):
    with pytest.raises(UserMistake, match=said):
        open_table(table, synthetic_spec(**changes), None)


def test_a_smaller_space_and_fixed_values_fit(table):
    space = {"lr": Choice((0.1, 0.01)), "weight_decay": Float(1e-5, 1e-4, log=True)}
    replay = open_table(table, synthetic_spec(space=space, fixed={"speed": 0.5}), None)
    assert replay.workers == 8
    assert open_table(table, synthetic_spec(parallel=3), None).workers == 3
    assert open_table(table, synthetic_spec(parallel=3), 5).workers == 5


def test_a_table_of_choices_knows_them_alone(table):
    known = synthetic_table(SearchSpace({"lr": Choice((0.1, 0.01)), "weight_decay": DECAY}, {"speed": 0.5}), 64)
    check = partial(check_table, known, path=table)
    check(synthetic_spec(space={"lr": Choice((0.1,)), "weight_decay": DECAY}, fixed={"speed": 0.5}))
    with pytest.raises(UserMistake, match=r"space.lr"):
        check(synthetic_spec(space={"lr": Float(0.05, 0.1), "weight_decay": DECAY}))
    with pytest.raises(UserMistake, match=r"space.speed: is searched, and in .* it is fixed to 0.5"):
        check(synthetic_spec(space={"lr": Choice((0.1,)), "weight_decay": DECAY, "speed": Int(1, 2)}))
    with pytest.raises(UserMistake, match=r"fixed.speed: is 0.6, and .* was recorded with 0.5"):
        check(synthetic_spec(space={"lr": Choice((0.1,)), "weight_decay": DECAY}, fixed={"speed": 0.6}))


def double(x):
    if x == 13:
        raise UserMistake("thirteen", hint="Take twelve.")
    if x == 7:
        raise SystemExit(3)
    print("no answer")
    return 2 * x


def test_tasks_in_processes(capfd):
    answers = dict(in_processes(np.square, [1, 2, 3, 4, 5], 2))
    assert answers == {1: 1, 2: 4, 3: 9, 4: 16, 5: 25}
    assert list(in_processes(double, [], 2)) == []
    assert dict(in_processes(double, [4, 5], 3)) == {4: 8, 5: 10}
    assert capfd.readouterr().err.count("no answer") == 2
    with pytest.raises(UserMistake, match="thirteen") as caught:
        list(in_processes(double, [1, 13, 2], 1))
    assert caught.value.hint == "Take twelve."
    with pytest.raises(RunFailed, match="died"):
        list(in_processes(double, [7], 1))
