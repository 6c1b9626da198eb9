"""The sampler `auto`: how it takes losses, what an improvement is worth to it, and what it makes of a study."""

from __future__ import annotations

import math
import multiprocessing
import sys

import numpy as np
import pytest
from scipy.integrate import quad

from tuner.search import Observation
from tuner.search.auto import AutoProposer
from tuner.search.distinct import DistinctSampler, uniform
from tuner.search.keys import config_key
from tuner.search.prospects import APART, log_expected_improvement
from tuner.search.views import VIEWS
from tuner.space import Choice, Float, Int, SearchSpace

SQUARE = SearchSpace({"x": Float(-2.0, 2.0), "y": Float(1e-4, 1.0, log=True)})
MIXED = SearchSpace(
    {
        "x": Float(-2.0, 2.0),
        "n": Int(1, 8),
        "kind": Choice(("a", "b", "c")),
        "own": Float(0.0, 1.0, when={"kind": ("b",)}),
        "clip": Float(0.1, 10.0, log=True, none=True),
    }
)


def bowl(config):
    """Its least value is 0, at x = 0.7 and y = 0.01."""
    return (config["x"] - 0.7) ** 2 + (math.log10(config["y"]) + 2) ** 2


def sampler(space=SQUARE, seed=0, *, by_level=True, max_resource=9):
    return DistinctSampler(space, seed, AutoProposer(space, seed, by_level, max_resource))


def random_history(length, losses, space=SQUARE):
    """Random configurations; `losses(number, config)` says what became of each."""
    configs = [uniform(space, 1000 + number) for number in range(length)]
    return [Observation(number, config, losses(number, config)) for number, config in enumerate(configs)]


def modelled(seed=0, space=SQUARE, history=(), count=6, **options):
    """Proposals after `history`. One in ten is random, so that a claim about them is about their median."""
    return sampler(space, seed, **options).ask(history, len(history), count)


def true_improvement(z):
    """log E[max(z + u, 0)] for a standard normal u, by integrals whose integrands stay of order one."""
    if z < -1:  # with v = -z (z + u): φ(z) / z² · ∫ v exp(-v - v² / 2z²) dv
        tail, _ = quad(lambda v: v * math.exp(-v - 0.5 * (v / z) ** 2), 0, 60, epsabs=0, epsrel=1e-12)
        return -0.5 * z * z - 0.5 * math.log(2 * math.pi) - 2 * math.log(-z) + math.log(tail)
    inner, _ = quad(lambda v: v * math.exp(-0.5 * (v - z) ** 2), max(z - 12, 0), z + 12, points=[max(z, 0.0)])
    return math.log(inner / math.sqrt(2 * math.pi))


@pytest.mark.parametrize("z", [-1e4, -300, -40, -8, -1.5, -0.5, -1e-9, 0, 1e-9, 0.5, 3, 30])
def test_the_expected_improvement_is_the_integral(z):
    ours = log_expected_improvement(np.array([-2.0 * z]), np.array([4.0]), 0.0)[0]
    assert ours == pytest.approx(math.log(2) + true_improvement(z), rel=1e-9, abs=1e-9)


def test_the_expected_improvement_rises_with_what_is_expected():
    z = np.concatenate([-np.geomspace(1e6, 1e-3, 500), np.geomspace(1e-3, 1e6, 500)])
    gains = log_expected_improvement(-z, np.ones_like(z), 0.0)
    assert np.isfinite(gains).all()
    assert (np.diff(gains) > 0).all()


def run_study(space, objective, length, seed, *, by_level=False):
    asked, history = sampler(space, seed, by_level=by_level), []
    for number in range(length):
        (config,) = asked.ask(history, number, 1)
        history.append(Observation(number, config, {9: objective(config)}))
    return [seen.losses[9] for seen in history]


def test_it_beats_random_search():
    found = [min(run_study(SQUARE, bowl, 25, seed)) for seed in range(3)]
    random = min(seen.losses[9] for seen in random_history(100, lambda _, config: {9: bowl(config)}))
    assert np.median(found) < 0.2 * random, "a hundred random ones do not come near"


