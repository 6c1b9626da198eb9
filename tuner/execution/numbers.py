"""What objectives say in numbers, as floats: from plain numbers, and from arrays or tensors of one element."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

from tuner.errors import UserMistake, shown

MAX_METRICS = 1000
"""A report of more metrics than this is refused: it is data, and belongs into a file in `trial.folder`."""


MAX_NAME = 200
"""Characters of a metric's name."""


def as_floats(metrics: Mapping[str, Any]) -> dict[str, float]:
    """A report's metrics. Raises UserMistake for what is no number, and for too many, or under no good name."""
    if len(metrics) > MAX_METRICS:
        raise UserMistake(
            f"trial.report: {len(metrics)} metrics in one report, {MAX_METRICS} at most",
            hint="Keep arrays as files in trial.folder.",
        )
    return {_checked(name): as_float("trial.report", name, value) for name, value in metrics.items()}


def _checked(name: str) -> str:
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise UserMistake(
            f"trial.report: a metric's name is 1 to {MAX_NAME} characters that can be printed, got {shown(name)}"
        )
    return name


def as_column(name: str, values: Sequence[Any]) -> tuple[float, ...]:
    """A curve's column: a sequence of numbers, an array or a tensor of one dimension. Raises UserMistake."""
    listed = values.tolist() if hasattr(values, "tolist") else values
    if isinstance(listed, str | bytes) or not isinstance(listed, Sequence):
        raise UserMistake(f"trial.attach: {name} must be a sequence of numbers, got {values!r}")
    return tuple(as_float("trial.attach", name, value) for value in listed)


def as_float(call: str, name: str, value: Any) -> float:
    """One number; None is NaN. Raises UserMistake, which names the `call` and the number."""
    if not isinstance(value, float | int) and hasattr(value, "item") and not isinstance(value, str):
        try:
            value = value.item()
        except (ValueError, RuntimeError) as error:
            raise UserMistake(f"{call}: {name} must be a single number, got {error}") from None
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise UserMistake(f"{call}: {name} must be a number, got {value!r}", hint="Give numbers only.")
    try:
        return float(value)
    except OverflowError:
        raise UserMistake(f"{call}: {name} is too large for a float") from None
