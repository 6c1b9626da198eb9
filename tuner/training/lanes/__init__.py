"""Lanes: many trials of one Task in one vectorised program, each the training that the trainer makes of it alone."""

from tuner.training.lanes.fusible import Obstacle, obstacles
from tuner.training.lanes.lane import Ended, Lane

__all__ = ["Ended", "Lane", "Obstacle", "obstacles"]
