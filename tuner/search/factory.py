"""The sampler that a study's description asks for."""

from __future__ import annotations

from tuner.search._base import Sampler
from tuner.spec import StudySpec

RANDOM_SHARE = 0.2
"""Share of a model's proposals that are random where a scheduler compares trials with one another: clustered
proposals would otherwise pass a relative test whatever they are worth (BOHB takes 1/3)."""


def make_sampler(spec: StudySpec) -> Sampler:
    """The sampler of `spec.sampler`, seeded by `spec.seed`; a library is imported when its sampler is made."""
    from tuner.search.distinct import DistinctSampler

    space, seed = spec.space, spec.seed
    by_level = spec.scheduler.name != "none"
    share = RANDOM_SHARE if by_level else 0.0
    match spec.sampler.name:
        case "random":
            from tuner.search.random_search import RandomProposer

            return DistinctSampler(space, seed, RandomProposer(space, seed))
        case "grid":
            from tuner.search.grid import GridSampler

            return GridSampler(space, seed, spec.sampler.points, spec.budget.trials)
        case "sobol":
            from tuner.search.sobol import SobolProposer

            return DistinctSampler(space, seed, SobolProposer(space, seed))
        case "tpe":
            from tuner.search.tpe import TpeProposer

            return DistinctSampler(space, seed, TpeProposer(space, seed, by_level, share), attempts=3)
        case "gp":
            from tuner.search.gp import GpProposer

            return DistinctSampler(space, seed, GpProposer(space, seed, by_level, share))
        case "cmaes":
            from tuner.search.cmaes import CmaesProposer

            return DistinctSampler(space, seed, CmaesProposer(space, seed, by_level), attempts=3)
