"""Samplers: who proposes the next configuration."""

from tuner.search._base import Observation, Sampler

__all__ = ["Observation", "Sampler"]
