"""The sampler that a study's description asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tuner.search._base import Sampler
from tuner.spec import StudySpec

if TYPE_CHECKING:
    from tuner.search.batches import Proposer

RANDOM_SHARE = 0.2
"""Share of a model's proposals that are random where a scheduler compares trials with one another: clustered
proposals would otherwise pass a relative test whatever they are worth (BOHB takes 1/3)."""

ATTEMPTS = {"tpe": 3, "cmaes": 3}
"""sampler -> how often it is asked for a configuration that was not tried before; once, if it is not named."""


def make_sampler(spec: StudySpec) -> Sampler:
    """The sampler of `spec.sampler`, seeded by `spec.seed`; a library is imported when its sampler is made.

    A share of its proposals comes from what is believed of the space (priors, studies remembered), if anything is: of
    every sampler's but the grid's, which has its own points to visit.
    """
    space, seed = spec.space, spec.seed
    if spec.sampler.name == "grid":
        from tuner.search.grid import GridSampler

        return GridSampler(space, seed, spec.sampler.points, spec.budget.trials)
    from tuner.search.distinct import DistinctSampler

    proposer = _proposer(spec)
    attempts = ATTEMPTS.get(spec.sampler.name, 1)
    return DistinctSampler(space, seed, _guided(spec, proposer), attempts, inner=proposer)


def _guided(spec: StudySpec, proposer: Proposer) -> Proposer:
    from tuner.search.warm import belief_of, believed_configs

    belief = belief_of(spec)
    if belief is None:
        return proposer
    from tuner.search.guided import GuidedProposer

    first = believed_configs(spec)
    return GuidedProposer(spec.space, spec.seed, proposer, belief, first, by_level=_by_level(spec))


def _proposer(spec: StudySpec) -> Proposer:
    space, seed, by_level = spec.space, spec.seed, _by_level(spec)
    share = RANDOM_SHARE if by_level else 0.0
    match spec.sampler.name:
        case "auto":
            from tuner.search.auto import AutoProposer

            return AutoProposer(space, seed, by_level, spec.scheduler.max_resource)
        case "random":
            from tuner.search.random_search import RandomProposer

            return RandomProposer(space, seed)
        case "sobol":
            from tuner.search.sobol import SobolProposer

            return SobolProposer(space, seed)
        case "tpe":
            from tuner.search.tpe import TpeProposer

            return TpeProposer(space, seed, by_level, share)
        case "gp":
            from tuner.search.gp import GpProposer

            return GpProposer(space, seed, by_level, share)
        case "cmaes":
            from tuner.search.cmaes import CmaesProposer

            return CmaesProposer(space, seed, by_level)
        case "grid":
            raise ValueError("a grid is no proposer")


def _by_level(spec: StudySpec) -> bool:
    """Whether a scheduler judges trials on the way."""
    return spec.scheduler.name != "none"