def test_it_learns_from_trials_that_were_all_stopped_early():
    history = random_history(30, lambda _, config: {1: bowl(config) + 3})
    assert np.median([bowl(config) for config in modelled(history=history)]) < 0.25
    assert np.median([bowl(seen.config) for seen in history]) > 1


def test_what_was_trained_further_outweighs_the_first_rung():
    """At the first rung x = -1.5 looks best, at the end of a training x = +1.5 is."""

    def losses(number, config):
        first, last = {1: (config["x"] + 1.5) ** 2}, {9: (config["x"] - 1.5) ** 2}
        return first | last if number % 2 else first

    assert np.median([config["x"] for config in modelled(history=random_history(30, losses))]) > 1


def half_diverges(bad):
    return lambda config: bowl(config) if config["x"] > 0 else bad


@pytest.mark.parametrize("bad", [1e18, 1e308, math.inf])
def test_it_finds_its_way_where_half_of_the_space_diverges(bad):
    found = [min(run_study(SQUARE, half_diverges(bad), 30, seed)) for seed in range(5)]
    random = [min(half_diverges(bad)(uniform(SQUARE, 1000 * seed + n)) for n in range(30)) for seed in range(5)]
    assert np.median(found) < 0.5 * np.median(random)


@pytest.mark.parametrize("seed", range(3))
def test_it_leaves_a_corner_that_disappoints(seed):
    """Without a random proposal among them."""
    assert min(run_study(SQUARE, half_diverges(math.inf), 30, seed)) < 0.3


@pytest.mark.parametrize("loss", [0.0, 1e308, -1e308, sys.float_info.min])
def test_losses_that_tell_nothing(loss):
    for config in modelled(space=MIXED, history=random_history(12, lambda *_: {9: loss}, MIXED), count=2):
        MIXED.check(config)


def test_losses_of_both_ends_of_the_floats():
    history = random_history(14, lambda number, _: {9: (-1) ** number * 1e308}, MIXED)
    assert len(modelled(space=MIXED, history=history, count=2)) == 2


def test_what_is_asked_for_together_differs():
    history = random_history(20, lambda _, config: {9: bowl(config)})
    proposals = modelled(history=history, count=12)
    assert len({config_key(SQUARE, config) for config in proposals}) == 12


def test_what_is_asked_for_together_lies_apart():
    proposals = modelled(history=random_history(20, lambda _, config: {9: bowl(config)}), count=12)
    units = np.array([SQUARE.to_unit(config) for config in proposals])
    apart = np.abs(units[:, None] - units[None]).max(2)
    assert apart[np.triu_indices(12, 1)].min() >= APART


def test_where_all_of_a_small_space_is_near_what_is_open_it_still_proposes():
    space = SearchSpace({"n": Int(1, 3), "kind": Choice(("a", "b"))})
    history = random_history(12, lambda number, _: {9: number}, space)
    assert len(modelled(space=space, history=history, count=5)) == 5


def curves(paused):
    """Twenty trials trained to the end, and last one that is paused at the first rung, at `paused`."""
    history = random_history(20, lambda _, config: {1: bowl(config) + 3, 9: bowl(config)})
    last = {"x": 0.7, "y": 0.01} if paused == "best" else {"x": -2.0, "y": 1.0}
    return [*history, Observation(20, last, {1: bowl(last) + 3}, open=True)]


def proposer(space=SQUARE):
    return AutoProposer(space, 0, by_level=True, max_resource=9)


def test_a_paused_trial_that_will_be_the_best_is_promising():
    assert proposer().promising(curves("best"), {20}) == 20
    assert proposer().promising(curves("worst"), {20}) is None


def test_of_several_paused_trials_the_best_is_named_however_many_there_are():
    history = curves("best")
    worse = random_history(200, lambda _, config: {1: bowl(config) + 3})
    history += [Observation(21 + n, seen.config, seen.losses, open=True) for n, seen in enumerate(worse)]
    chosen = proposer().promising(history, range(20, 221))
    assert chosen is not None
    assert bowl(history[chosen].config) < 0.1


