"""Comparing methods: the same study at an equal budget, repeated, live or replayed."""

from tuner.analysis.compared import Comparison
from tuner.workflows.comparing.compare import compare

__all__ = ["Comparison", "compare"]
