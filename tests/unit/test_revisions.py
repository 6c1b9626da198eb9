"""A study whose spec is changed when it has begun: what goes on, what starts again, what a person is told."""

from __future__ import annotations

import json
import sys

import pytest
from by_hand import Hand
from workplace import OBJECTIVE, Workplace

import tuner
from tuner.analysis.events import events_table
from tuner.analysis.rungs import rung_values
from tuner.analysis.view import StudyView
from tuner.control import Nothing
from tuner.errors import SpecError
from tuner.records import Decision, Revised, TrialState, decode_event, encode_event
from tuner.store import open_store
from tuner.workflows.revising import horizon_free

ASHA = {"name": "asha", "max_resource": 9}
LONGER = {"name": "asha", "max_resource": 27}


def by_x(segment, resource):
    return segment.config["x"] + 1 / resource


# The controller.


def test_horizon_free_trials_go_on_from_where_they_ended():
    hand = Hand(scheduler=ASHA)
    hand.play(by_x)
    best = min((trial for trial in hand.controller.trials if trial.state is TrialState.COMPLETE), key=lambda t: t.loss)
    hand.revise(range(9), scheduler=LONGER)
    done = hand.play(by_x)
    assert [(segment.trial, segment.start, segment.until) for segment in done] == [(best.number, 9, 27)]
    assert len(hand.controller.trials) == 9
    assert sorted(hand.controller.trials[best.number].losses) == list(range(1, 28))
    assert {segment.horizon for segment in done} == {27}


def test_the_best_of_the_others_start_again_and_rungs_never_mix_horizons():
    hand = Hand(scheduler=ASHA, budget={"trials": 12})
    hand.play(by_x)
    before = [(trial.state, trial.resource, trial.loss) for trial in hand.controller.trials]
    best = min(hand.controller.trials, key=lambda trial: trial.loss)
    assert hand.controller.starting_again(hand.spec, ()) == 0
    hand.revise((), scheduler=LONGER)
    done = hand.play(by_x)
    assert done == [], "the budget of trials is spent"
    hand = hand.replayed()
    hand.controller.on_command(tuner.records.Command(tuner.records.CommandKind.EXTEND, "me", budget={"trials": 14}))
    done = hand.play(by_x)
    assert done[0].config == best.config
    assert (done[0].trial, done[0].start, done[0].horizon) == (12, 0, 27)
    assert [(trial.state, trial.resource, trial.loss) for trial in hand.controller.trials[:12]] == before
    assert all(segment.trial >= 12 for segment in done), "no old trial is promoted"
    assert any(trial.resource == 27 for trial in hand.controller.trials), "at least one reaches the new max_resource"


def test_of_a_study_that_was_lengthened_twice_the_last_length_alone_says_who_starts_again():
    hand = Hand(scheduler={"name": "none", "max_resource": 2}, budget={"trials": 9})
    hand.play(by_x)
    for longer, best_again in ((4, 3), (8, 1)):
        hand.revise((), scheduler={"name": "none", "max_resource": longer})
        n_before = len(hand.controller.trials)
        extended = {"trials": n_before + best_again}
        hand.controller.on_command(tuner.records.Command(tuner.records.CommandKind.EXTEND, "me", budget=extended))
        done = hand.play(by_x)
        assert [(segment.trial, segment.until) for segment in done] == [
            (n_before + index, longer) for index in range(best_again)
        ]
        best = sorted(trial.config["x"] for trial in hand.controller.trials[:9])[:best_again]
        assert [segment.config["x"] for segment in done] == best


@pytest.mark.parametrize("scheduler", [{"name": "none", "max_resource": 4}, {"name": "median", "max_resource": 4}])
def test_without_rungs_every_whole_trial_goes_on(scheduler):
    hand = Hand(scheduler=scheduler, budget={"trials": 4})
    hand.play(by_x)
    assert hand.states() == ["complete"] * 4
    hand.revise(range(4), scheduler=scheduler | {"max_resource": 8})
    assert hand.states() == ["waiting"] * 4
    hand.play(by_x)
    assert [trial.resource for trial in hand.controller.trials] == [8] * 4


def test_an_interrupted_trial_goes_on_to_the_rung_it_was_heading_for():
    hand = Hand(scheduler={"name": "asha", "max_resource": 3}, budget={"trials": 3})
    for _ in range(3):
        segment = hand.one()
        hand.report(segment, 1, segment.config["x"])
    promoted = hand.one()
    assert promoted.start == 1
    assert hand.report(promoted, 2, 0.1) is Decision.CONTINUE
    hand.revise(range(3), scheduler=ASHA)
    again = hand.one()
    assert (again.trial, again.start, again.until) == (promoted.trial, 2, 3)
    assert hand.pull() is Nothing.WAIT


