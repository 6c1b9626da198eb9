"""What the bounds, steps, conditions and values of an axis must be; each a SpecError with the remedy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tuner.errors import SpecError, shown
from tuner.records import Value
from tuner.space.frozen import FrozenDict
from tuner.space.scale import steps_between

Condition = Mapping[str, tuple[Value, ...]]
"""name -> the values for which the axis exists; all names must agree."""

INT_LIMIT = 2**63 - 1
"""Whole numbers fit in 64 bits, as databases and tensors keep them."""


def same_value(a: Value, b: Value) -> bool:
    """Equality that keeps True from being 1 (1 and 1.0 are the same number)."""
    return isinstance(a, bool) == isinstance(b, bool) and a == b


def check_value(value: Any, path: str) -> None:
    """Raise SpecError unless `value` may be a value of a configuration: a JSON scalar, and finite."""
    if value is not None and not isinstance(value, bool | int | float | str):
        raise SpecError(
            f"{shown(value)} is a {type(value).__name__}",
            path=path,
            hint="A value is a number, text, true, false or null. Name the others, and build them in the objective.",
        )
    if isinstance(value, str):
        _check_text(value, path)
    elif value is not None:
        _check_size(value, path)


def check_name(name: Any, path: str) -> None:
    """Raise SpecError unless `name` may name an axis or a fixed value."""
    if not isinstance(name, str) or not name:
        raise SpecError(f"a name must be a non-empty string, got {shown(name)}", path=path, hint="Quote it.")
    _check_text(name, path)


def _check_text(text: str, path: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise SpecError(f"{shown(text)} is not valid Unicode", path=path, hint="Remove the lone surrogate.") from None


def _check_size(value: float, path: str) -> None:
    if isinstance(value, int) and abs(value) > INT_LIMIT:
        raise SpecError(
            f"must fit in 64 bits, got {shown(value)}", path=path, hint="Write it as a real number: 1.0e30."
        )
    if not math.isfinite(value):
        raise SpecError(f"must be finite, got {value}", path=path, hint="Give a bound that can be reached.")


def check_number(name: str, value: Any) -> None:
    """Raise SpecError unless `value` is a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        hint = "Write it without quotes." if isinstance(value, str) and _looks_numeric(value) else None
        raise SpecError(f"must be a number, got {shown(value)}", path=name, hint=hint)
    _check_size(value, name)


def _looks_numeric(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def check_whole(name: str, value: Any) -> None:
    """Raise SpecError unless `value` is a whole number."""
    check_number(name, value)
    if not isinstance(value, int):
        raise SpecError(f"must be a whole number, got {value!r}", path=name, hint="Use float for real numbers.")


def check_range(kind: str, low: float, high: float) -> None:
    """Raise SpecError unless low < high."""
    if low >= high:
        raise SpecError(
            f"low must be below high, got [{low}, {high}]",
            path=kind,
            hint="A single value belongs under `fixed`." if low == high else f"Write [{high}, {low}].",
        )


def check_flag(name: str, value: Any) -> None:
    """Raise SpecError unless `value` is a bool."""
    if not isinstance(value, bool):
        raise SpecError(f"must be true or false, got {shown(value)}", path=name)


def check_log(kind: str, low: float, log: bool, allowed: str, fits: bool) -> None:
    """Raise SpecError if the axis is searched in its logarithm and `low` has none."""
    if log and not fits:
        raise SpecError(f"with log, low must be {allowed}, got {low}", path=kind, hint="Raise low, or drop `log`.")


def check_step(low: float, high: float, step: float, log: bool) -> None:
    """Raise SpecError unless whole steps lead from low to high, each to a number of its own."""
    if step <= 0:
        raise SpecError(f"must be above 0, got {step}", path="step")
    if log:
        raise SpecError(f"cannot be combined with log: got step {step}", path="step", hint="Leave one of the two out.")
    whole = isinstance(low, int) and isinstance(high, int) and isinstance(step, int)
    if not whole and step < 8 * math.ulp(max(abs(low), abs(high))):
        raise SpecError(f"{step} is lost in rounding at {max(abs(low), abs(high))}", path="step", hint="Take more.")
    fits = (high - low) % step == 0 if whole else _whole_steps(low, high, step)
    if not fits:
        steps = max(1, math.floor((high - low) // step if whole else steps_between(low, high, step)))
        raise SpecError(
            f"{step} does not divide high - low = {high - low:g}", path="step", hint=_fitting(low, step, steps)
        )


def _whole_steps(low: float, high: float, step: float) -> bool:
    steps = steps_between(low, high, step)
    return round(steps) >= 1 and abs(steps - round(steps)) <= 1e-9 * max(1.0, steps)


def _fitting(low: float, step: float, steps: int) -> str:
    return f"high = {low + steps * step:g} would fit."


def frozen_condition(when: Any) -> Condition:
    """A condition as it is kept: name -> tuple of values. A single value stands for a list of one."""
    if not isinstance(when, Mapping) or not when:
        raise SpecError(
            f"must map a name to the values it must have, got {shown(when)}",
            path="when",
            hint="For example: {optimizer: [sgd]}.",
        )
    condition: dict[str, tuple[Value, ...]] = {}
    for name, allowed in when.items():
        check_name(name, "when")
        values = tuple(allowed) if isinstance(allowed, Sequence) and not isinstance(allowed, str) else (allowed,)
        if not values:
            raise SpecError("an empty list can never hold", path=f"when.{name}", hint="List the values it must have.")
        for value in values:
            check_value(value, f"when.{name}")
        condition[name] = values
    return FrozenDict(condition)
