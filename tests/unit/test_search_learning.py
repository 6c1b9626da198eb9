"""What samplers make of what they are told: on fixed seeds, one trial after another."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tuner.search import Observation
from tuner.search.cmaes import CmaesProposer
from tuner.search.distinct import DistinctSampler, uniform
from tuner.search.gp import GpProposer, scores
from tuner.search.levels import Judgement, Standing
from tuner.search.optuna_space import OptunaSpace
from tuner.search.random_search import RandomProposer
from tuner.search.tpe import TpeProposer
from tuner.space import Choice, Float, Int, SearchSpace

BOWL = SearchSpace({"x": Float(-2.0, 2.0), "y": Float(1e-4, 1.0, log=True), "n": Int(1, 8), "c": Choice(("a", "b"))})


def bowl(config):
    return (
        (config["x"] - 0.7) ** 2
        + (math.log10(config["y"]) + 2) ** 2
        + 0.1 * (config["n"] - 5) ** 2
        + (config["c"] == "a")
    )


def study(proposer, space, objective, length, seed=0):
    sampler, history = DistinctSampler(space, seed, proposer), []
    for number in range(length):
        (config,) = sampler.ask(history, number, 1)
        loss = objective(config)
        history.append(Observation(number, config, {9: loss}, failed=not math.isfinite(loss)))
    return history


def best(make, length, seeds, space=BOWL, objective=bowl):
    return np.median([min(o.losses[9] for o in study(make(seed), space, objective, length, seed)) for seed in seeds])


def random_search(seed):
    return RandomProposer(BOWL, seed)


def test_tpe_beats_random_search():
    assert best(lambda s: TpeProposer(BOWL, s, False, 0.0), 60, range(5)) < 0.6 * best(random_search, 60, range(5))


def test_cmaes_beats_random_search():
    assert best(lambda s: CmaesProposer(BOWL, s, False), 150, range(5)) < 0.5 * best(random_search, 150, range(5))


def test_the_gaussian_process_beats_random_search():
    assert best(lambda s: GpProposer(BOWL, s, False, 0.0), 22, [0]) < 0.5 * best(random_search, 25, range(5))


def test_tpe_leaves_a_region_that_fails():
    space = SearchSpace({"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)})
    history = study(
        TpeProposer(space, 0, False, 0.0),
        space,
        lambda c: math.inf if c["x"] < 0.5 else (c["x"] - 0.7) ** 2 + (c["y"] - 0.2) ** 2,
        60,
    )
    assert sum(o.failed for o in history[20:]) < 0.25 * 40


@pytest.mark.parametrize("make", [TpeProposer, CmaesProposer])
@pytest.mark.parametrize("n_axes", [1, 30])
def test_long_histories_and_many_axes(make, n_axes):
    space = SearchSpace({f"x{i}": Float(0.0, 1.0, none=i % 7 == 3) for i in range(n_axes)})
    losses = [1e18, -1e300, 0.0, math.inf, 1e-300]
    history = [Observation(i, uniform(space, i), {1: 1.0, 9: losses[i % 5]}, failed=i % 5 == 3) for i in range(2000)]
    extra = (0.2,) if make is TpeProposer else ()
    for config in DistinctSampler(space, 0, make(space, 0, True, *extra)).ask(history, 2000, 2):
        space.check(config)


@pytest.mark.slow
def test_the_gaussian_process_bears_long_histories():
    space = SearchSpace({f"x{i}": Float(0.0, 1.0, none=i % 7 == 3) for i in range(30)})
    history = [Observation(i, uniform(space, i), {9: 1e18 * (i % 5) ** 9}) for i in range(2000)]
    space.check(DistinctSampler(space, 0, GpProposer(space, 0, True, 0.0)).ask(history, 2000, 1)[0])


def test_absent_axes_teach_cmaes_nothing_and_cost_it_nothing():
    space = SearchSpace({"c": Choice((0, 1)), "x": Float(0.0, 1.0), "y": Float(0.0, 1.0, when={"c": (1,)})})
    history = study(CmaesProposer(space, 0, False), space, lambda c: abs(c["x"] - 0.3) + c["c"], 120)
    assert min(o.losses[9] for o in history) < 0.02
    late = [o.config["y"] for o in history[60:] if "y" in o.config]
    assert np.std(late) > 0.02


@pytest.mark.parametrize("share_diverged", [0.0, 0.3, 0.6])
def test_scores_keep_the_valley_to_scale_whatever_diverged(share_diverged):
    losses = [(i / 50) ** 2 for i in range(50)]
    for i in range(50 - int(50 * share_diverged), 50):
        losses[i] = 10.0 ** (i % 18)
    got = scores([Judgement(Standing.JUDGED, 9, loss) for loss in losses] + [Judgement(Standing.WORST)])
    assert got[0] == -2.0
    assert max(got) == got[-1] < 3.5
    assert all(a <= b for (_, a), (_, b) in zip(*[iter(sorted(zip(losses, got, strict=False)))] * 2, strict=True))
    steps = [(got[i] - got[0]) / losses[i] for i in range(1, 10)]
    assert max(steps) == pytest.approx(min(steps))


@pytest.mark.parametrize("value", [0.0, 1e300])
def test_scores_of_equal_losses_are_equal(value):
    assert len({*scores([Judgement(Standing.JUDGED, 9, value)] * 12)}) == 1


def test_optuna_sees_positions_and_gives_values_back():
    space = SearchSpace(
        {
            "a": Choice((1, True, "1", None)),
            "f": Float(-1e308, 1e308, none=True),
            "s": Float(0.0, 1.0, step=1 / 3, when={"a": (True,)}),
            "i": Int(1, 10**9, log=True),
            "j": Int(2, 64, log=True, none=True, when={"s": (0.0,)}),
        }
    )
    optuna_space = OptunaSpace(space)
    assert [[p.name for p in group] for group in optuna_space.groups] == [
        ["0", "1:on", "3"], ["1"], ["2"], ["4:on"], ["4"],
    ]  # fmt: skip
    for seed in range(200):
        config = uniform(space, seed)
        back = optuna_space.decode(optuna_space.encode(config))
        assert back.keys() == config.keys()
        assert all(back[k] == pytest.approx(v) if isinstance(v, float) else back[k] == v for k, v in config.items())
