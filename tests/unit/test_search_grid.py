from __future__ import annotations

import pytest

from tuner.search import Observation
from tuner.search.grid import GridSampler
from tuner.search.keys import config_key
from tuner.search.points import Points, all_points
from tuner.space import Choice, Float, Int, SearchSpace


def whole(space, points=None, budget=None, seed=0):
    sampler = GridSampler(space, seed, points or {}, budget)
    assert sampler.size() <= 10_000
    return sampler.ask([], 0, 10_001)


def test_the_grid_of_a_small_space_by_hand():
    space = SearchSpace(
        {
            "optimizer": Choice(("sgd", "adamw")),
            "momentum": Float(0.0, 0.8, when={"optimizer": ("sgd",)}),
            "layers": Int(1, 4),
        }
    )
    got = {tuple(config.items()) for config in whole(space, {"momentum": 2, "layers": 2})}
    assert got == {
        (("optimizer", "sgd"), ("momentum", 0.0), ("layers", 1)),
        (("optimizer", "sgd"), ("momentum", 0.0), ("layers", 4)),
        (("optimizer", "sgd"), ("momentum", 0.8), ("layers", 1)),
        (("optimizer", "sgd"), ("momentum", 0.8), ("layers", 4)),
        (("optimizer", "adamw"), ("layers", 1)),
        (("optimizer", "adamw"), ("layers", 4)),
    }


def test_a_condition_on_a_condition_collapses_with_it():
    space = SearchSpace(
        {
            "a": Choice((0, 1, 2)),
            "b": Choice((False, True), when={"a": (1, 2)}),
            "c": Choice(("x", "y", "z"), when={"b": (True,), "a": (2,)}),
        }
    )
    # a=0: 1; a=1: b off, on: 2; a=2: b off: 1, b on: 3
    assert len(whole(space)) == 7


def test_log_points_are_spread_in_log_space():
    space = SearchSpace({"lr": Float(1e-5, 1.0, log=True)})
    got = sorted(config["lr"] for config in whole(space, {"lr": 6}))
    assert got == pytest.approx([1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0])


def test_an_axis_with_none_gets_one_point_more():
    space = SearchSpace({"clip": Float(1.0, 3.0, none=True)})
    assert sorted(whole(space, {"clip": 2}), key=str) == [{"clip": 1.0}, {"clip": 3.0}, {"clip": None}]


@pytest.mark.parametrize(
    ("budget", "size"),
    [(None, 2 * 9), (1, 2 * 4), (17, 2 * 4), (18, 2 * 9), (31, 2 * 9), (32, 2 * 16), (64, 2 * 25), (72, 2 * 36)],
)
def test_unnamed_axes_get_what_the_budget_holds_and_two_at_least(budget, size):
    space = SearchSpace({"x": Float(0.0, 1.0), "y": Float(0.0, 1.0), "c": Choice(("a", "b"))})
    assert GridSampler(space, 0, {}, budget).size() == size


def test_axes_with_few_values_do_not_hold_the_others_up():
    space = SearchSpace({"x": Float(0.0, 1.0), "n": Int(1, 2)})
    assert GridSampler(space, 0, {}, 64).size() == 64
    assert GridSampler(SearchSpace({"n": Int(1, 3)}), 0, {}, 1_000_000).size() == 3


def test_a_budget_that_cuts_the_grid_short_leaves_no_corner():
    space = SearchSpace({"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)})
    sampler = GridSampler(space, 0, {"x": 10, "y": 10}, 25)
    first = sampler.ask([], 0, 25)
    assert len({config["x"] for config in first}) >= 7
    assert len({config["y"] for config in first}) >= 7
    assert GridSampler(space, 1, {"x": 10, "y": 10}, 25).ask([], 0, 25) != first


def test_a_point_that_a_person_enqueued_is_not_proposed_again():
    space = SearchSpace({"n": Int(1, 5)})
    history = [Observation(0, {"n": 3}, {9: 0.1})]
    assert {config["n"] for config in GridSampler(space, 0, {}, 64).ask(history, 1, 9)} == {1, 2, 4, 5}


def test_a_huge_grid_is_not_built():
    space = SearchSpace({f"x{i}": Float(0.0, 1.0) for i in range(30)})
    sampler = GridSampler(space, 0, dict.fromkeys(space, 10), None)
    assert sampler.size() == 10**30
    assert len({config_key(space, config) for config in sampler.ask([], 0, 200)}) == 200


def test_points_are_counted_as_they_are_listed():
    space = SearchSpace(
        {
            "a": Choice((True, 1, "1", None)),
            "b": Int(1, 3, none=True, when={"a": (True, None)}),
            "c": Float(0.0, 1.0, step=0.25, when={"b": (2, None)}),
        }
    )
    points = all_points(space)
    listed = list(points)
    assert len(listed) == points.count == 2 + 2 * (2 + 2 * 5)
    assert len({config_key(space, config) for config in listed}) == points.count
    for config in listed:
        space.check(config)


def test_a_space_with_a_continuous_axis_has_no_end():
    assert all_points(SearchSpace({"x": Float(0.0, 1.0)})) is None
    assert Points(SearchSpace({"x": Float(0.0, 1.0)}), {"x": [0.0, 1.0]}).count == 2