@pytest.mark.parametrize("losses", [{1: 0.9}, {1: 0.9, 3: 0.9}])
def test_where_all_losses_are_equal_nothing_is_promising(losses):
    """At chance, say: else every trial would be trained to the end, and early stopping be off."""
    whole = random_history(20, lambda *_: losses | {9: 0.9})
    waiting = [Observation(20 + n, seen.config, losses, open=True) for n, seen in enumerate(whole)]
    assert proposer().promising(waiting_from_zero(waiting), range(20)) is None
    assert proposer().promising([*whole, *waiting], range(20, 40)) is None


def waiting_from_zero(waiting):
    return [Observation(n, seen.config, seen.losses, open=True) for n, seen in enumerate(waiting)]


@pytest.mark.parametrize("length", [60, 600])
def test_a_trial_that_is_bad_itself_is_not_promising_wherever_it_lies(length):
    """However many losses there are: the process is conditioned on few of them, and on this one."""
    history = random_history(length, lambda number, config: curve(bowl(config), 9 if number % 9 == 0 else 1))
    history.append(Observation(length, {"x": 0.7, "y": 0.01}, {1: 9.0}, open=True))
    assert proposer().promising(history, {length}) is None


def curve(end, reach):
    return {rung: end + 1 / rung for rung in (1, 3, 9) if rung <= reach}


def test_nothing_is_promising_before_anything_is_known():
    history = curves("best")
    few = [*history[:5], Observation(5, history[20].config, history[20].losses, open=True)]
    assert proposer().promising(few, {5}) is None
    assert proposer().promising(history, set()) is None


def _ask(seed):
    history = random_history(20, lambda number, config: {1: bowl(config) + 1} | ({9: bowl(config)} if number else {}))
    return modelled(seed, history=history, count=3)


def test_another_process_proposes_the_same():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(_ask, (5,)) == _ask(5)
    assert _ask(5) != _ask(6)


def test_a_thousand_trials():
    def losses(number, config):
        return {rung: bowl(config) + 1 / rung for rung in (1, 3, 9) if number % rung == 0}

    history = random_history(1000, losses)
    assert np.median([bowl(config) for config in modelled(history=history, count=3)]) < 0.1


def test_a_small_space_is_tried_to_its_last_point_and_then_goes_on():
    space = SearchSpace({"n": Int(1, 4), "kind": Choice(("a", "b")), "off": Int(0, 1, none=True)})
    asked, history = sampler(space), []
    for number in range(30):
        (config,) = asked.ask(history, number, 1)
        history.append(Observation(number, config, {9: config["n"] + (config["kind"] == "a")}))
    assert len({config_key(space, seen.config) for seen in history[:24]}) == 24
    assert all(space.contains(seen.config) for seen in history)


def test_trials_of_another_space_are_left_out():
    """What is known lies outside of the space, as after a warm start or a change of it."""
    elsewhere = SearchSpace({"x": Float(5.0, 9.0), "y": Float(1e-4, 1.0, log=True)})
    history = random_history(15, lambda *_: {9: 1.0}, elsewhere)
    assert all(SQUARE.contains(config) for config in modelled(history=history, count=3))


def test_of_two_proposals_in_a_row_each_view_makes_one():
    views = [AutoProposer(SQUARE, 0, True, 9).view(n) for n in range(200)]
    assert all({first, second} == set(VIEWS) for first, second in zip(views[::2], views[1::2], strict=True))
    assert 30 < views[::2].count(VIEWS[0]) < 70


def test_ranks_propose_where_trials_are_ahead_although_nearly_all_are_at_chance():
    """One in twenty leaves chance, by a thousandth; another one had a good loss before it failed."""
    history = random_history(
        120, lambda number, config: {1: 0.693 - 0.001 * (bowl(config) < 0.15), 3: 0.693 - 0.002 * (bowl(config) < 0.05)}
    )
    history.append(Observation(120, {"x": -1.9, "y": 0.9}, {1: 0.1, 3: math.inf}, failed=True))
    asked = AutoProposer(SQUARE, 0, True, 9)
    proposals = [asked.propose(history, n, 0) for n in range(40) if asked.view(n).by_rank]
    assert np.median([bowl(config) for config in proposals]) < 0.3
    assert sum(config["x"] < -1.5 for config in proposals) <= 2 + len(proposals) // 10
