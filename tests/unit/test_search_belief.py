"""Beliefs and the share of proposals they get: good where they are right, and soon forgotten where they are wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import axes, search_spaces, units

from objectives.synthetic import expected_loss, optimum
from tuner.control import first_configs
from tuner.search import Observation, make_sampler
from tuner.search.belief import Belief, bump
from tuner.search.distinct import uniform
from tuner.search.guided import LARGEST_SHARE, GuidedProposer, share_of
from tuner.search.keys import config_key
from tuner.search.random_search import RandomProposer
from tuner.seeds import derive_seed
from tuner.space import Choice, Float, SearchSpace
from tuner.spec import StudySpec

EPOCHS = 9
SPACE = {
    "lr": {"float": [1e-5, 1.0], "log": True},
    "weight_decay": {"float": [1e-6, 0.1], "log": True},
    "speed": {"float": [0.1, 2.0]},
}
RIGHT = {"lr": 2e-2, "weight_decay": 5e-5, "speed": 1.0}
WRONG = {"lr": 3e-5, "weight_decay": 5e-2, "speed": 0.2}


def regrets(sampler, prior, seed, trials):
    """The regret after each of a study's trials, one after the other."""
    space = {name: {**axis, **({"prior": prior[name]} if prior else {})} for name, axis in SPACE.items()}
    data = {"study": "s", "objective": "m:f", "metric": {"name": "x"}, "seed": seed, "space": space}
    data |= {"sampler": {"name": sampler}, "scheduler": {"name": "none", "max_resource": EPOCHS}}
    spec = StudySpec.from_dict(data)
    sampler, queue, history, best = make_sampler(spec), first_configs(spec), [], math.inf
    lowest, seen = expected_loss(optimum(EPOCHS), EPOCHS), []
    for number in range(trials):
        config = queue[number] if number < len(queue) else sampler.ask(history, number - len(queue), 1)[0]
        loss = expected_loss(config, EPOCHS)
        history.append(Observation(number, config, {EPOCHS: loss}))
        best = min(best, loss)
        seen.append(best - lowest)
    return seen


def mean_regret(sampler, prior, trials, seeds=24):
    return np.mean([regrets(sampler, prior, seed, trials)[-1] for seed in range(seeds)])


def test_a_right_prior_helps_random_search_all_along():
    assert mean_regret("random", RIGHT, 8) < 0.5 * mean_regret("random", None, 8)
    assert mean_regret("random", RIGHT, 32) < 0.7 * mean_regret("random", None, 32)


def test_a_wrong_prior_costs_random_search_little():
    assert mean_regret("random", WRONG, 48) < 1.3 * mean_regret("random", None, 48)


def test_a_right_prior_helps_tpe_at_the_start():
    assert mean_regret("tpe", RIGHT, 8) < 0.5 * mean_regret("tpe", None, 8)


def test_a_wrong_prior_costs_tpe_little():
    assert mean_regret("tpe", WRONG, 32, seeds=16) < 1.3 * mean_regret("tpe", None, 32, seeds=16)


def judged(own, others):
    """Whose the trials of the given losses are, from best to worst; of equal ones the belief's come first."""
    told = [(loss, True) for loss in own] + [(loss, False) for loss in others]
    return [is_own for _, is_own in sorted(told, key=lambda trial: trial[0])]


def test_the_share_follows_what_the_belief_has_done():
    even = share_of(judged(range(0, 16, 2), range(1, 16, 2)))
    assert 0.2 < even < 0.4
    assert share_of(judged(range(10), range(10, 20))) == LARGEST_SHARE
    assert share_of(judged(range(10, 20), range(10))) < 0.005
    assert share_of(judged([3], [0, 1, 2])) < 0.3, "four trials are enough to lean"
    later = share_of(judged(range(0, 200, 2), range(1, 200, 2)))
    assert later < even / 2, "as good as the sampler is no reason to stay"


