"""The model's part of a configuration: a value of the right kind, or a SpecError that names its key."""

from __future__ import annotations

from collections.abc import Sequence

from tuner.errors import SpecError, did_you_mean, shown
from tuner.records import Config


def count(config: Config, name: str, default: int) -> int:
    """A whole number of at least 1."""
    value = config.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise SpecError(
            f"must be a whole number of at least 1, got {shown(value)}", path=name, hint=f"For example {default}."
        )
    return value


def probability(config: Config, name: str, default: float = 0.0) -> float:
    """A number from 0 to below 1, such as a dropout."""
    value = config.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise SpecError(
            f"must be a number of at least 0 and below 1, got {shown(value)}", path=name, hint=f"For example {default}."
        )
    return float(value)


def word(config: Config, name: str, default: str, allowed: Sequence[str]) -> str:
    """One of the words `allowed`."""
    value = config.get(name, default)
    if not isinstance(value, str) or value not in allowed:
        raise SpecError(
            f"must be one of {', '.join(allowed)}, got {shown(value)}",
            path=name,
            hint=did_you_mean(str(value), allowed),
        )
    return value
