"""What a comparison is going to do: methods, equal budgets, a grid that fits, paired seeds, names."""

from __future__ import annotations

from dataclasses import replace

import pytest
from by_hand import Hand
from hypothesis import given
from hypothesis import strategies as st
from synthetic_table import synthetic_spec

from tuner.errors import UserMistake
from tuner.search import make_sampler
from tuner.space import Choice, Float, Int, SearchSpace
from tuner.spec import ASHA, Budget, Hyperband, Median, NoScheduler
from tuner.store import Replay
from tuner.workflows.comparing import resolution
from tuner.workflows.comparing.budgets import equal_budget, expected_trials, in_words, parse_budget, trials_to_choose
from tuner.workflows.comparing.methods import SAMPLERS, parse_method, parse_methods
from tuner.workflows.comparing.planning import NEVER, extended, make_plan, notes, runs_of, spec_of

SPEC = synthetic_spec(scheduler={"name": "asha", "min_resource": 2, "max_resource": 16, "reduction_factor": 2})
SPAN = {"min_resource": 2, "max_resource": 16}


@pytest.mark.parametrize(
    ("name", "sampler", "scheduler"),
    [
        ("random", "random", NoScheduler(**SPAN)),
        ("none+gp", "gp", NoScheduler(**SPAN)),
        ("asha+tpe", "tpe", ASHA(**SPAN, reduction_factor=2)),
        ("asha-stop+random", "random", ASHA(**SPAN, type="stop", reduction_factor=2)),
        ("hyperband+grid", "grid", Hyperband(**SPAN, reduction_factor=2)),
        ("hyperband-stop+sobol", "sobol", Hyperband(**SPAN, type="stop", reduction_factor=2)),
        ("median+cmaes", "cmaes", Median(**SPAN)),
    ],
)
def test_a_method_is_a_scheduler_and_a_sampler(name, sampler, scheduler):
    made = parse_method(name).apply(SPEC)
    assert (made.sampler.name, made.scheduler) == (sampler, scheduler)
    assert made.model_copy(update={"sampler": SPEC.sampler, "scheduler": SPEC.scheduler}) == SPEC


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_is_a_method(sampler):
    assert make_sampler(parse_method(sampler).apply(SPEC)).ask([], 0, 1)


def test_what_the_spec_says_of_its_own_sampler_and_scheduler_stays():
    grid = {"name": "grid", "points": {"lr": 2}}
    spec = synthetic_spec(sampler=grid, scheduler={"name": "median", "max_resource": 9, "min_trials": 7})
    made = parse_method("median+grid").apply(spec)
    assert (made.sampler, made.scheduler) == (spec.sampler, spec.scheduler)
    assert parse_method("asha+grid").apply(spec).scheduler == ASHA(max_resource=9)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["tpee"], "no such sampler: 'tpee'\n.*Did you mean 'tpe'"),
        (["asha"], "no such sampler: 'asha'"),
        (["asah+tpe"], "no such scheduler: 'asah'\n.*Did you mean 'asha'"),
        (["+tpe"], "no such scheduler: ''"),
        (["asha+"], "no such sampler: ''"),
        ([], "nothing to compare"),
        ([" "], "nothing to compare"),
        (["tpe", "tpe"], "tpe is listed twice"),
        (["tpe", "none+tpe"], r"tpe is none\+tpe"),
    ],
)
def test_methods_that_cannot_be(names, said):
    with pytest.raises(UserMistake, match=f"(?s){said}"):
        parse_methods(names)


def test_nothing_is_stopped_early_where_a_trial_is_one_stretch():
    short = synthetic_spec(scheduler={"name": "none", "max_resource": 1})
    with pytest.raises(UserMistake, match="min_resource = max_resource"):
        make_plan(short, ["random", "asha+tpe"], 3)
    assert make_plan(short, ["random", "tpe"], 3).spec.budget == Budget(trials=12)


