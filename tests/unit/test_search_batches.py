"""Proposals that are asked for together: what `auto` shares among them, and that it learns from them as it should."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.search import Observation, views
from tuner.search.auto import MOST_FOLLOWED, AutoProposer
from tuner.search.believer import Believer
from tuner.search.distinct import DistinctSampler, uniform
from tuner.search.fidelity_process import FidelityProcess, Hyperparameters, Points, Prior
from tuner.search.keys import PerConfig, config_key
from tuner.search.past import Archive
from tuner.space import Choice, Float, SearchSpace

CUBE = SearchSpace({f"x{axis}": Float(0.0, 1.0) for axis in range(4)})
MIXED = SearchSpace({"x": Float(0.0, 1.0), "kind": Choice(("a", "b")), "clip": Float(0.1, 10.0, none=True)})


def valley(config):
    """Least at 0.3 along all axes, and steeper along the first ones."""
    return sum((value - 0.3) ** 2 / (1 + axis) for axis, value in enumerate(config.values()))


def studied(length, space=CUBE, objective=valley):
    """Random trials under ASHA: the best third of them went on, the others wait."""
    configs = [uniform(space, 500 + number) for number in range(length)]
    ends = [objective(config) for config in configs]
    third = np.quantile(ends, 1 / 3) if ends else 0.0
    return [
        Observation(number, config, {1: end + 1} | ({3: end + 0.3} if end < third else {}), open=True)
        for number, (config, end) in enumerate(zip(configs, ends, strict=True))
    ]


def asked(history, count, seed=0, space=CUBE):
    sampler = DistinctSampler(space, seed, AutoProposer(space, seed, by_level=True, max_resource=9))
    return sampler.ask(history, len(history), count)


def one_by_one(history, count, seed=0):
    seen = list(history)
    for _ in range(count):
        seen.append(Observation(len(seen), asked(seen, 1, seed)[0], open=True))
    return [observation.config for observation in seen[len(history) :]]


def points(rng, n, trial, t=None):
    return Points(rng.random((n, 3)), rng.choice([0.0, 0.5, 1.0], n) if t is None else np.full(n, t), trial)


@given(st.integers(0, 10_000), st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_a_believer_is_the_process_that_had_known_from_the_start(seed, portions):
    """However what is expected is told, at once or bit by bit; and what was foreseen before is brought up to date."""
    rng = np.random.default_rng(seed)
    process = FidelityProcess(
        Hyperparameters(3, Prior(0.7, 0.01, 1.0)), points(rng, 12, np.arange(12.0)), rng.random(12)
    )
    ends = points(rng, 9, np.full(9, -1.0), 1.0)
    believer, pending = Believer(process), points(rng, 0, np.arange(0.0))
    foreseen = believer.foresee(ends)
    for portion in portions:
        more = points(rng, portion, 100.0 + len(pending) + np.arange(portion))
        believer.expect(more)
        pending += more
        foreseen.update()
    mean, variance = process.expecting(pending).predict(ends)
    for told in ((foreseen.mean, foreseen.variance), believer.predict(ends)):
        assert told[0] == pytest.approx(mean, abs=1e-8)
        assert told[1] == pytest.approx(variance, abs=1e-8)
    assert foreseen.mean == pytest.approx(process.predict(ends)[0], abs=1e-12), "it learns nothing of what it expects"
    assert (foreseen.variance < process.predict(ends)[1] + 1e-12).all()


@pytest.mark.parametrize("n_before", [0, 12, 40])
def test_the_first_of_a_batch_is_what_would_be_asked_alone(n_before):
    history = studied(n_before)
    for seed in range(4):
        assert asked(history, 8, seed)[0] == asked(history, 1, seed)[0]


def test_a_large_batch_takes_one_fit_for_each_view(monkeypatch):
    fits, fit = [], views.fit

    def counted(*arguments):
        fits.append(arguments)
        return fit(*arguments)

    monkeypatch.setattr(views, "fit", counted)
    count = 3 * MOST_FOLLOWED
    assert len(asked(studied(60), count)) == count
    assert len(fits) == 2


def test_a_large_batch_repeats_nothing_and_stays_apart():
    proposals = asked(studied(60), 3 * MOST_FOLLOWED)
    assert len({config_key(CUBE, config) for config in proposals}) == len(proposals)
    units = np.array([CUBE.to_unit(config) for config in proposals])
    apart = np.abs(units[:, None] - units[None]).max(2)[np.triu_indices(len(units), 1)]
    assert (apart < 0.02).mean() < 0.001, "but for the random ones, which look at nobody"


def test_a_batch_gains_nearly_what_is_gained_one_by_one():
    """By the better half of 32 proposals, of which half look for the unknown: the medians of three studies."""
    history = studied(60)
    together = [np.median(sorted(map(valley, asked(history, 32, seed)))[:16]) for seed in range(3)]
    singly = [np.median(sorted(map(valley, one_by_one(history, 32, seed)))[:16]) for seed in range(3)]
    at_random = np.median([valley(uniform(CUBE, number)) for number in range(200)])
    assert at_random - np.median(together) > 0.97 * (at_random - np.median(singly))


def test_a_batch_in_a_small_space_takes_all_of_it():
    space = SearchSpace({"kind": Choice(("a", "b", "c", "d")), "on": Choice((True, False)), "n": Choice((1, 2, 3))})
    history = studied(12, space, lambda config: config["n"])
    proposals = asked(history, 20, space=space)
    tried = {config_key(space, seen.config) for seen in history}
    new = {config_key(space, config) for config in proposals} - tried
    assert len(new) == min(20, 24 - len(tried))


losses_at_rungs = st.dictionaries(st.sampled_from([1, 3, 7, 9]), st.sampled_from([0.1, 0.2, math.inf]))


@given(st.lists(st.tuples(st.integers(0, 7), losses_at_rungs, st.booleans(), st.integers(0, 3)), max_size=30))
def test_what_is_kept_of_a_study_is_what_is_read_of_it_anew(steps):
    """Trials come, change and go; one configuration is not of the space."""
    configs = [*(uniform(MIXED, number) for number in range(3)), {"x": 7.0, "kind": "a", "clip": None}]
    lasting, history = Archive(MIXED, 9), []
    for place, losses, is_open, config in steps:
        number = min(place, len(history))
        history[number : number + 1] = [Observation(number, configs[config], losses, open=is_open, failed=not losses)]
        if place == 7:
            history = history[: number // 2]
        kept, anew = lasting(history), Archive(MIXED, 9)(history)
        assert len(kept) == len(history)
        assert kept.known.tolist() == anew.known.tolist()
        assert kept.least.tolist() == anew.least.tolist() == [min(history[n].losses.values()) for n in anew.known]
        for ours, theirs in zip(kept.under_way(5, kept.units[:1]), anew.under_way(5, anew.units[:1]), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        columns = [kept.resources.index(resource) for resource in anew.resources]
        np.testing.assert_array_equal(kept.losses[:, columns], anew.losses)
        np.testing.assert_array_equal(kept.units, anew.units)


def test_what_is_worked_out_per_configuration_follows_a_history_that_changes():
    worked_out = []

    def compute(config):
        worked_out.append(config["x"])
        return config["x"] * 2

    per_config = PerConfig(compute)
    first = [Observation(number, {"x": number}) for number in range(4)]
    assert per_config(first) == [0, 2, 4, 6]
    assert per_config(first[:2]) == [0, 2]
    again = [*first[:1], Observation(1, {"x": 9}), Observation(2, first[2].config, {1: 0.5}), first[3]]
    assert per_config([*again, Observation(4, {"x": 5})]) == [0, 18, 4, 6, 10]
    assert worked_out == [0, 1, 2, 3, 9, 5]