def test_trials_outside_the_new_space_are_not_seen_by_the_sampler_and_stay():
    hand = Hand(budget={"trials": 9}, scheduler=ASHA)
    hand.play(by_x)
    inside = [trial.number for trial in hand.controller.trials if trial.config["x"] <= 0.5]
    assert 0 < len(inside) < 9
    hand.revise((), space={"x": {"float": [0.0, 0.5]}})
    seen = hand.controller._ledger.observations()
    assert [observation.number for observation in seen] == inside
    assert all(observation.losses for observation in seen)
    hand.revise((), space={"x": {"float": [0.0, 4.0]}})
    assert len(hand.controller._ledger.observations()) == 9


def test_a_failed_trial_is_a_lesson_under_every_horizon():
    hand = Hand(scheduler=ASHA, failures={"retries": 0})
    segment = hand.one()
    hand.end(segment, tuner.records.Ending.FAILED)
    hand.revise((), scheduler=LONGER)
    (observation,) = hand.controller._ledger.observations()
    assert observation.failed
    assert observation.losses == {1: float("inf")}


def test_a_goal_that_was_met_is_not_met_again_and_a_new_one_is():
    hand = Hand(scheduler={"name": "none", "max_resource": 1}, budget={"trials": 9, "until": {"value": 0.9}})
    hand.play(lambda *_: 0.5)
    assert len(hand.controller.trials) == 1
    hand.revise((), budget={"trials": 9, "until": {"value": 0.2}})
    hand.play(lambda segment, _: 0.5 - 0.1 * segment.trial)
    assert [round(trial.loss, 1) for trial in hand.controller.trials] == [0.5, 0.4, 0.3, 0.2]


def test_a_revision_is_an_event_as_others():
    hand = Hand()
    hand.revise((), parallel=3)
    (event,) = [event for event in hand.journal if isinstance(event, Revised)]
    assert decode_event(encode_event(event)) == event
    assert hand.replayed().controller.spec == hand.spec


# The command line.

FREE = OBJECTIVE.replace("def broken", "curve.uses_horizon = False\n\ndef broken")


@pytest.fixture
def place(tmp_path):
    place = Workplace(tmp_path)
    (tmp_path / "thing.py").write_text(FREE)
    place.tune("run", "spec.yaml")
    yield place
    sys.modules.pop("thing", None)


def curve(place, number):
    return [(report["resource"], report["metrics"]) for report in place.json("trial", "demo", str(number))["reports"]]


def test_a_longer_study_goes_on_along_its_curves(place, tmp_path_factory):
    out, _ = place.tune("resume", "demo", "--set", "scheduler.max_resource=27")
    assert "scheduler.max_resource: 9 -> 27" in out
    assert "12 trials may go on along their curves, to epoch 27" in out
    shown = place.json("show", "demo")
    assert len(shown["trials"]) == 12
    whole = [trial["number"] for trial in shown["trials"] if trial["resource"] == 27]
    assert shown["best"]["number"] in whole
    alone = Workplace(tmp_path_factory.mktemp("alone"))
    x = shown["best"]["config"]["x"]
    alone.tune(
        "run", "spec.yaml", "--set", "scheduler={name: none, max_resource: 27}", "--set", f"enqueue=[{{x: {x!r}}}]",
        "--trials", "1",
    )  # fmt: skip
    assert curve(place, shown["best"]["number"]) == curve(alone, 0), "as if it had never stopped"


def test_an_objective_that_may_use_its_horizon_starts_again(place):
    (place.folder / "thing.py").write_text(OBJECTIVE)
    out, _ = place.tune("resume", "demo", "--set", "scheduler.max_resource=27")
    assert "12 were laid out over 9 epochs: the best of them start again" in out
    shown = place.json("show", "demo")
    best = min(shown["trials"][:12], key=lambda trial: (-trial["resource"], trial["value"]))
    assert [(trial["config"], trial["resource"]) for trial in shown["trials"][12:]] == [(best["config"], 27)]
    out, _ = place.tune("resume", "demo", "--trials", "20")
    assert len(place.json("show", "demo")["trials"]) == 20


def test_a_wider_space_is_searched_and_old_trials_count(place):
    place.tune("resume", "demo", "--trials", "30", "--set", "space.x.float=[0.0, 4.0]")
    trials = place.json("show", "demo")["trials"]
    assert len(trials) == 30
    assert (
        max(trial["config"]["x"] for trial in trials[:12]) <= 1.0 < max(trial["config"]["x"] for trial in trials[12:])
    )
    store = open_store(place.folder / "runs" / "tuner.db", create=False)
    assert store.study("demo").spec.axes["x"].high == 4.0
    out, _ = place.tune("run", "spec.yaml", code=2)[1], None
    assert "space.x.float" in out, "the old spec is another one now"