def test_equal_budgets():
    plain, mixed = parse_methods(["random", "tpe"]), parse_methods(["random", "asha+tpe"])
    assert equal_budget(SPEC, plain) == Budget(trials=12)
    assert equal_budget(SPEC, parse_methods(["asha+random", "asha+tpe"])) == Budget(trials=12)
    assert equal_budget(SPEC, mixed) == Budget(trials=None, epochs=12 * 16)
    limited = SPEC.model_copy(update={"budget": Budget(trials=12, epochs=100, minutes=2.0)})
    assert equal_budget(limited, mixed) == Budget(trials=None, epochs=100, minutes=2.0)
    assert equal_budget(limited, plain) == limited.budget
    assert in_words(make_plan(SPEC, ["random", "asha+tpe"], 1).spec) == "192 epochs (12 full trainings)"


def test_a_goal_is_no_equal_budget():
    goal = Budget.model_validate({"trials": 5, "until": {"value": 0.1}})
    assert equal_budget(SPEC.model_copy(update={"budget": goal}), parse_methods(["random"])) == Budget(trials=5)
    with pytest.raises(UserMistake, match="until"):
        make_plan(SPEC, ["random"], 1, budget=goal)


def test_budgets_as_people_write_them():
    assert parse_budget("trials=64") == Budget(trials=64)
    assert parse_budget("units=576") == parse_budget("epochs=576") == Budget(trials=None, epochs=576)
    assert parse_budget("minutes=1.5") == Budget(trials=None, minutes=1.5)
    for text in ("64", "trials", "trials=", "trials=0", "trials=1.5", "minutes=nan", "units=-3", "hours=3", "=3"):
        with pytest.raises(UserMistake, match="--budget"):
            parse_budget(text)


@pytest.mark.parametrize("scheduler", ["none", "asha", "asha-stop", "hyperband", "median"])
def test_a_budget_of_units_is_about_so_many_trials(scheduler):
    """Held against a study that is really run, whose trials get no better with luck: the order is random."""
    spec = parse_method(f"{scheduler}+random").apply(SPEC)
    spec = spec.model_copy(update={"budget": Budget(trials=None, epochs=2_000)})
    hand = Hand(spec.model_copy(update={"metric": spec.metric.model_copy(update={"name": "loss"})}))
    hand.play(lambda segment, resource: segment.config["speed"] + 1 / resource)
    expected, tried = expected_trials(spec), len(hand.controller.trials)
    assert expected is not None
    if scheduler == "median":
        assert expected == 125 <= tried, "how many the median rule stops nobody knows: counted as full trainings"
    else:
        assert expected == pytest.approx(tried, rel=0.3)


def test_configurations_that_are_given_are_not_the_grids_to_choose():
    spec = SPEC.model_copy(update={"enqueue": (SPEC.space.from_unit([0.5] * 3),)})
    assert (expected_trials(spec), trials_to_choose(spec)) == (12, 11)
    assert trials_to_choose(spec.model_copy(update={"budget": Budget(trials=None, minutes=1.0)})) is None


SPACE = SearchSpace(
    {
        "lr": Float(1e-5, 1.0, log=True),
        "batch": Choice((32, 64, 128, 256)),
        "layers": Int(1, 2),
        "clip": Float(0.1, 10, none=True),
        "momentum": Float(0.0, 0.9, when={"layers": (2,)}),
    }
)


@given(st.integers(1, 3_000))
def test_the_finest_grid_that_fits(n_trials):
    points = resolution.finest(SPACE, n_trials, {})
    size = resolution.n_points(SPACE, points)
    coarsest = resolution.n_points(SPACE, dict.fromkeys(points, 1))
    assert size <= max(n_trials, coarsest)
    for name in points:
        grown = resolution.n_points(SPACE, points | {name: points[name] + 1})
        assert grown > n_trials or grown == size, "no axis has room for another value"


