"""Which of a trial's checkpoints is its best: one rule for the ledger, which keeps it, and for those who load it."""

from __future__ import annotations

import math
from collections.abc import Mapping


def best_of(losses: Mapping[int, float]) -> int | None:
    """The resource of the lowest of `losses` (resource -> loss of the report there), the first of equal ones.

    None if none is finite.
    """
    finite = [(loss, resource) for resource, loss in losses.items() if math.isfinite(loss)]
    return min(finite)[1] if finite else None