def test_extended_again_and_again_and_killed_in_between(place):
    place.tune("resume", "demo", "--set", "scheduler.max_resource=10")
    place.tune("resume", "demo", "--set", "scheduler.max_resource=27", "--set", "budget.trials=15")
    place.tune("resume", "demo", "--trials", "18")
    shown = place.json("show", "demo")
    assert (shown["state"], len(shown["trials"])) == ("finished", 18)
    for trial in shown["trials"]:
        assert [resource for resource, _ in curve(place, trial["number"])] == list(range(1, trial["resource"] + 1))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("seed=3", "seed: cannot change in a study that has begun: it is 0, got 3"),
        ("metric.name=sum", "metric: cannot change"),
        ("scheduler.max_resource=3", "scheduler.max_resource: must not be below 9"),
        ("scheduler.reduction_factor=4", "scheduler.reduction_factor: cannot change"),
        ("scheduler={name: none, max_resource: 9}", "scheduler.name: cannot change"),
        ("enqueue=[{x: 0.5}]", "tune enqueue"),
        ("space.x.float=[2.0, 1.0]", "space.x"),
        ("budget.trials=0", "budget.trials"),
        ("nonsense=1", "nonsense"),
    ],
)
def test_what_cannot_change_is_refused_and_nothing_is_written(place, change, said):
    store = open_store(place.folder / "runs" / "tuner.db", create=False)
    before = store.study("demo")
    _, err = place.tune("resume", "demo", "--set", change, code=2)
    assert said in err
    assert store.study("demo") == before


def test_from_python_too_and_the_page_of_events_says_so(place, monkeypatch):
    monkeypatch.chdir(place.folder)
    monkeypatch.syspath_prepend(str(place.folder))
    study = tuner.resume("demo", changes={"scheduler.max_resource": 27, "parallel": 1}, trials=13)
    assert study.spec.scheduler.max_resource == 27
    assert study.budget.trials == 13
    table = events_table(study.view())
    told = [what for what in table[table["kind"] == "command"]["what"] if "revise" in what]
    assert len(told) == 1
    assert "scheduler.max_resource: 9 -> 27; 12 trials may go on along their curves" in told[0]
    with pytest.raises(SpecError, match="cannot change"):
        tuner.resume("demo", changes={"study": "other"})


def test_the_table_of_rungs_leaves_out_who_was_left_behind(place):
    (place.folder / "thing.py").write_text(OBJECTIVE)
    place.tune("resume", "demo", "--set", "scheduler.max_resource=27")
    view = StudyView(open_store(place.folder / "runs" / "tuner.db", create=False), "demo")
    assert set(rung_values(view)["trial"]) == {12}


# Which trials of a Task are free.


@pytest.mark.parametrize(
    ("config", "free"),
    [
        ({"schedule": "constant"}, True),
        ({"schedule": "constant", "warmup": 0.1}, False),
        ({"schedule": "cosine"}, False),
        ({"schedule": "constant", "averaging": "ema"}, True),
        ({"schedule": "constant", "averaging": "polyak", "average_from": 0.5}, False),
        ({"schedule": "constant", "curriculum": 0.5}, False),
        ({"schedule": "constant", "freeze": 1}, False),
    ],
)
def test_a_task_is_free_where_nothing_is_laid_out_over_its_length(config, free):
    from objectives.digits import Digits

    assert horizon_free(Digits(), [{"lr": 0.1, **config}]) == ([0] if free else [])


def test_a_tasks_extended_trial_is_the_one_that_was_longer_from_the_start(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    from objectives.digits import Digits

    config = {"lr": 0.05, "schedule": "constant", "batch_size": 256}
    common = {
        "metric": "val_loss",
        "space": {"momentum": tuner.Choice([0.0, 0.9])},
        "fixed": {"optimizer": "sgd", **config},
        "executor": "local",
        "parallel": 1,
        "budget": {"trials": 2},
    }
    tuner.run(Digits(), study="short", scheduler={"name": "none", "max_resource": 2}, **common)
    longer = tuner.resume("short", Digits(), changes={"scheduler.max_resource": 4})
    planned = tuner.run(Digits(), study="planned", scheduler={"name": "none", "max_resource": 4}, **common)
    for number in range(2):
        ours, theirs = longer.reports(number), planned.reports(number)
        assert [report.resource for report in ours] == [1, 2, 3, 4]
        for one, other in zip(ours, theirs, strict=True):
            assert one.metrics["val_loss"] == other.metrics["val_loss"]
            assert one.metrics["train_loss"] == other.metrics["train_loss"]
    assert json.dumps(longer.spec.to_dict()["scheduler"]) == json.dumps(planned.spec.to_dict()["scheduler"])