def test_given_points_stay_and_the_first_axes_are_the_finer_ones():
    spec = synthetic_spec(budget={"trials": 40}, sampler={"name": "grid", "points": {"speed": 5}})
    plan = make_plan(spec, ["grid", "random"], 2)
    first, _, second, _ = (spec_of(plan, run) for run in runs_of(plan))
    assert dict(first.sampler.points) == {"lr": 4, "weight_decay": 2, "speed": 5}
    assert notes(plan) == ["grid: lr 4 x weight_decay 2 x speed 5 (40 points), in random order"]
    orders = [make_sampler(each).ask([], 0, 40) for each in (first, second)]
    assert orders[0] != orders[1], "each repeat has its own order"
    assert sorted(map(str, orders[0])) == sorted(map(str, orders[1])), "of the same points"


def test_a_reader_is_told_what_is_not_fair():
    plan = make_plan(SPEC, ["random", "asha+tpe"], 1, budget=Budget(trials=12))
    assert "equal numbers of trials are not equal work" in notes(plan)[0]
    timed = make_plan(SPEC, ["grid"], 1, budget=Budget(trials=None, minutes=1.0))
    assert "3 values an axis" in notes(timed)[0]
    wide = synthetic_spec(space={"a": {"choice": list(range(50))}, "lr": {"float": [0.1, 1.0]}})
    assert "a 50 x lr 1 (50 points), of which the budget is for about 12" in notes(make_plan(wide, ["grid"], 1))[0]


def test_runs_are_paired_by_their_seeds_and_named_after_method_and_repeat():
    plan = make_plan(SPEC, ["random", "asha-stop+tpe"], 3, name="mine", workers=2)
    runs = runs_of(plan)
    assert [run.study for run in runs[:4]] == [
        "mine.random.0",
        "mine.asha-stop-tpe.0",
        "mine.random.1",
        *(["mine.asha-stop-tpe.1"]),
    ]
    specs = [spec_of(plan, run) for run in runs]
    seeds = [spec.seed for spec in specs]
    assert seeds[::2] == seeds[1::2]
    assert len(set(seeds)) == 3
    assert {spec.parallel for spec in specs} == {2}
    other = replace(plan, spec=plan.spec.model_copy(update={"seed": 1}))
    assert not set(seeds) & {spec_of(other, run).seed for run in runs}


def test_a_replayed_study_is_not_given_up_and_has_the_replays_workers():
    plan = make_plan(SPEC, ["random"], 1, replay=Replay("t", "ab", 8))
    (run,) = runs_of(plan)
    assert (spec_of(plan, run).parallel, spec_of(plan, run).failures.give_up_after) == (8, NEVER)


def test_names_that_are_too_long_for_a_study():
    make_plan(SPEC, ["random"], 1, name="n" * 91)
    for name in ("n" * 92, "a/b", ".hidden", "a b"):
        with pytest.raises(UserMistake, match="--name"):
            make_plan(SPEC, ["random"], 1, name=name)


@pytest.mark.parametrize("repeats", [0, -1, 10_001])
def test_repeats_that_cannot_be(repeats):
    with pytest.raises(UserMistake, match="--repeats"):
        make_plan(SPEC, ["random"], repeats)


def test_a_comparison_grows_by_methods_and_repeats_and_by_nothing_else():
    plan = make_plan(SPEC, ["random", "tpe"], 3, replay=Replay("a", "ab", 8))
    assert extended(plan, plan) == plan
    more = make_plan(SPEC, ["gp", "none+tpe"], 5, replay=Replay("elsewhere", "ab", 8))
    assert extended(plan, more) == replace(plan, methods=("random", "tpe", "gp"), repeats=5)
    for other in (
        make_plan(SPEC, ["random", "tpe"], 3),
        make_plan(SPEC, ["random", "tpe"], 3, replay=Replay("a", "cd", 8)),
        make_plan(SPEC, ["random", "tpe"], 3, replay=Replay("a", "ab", 4)),
        make_plan(SPEC, ["random", "tpe"], 3, budget=Budget(trials=13), replay=plan.replay),
    ):
        assert extended(plan, other) is None
