"""Which scale suits some numbers."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

DECADES = 1.3
"""Numbers that span so many decades between their 5th and 95th percentile are better seen on a log axis."""


def suits_log(values: Iterable[float]) -> bool:
    """Whether the finite ones of some numbers are all above 0 and span more than DECADES."""
    numbers = np.asarray(list(values), dtype=np.float64)
    numbers = numbers[np.isfinite(numbers)]
    if numbers.size < 2 or numbers.min() <= 0:
        return False
    low, high = np.quantile(numbers, [0.05, 0.95])
    return bool(np.log10(high / low) > DECADES)
