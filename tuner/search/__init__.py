"""Samplers: who proposes the next configuration."""

from tuner.search._base import Observation, Sampler
from tuner.search.factory import make_sampler

__all__ = ["Observation", "Sampler", "make_sampler"]