def test_failures_count_against_the_belief():
    space = SearchSpace({"x": Float(0.0, 1.0)})
    belief = Belief(space, [[[bump(space["x"], 0.9, 0.05, 1.0)]]])
    guided = GuidedProposer(space, 0, RandomProposer(space, 0), belief, [], by_level=False)
    own = [belief.draw(derive_seed(0, "belief", n)) for n in range(6)]
    others = [uniform(space, n) for n in range(6)]
    history = [Observation(n, config, {9: 1.0}) for n, config in enumerate(others)]
    history += [Observation(6 + n, config, failed=True) for n, config in enumerate(own)]
    assert guided.batch(history).share(6) < 0.02
    assert guided.batch(history).share(0) > 0.1, "nothing of it was tried"


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_the_share_is_one_whatever_was_seen(own):
    assert 0 <= share_of(own) <= LARGEST_SHARE
    turned = share_of([not is_own for is_own in own])
    assert min(share_of(own), turned) <= 10 / (20 + len(own)) + 1e-9, "only one of two can be ahead"


@given(axes(), units, units, units, st.sampled_from([0.03, 0.3, math.inf]))
def test_a_bump_stays_on_its_axis(axis, unit, which, share, spread):
    value = axis.from_unit(unit)
    found = axis.from_unit(bump(axis, value, spread, 0.65).at(which, share))
    assert axis.contains(found)


def test_a_bump_is_a_truncated_normal():
    narrow = bump(Float(0.0, 1.0), 0.1, 0.15, 0.0)
    drawn = np.array([narrow.at(0.0, share) for share in (np.arange(4000) + 0.5) / 4000])
    normal = np.random.default_rng(0).normal(0.1, 0.15, 100_000)
    kept = normal[(normal >= 0) & (normal < 1)]
    for share in (0.05, 0.25, 0.5, 0.75, 0.95):
        assert np.quantile(drawn, share) == pytest.approx(np.quantile(kept, share), abs=0.005)


def test_a_favoured_choice_has_its_weight_and_the_others_the_rest():
    space = SearchSpace({"c": Choice(("a", "b", "c", "d"))})
    belief = Belief(space, [[[bump(space["c"], "b", math.inf, 0.65)]]])
    drawn = [belief.draw(seed)["c"] for seed in range(4000)]
    assert drawn.count("b") / 4000 == pytest.approx(0.65 + 0.35 / 4, abs=0.03)
    assert drawn.count("d") / 4000 == pytest.approx(0.35 / 4, abs=0.02)


@given(search_spaces(), st.integers(0, 2**63 - 1))
def test_draws_lie_in_the_space(space, seed):
    kernel = [bump(axis, axis.from_unit(0.3), 0.1, 0.65) for axis in space.values()]
    config = Belief(space, [[kernel], [[None] * len(space)]]).draw(seed)
    space.check(config)


def test_the_beliefs_own_trials_are_known_whatever_was_asked_when():
    space = SearchSpace({"x": Float(0.0, 1.0)})
    belief = Belief(space, [[[bump(space["x"], 0.9, 0.05, 1.0)]]])
    first = [{"x": 0.9}]

    def guided():
        return GuidedProposer(space, 0, RandomProposer(space, 0), belief, first, by_level=False)

    live, history, own = guided(), [Observation(0, first[0], {1: 0.1})], {config_key(space, first[0])}
    for n in range(40):
        config = live.propose(history, n, 0)
        assert config == guided().propose(history, n, 0), "a function of (history, n)"
        if config != RandomProposer(space, 0).propose(history, n, 0):
            own.add(config_key(space, config))
        history.append(Observation(n + 1, config, {1: abs(config["x"] - 0.9)}))
    assert len(own) > 10
    ranked = sorted(history, key=lambda seen: seen.losses[1])
    expected = share_of([config_key(space, seen.config) in own for seen in ranked])
    assert guided().batch(history).share(40) == expected == LARGEST_SHARE
