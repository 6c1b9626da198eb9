"""Where a value lies between two bounds, and which value lies where; in floats that neither overflow nor drift.

Steps are counted in decimal, as they were written: 0 + 3 * 0.1 is 0.3 and not 0.30000000000000004.
"""

from __future__ import annotations

import math
from decimal import Decimal

BELOW_ONE = math.nextafter(1.0, 0.0)
"""The largest coordinate of the unit interval [0, 1)."""

_WIDE = 300.0
"""Exponents beyond this are added to a bound's logarithm instead of multiplied with the bound: exp() ends at 709."""


def interpolate(low: float, high: float, share: float, log: bool) -> float:
    """The value at `share` of the way from low to high, at most an end of it; both ends are met exactly."""
    if not log or narrow(low, high):
        return clamp(low * (1 - share) + high * share, low, high)
    # From the nearer end: the error of exp(x) grows with |x|.
    ratio = _log_ratio(high, low)
    anchor, offset = (low, share * ratio) if share <= 0.5 else (high, (share - 1) * ratio)
    value = anchor * math.exp(offset) if abs(offset) < _WIDE else math.exp(math.log(anchor) + offset)
    return clamp(value, low, high)


def position(low: float, high: float, value: float, log: bool) -> float:
    """The share of the way from low to high at which `value` lies: the inverse of `interpolate`."""
    if log and not narrow(low, high):
        return _log_ratio(value, low) / _log_ratio(high, low)
    if math.isinf(high - low):
        low, high, value = low / 2, high / 2, value / 2
    return (value - low) / (high - low)


def narrow(low: float, high: float) -> bool:
    """Whether a logarithm is a straight line between two positive bounds, but for rounding: a straight line it is."""
    return high - low <= 1e-6 * low


def _log_ratio(a: float, b: float) -> float:
    ratio = a / b
    # The quotient keeps what the difference of two logarithms would cancel; it may leave the floats, they never do.
    return math.log(ratio) if 1e-300 < ratio < math.inf else math.log(a) - math.log(b)


def clamp(value: float, low: float, high: float) -> float:
    """The nearest number in [low, high]."""
    return min(max(value, low), high)


def shares(points: int) -> list[float]:
    """`points` evenly spread numbers in [0, 1], both ends among them; the middle, if one."""
    return [0.5] if points == 1 else [index / (points - 1) for index in range(points)]


def steps_between(low: float, high: float, step: float) -> float:
    """(high - low) / step, in decimal."""
    return float((_decimal(high) - _decimal(low)) / _decimal(step))


def at_step(low: float, high: float, step: float, index: int) -> float:
    """The value `index` steps above low, in decimal."""
    return clamp(float(_decimal(low) + index * _decimal(step)), low, high)


def _decimal(number: float) -> Decimal:
    return Decimal(repr(float(number)))
