from __future__ import annotations

import functools
from dataclasses import replace

import pytest
import samplers as contract
from samplers import HISTORIES, SPACES

from tuner.search import Sampler, make_sampler
from tuner.space import SearchSpace, axis_to_dict
from tuner.spec import StudySpec


def spec_of(name: str, space: SearchSpace, seed: int, **parts) -> StudySpec:
    return StudySpec.from_dict(
        {
            "study": "contract",
            "objective": "module:objective",
            "metric": {"name": "loss"},
            "space": {axis: axis_to_dict(definition) for axis, definition in space.items()},
            "fixed": dict(space.fixed),
            "sampler": {"name": name},
            "seed": seed,
            **parts,
        }
    )


def make(name: str, space: SearchSpace, seed: int) -> Sampler:
    return make_sampler(spec_of(name, space, seed))


def make_guided(name: str, space: SearchSpace, seed: int) -> Sampler:
    """The sampler with a prior on every axis, and a memory of another study."""
    likely, memory = space.from_unit([0.3] * len(space)), space.from_unit([0.8] * len(space))
    axes = {
        axis: replace(definition, prior=likely.get(axis), sure="high" if likely.get(axis) is not None else "medium")
        for axis, definition in space.items()
    }
    common = {axis: memory[axis] for axis in space if axis in memory}
    remembered = {"study": "old", "trials": 30, "configs": [common]}
    return make_sampler(spec_of(name, SearchSpace(axes, space.fixed), seed, warm_start=["old"], memory=[remembered]))


@pytest.fixture(params=["auto", "random", "grid", "sobol", "tpe", "cmaes", pytest.param("gp", marks=pytest.mark.slow)])
def factory(request):
    return functools.partial(make, request.param)


@pytest.fixture(params=["random", "tpe"])
def guided(request):
    return functools.partial(make_guided, request.param)


@pytest.fixture(params=SPACES)
def space(request):
    return SPACES[request.param]


@pytest.mark.parametrize("kind", HISTORIES)
def test_proposals(factory, space, kind):
    contract.check_proposals(factory, space, kind)


@pytest.mark.parametrize("kind", ["finished", "rungs", "open"])
def test_determinism(factory, space, kind):
    contract.check_determinism(factory, space, kind)


def test_opinions(factory, space):
    contract.check_opinions(factory, space, "rungs")


def test_batches(factory, space):
    """`auto` shares its model and its candidates among the proposals of an ask: each alone would cost a fit."""
    contract.check_batches(factory, space, singly=factory.args != ("auto",))


@pytest.mark.parametrize("kind", HISTORIES)
def test_guided_proposals(guided, space, kind):
    contract.check_proposals(guided, space, kind)


@pytest.mark.parametrize("kind", ["finished", "rungs", "open"])
def test_guided_determinism(guided, space, kind):
    contract.check_determinism(guided, space, kind)


def test_guided_batches_seeds_and_processes(guided, space):
    contract.check_batches(guided, space)
    contract.check_seeds(guided, space)
    contract.check_other_process(guided, space)


def test_seeds(factory, space):
    contract.check_seeds(factory, space)


def test_resume(factory, space):
    contract.check_resume(factory, space)


def test_exhaustion(factory, space):
    contract.check_exhaustion(factory, space)


def test_other_process(factory):
    contract.check_other_process(factory, SPACES["mixed"])


@pytest.mark.parametrize("kind", ["rungs", "infinite"])
def test_the_gaussian_process_in_short(kind):
    """The whole suite takes it a minute: a few of its fits for every run."""
    gp = functools.partial(make, "gp")
    contract.check_proposals(gp, SPACES["mixed"], kind)
    contract.check_determinism(gp, SPACES["line"], kind)


class LastOnly:
    """A user's sampler that breaks the contract: it forgets what is open."""

    def __init__(self, space):
        self._space = space

    def ask(self, history, first, count):
        return [self._space.from_unit([0.5] * len(self._space))] * count

    def promising(self, history, paused):
        return None

    def size(self):
        return None


def test_the_suite_finds_a_sampler_that_repeats_itself():
    with pytest.raises(AssertionError, match="proposed twice"):
        contract.check_sampler(lambda space, seed: LastOnly(space))
