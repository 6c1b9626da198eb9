"""Comparing methods: the same study at an equal budget, repeated, live or replayed."""

from tuner.workflows.comparing.compare import compare
from tuner.workflows.comparing.comparison import Comparison

__all__ = ["Comparison", "compare"]
