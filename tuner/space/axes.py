"""The axes of a search space: Float, Int, Choice.

Each knows which values it allows (`contains`), how a number of the unit interval becomes one of them (`from_unit`), the
way back (`to_unit`), how many values it has (`cardinality`) and a few evenly spread ones (`grid`). An axis with `none`
may also be off: its value is then None, and `from_unit` gives that the share `NONE_SHARE` of the interval.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tuner.errors import SpecError
from tuner.records import Value

NONE_SHARE = 0.1
"""The share of the unit interval that means "off" on an axis with `none`."""

Condition = Mapping[str, tuple[Value, ...]]
"""name -> the values for which the axis exists; all names must agree."""


@dataclass(frozen=True)
class Float:
    """A real number in [low, high]; `log`: its logarithm is what is searched; `step`: only low + k * step."""

    low: float
    high: float
    log: bool = False
    step: float | None = None
    none: bool = False
    when: Condition | None = None
    prior: float | None = None

    def __post_init__(self) -> None:
        low, high = _number("low", self.low), _number("high", self.high)
        _check_range("float", low, high, self.log, lowest_log=0.0, exclusive=True)
        _check_flags(self)
        object.__setattr__(self, "low", float(low))
        object.__setattr__(self, "high", float(high))
        if self.step is not None:
            step = _number("step", self.step)
            _check_step(low, high, step, self.log, tolerance=1e-9)
            object.__setattr__(self, "step", float(step))
        _settle(self)

    def contains(self, value: Value) -> bool:
        if value is None:
            return self.none
        if isinstance(value, bool | str) or not self.low <= value <= self.high:
            return False
        if self.step is None:
            return True
        steps = (value - self.low) / self.step
        return abs(steps - round(steps)) < 1e-6

    def cardinality(self) -> int | None:
        """How many values the axis has; None if it is continuous."""
        return None if self.step is None else self._steps() + 1 + self.none

    def from_unit(self, unit: float) -> float | None:
        """The value at `unit` in [0, 1)."""
        if self.none:
            if unit < NONE_SHARE:
                return None
            unit = (unit - NONE_SHARE) / (1 - NONE_SHARE)
        if self.step is not None:
            return self._at_step(min(int(unit * (self._steps() + 1)), self._steps()))
        return _clamp(_interpolate(self.low, self.high, unit, self.log), self.low, self.high)

    def to_unit(self, value: Value) -> float:
        """Where `value` lies in [0, 1)."""
        if value is None:
            return NONE_SHARE / 2
        assert isinstance(value, int | float)
        if self.step is not None:
            unit = (round((value - self.low) / self.step) + 0.5) / (self._steps() + 1)
        else:
            unit = _position(self.low, self.high, value, self.log)
        unit = min(unit, 1 - 1e-12)
        return NONE_SHARE + unit * (1 - NONE_SHARE) if self.none else unit

    def grid(self, points: int) -> list[Value]:
        """`points` evenly spread values, both ends among them (the middle, if one); in log space where log."""
        if self.step is None:
            values: list[Value] = [
                _clamp(_interpolate(self.low, self.high, share, self.log), self.low, self.high)
                for share in _shares(points)
            ]
        else:
            steps = sorted({round(share * self._steps()) for share in _shares(points)})
            values = [self._at_step(step) for step in steps]
        return [*values, None] if self.none else values

    def _steps(self) -> int:
        assert self.step is not None
        return round((self.high - self.low) / self.step)

    def _at_step(self, index: int) -> float:
        assert self.step is not None
        return _clamp(self.low + index * self.step, self.low, self.high)


@dataclass(frozen=True)
class Int:
    """A whole number in [low, high], both included; `log` and `step` as in Float."""

    low: int
    high: int
    log: bool = False
    step: int = 1
    none: bool = False
    when: Condition | None = None
    prior: int | None = None

    def __post_init__(self) -> None:
        for name in ("low", "high", "step"):
            _whole(name, getattr(self, name))
        _check_range("int", self.low, self.high, self.log, lowest_log=1, exclusive=False)
        _check_flags(self)
        if self.log and self.step != 1:
            raise SpecError(f"step cannot be combined with log: got step {self.step}", path="step", hint=_STEP_LOG)
        _check_step(self.low, self.high, self.step, log=False, tolerance=0.0)
        _settle(self)

    def contains(self, value: Value) -> bool:
        if value is None:
            return self.none
        if not isinstance(value, int) or isinstance(value, bool):
            return False
        return self.low <= value <= self.high and (value - self.low) % self.step == 0

    def cardinality(self) -> int:
        """How many values the axis has."""
        return (self.high - self.low) // self.step + 1 + self.none

    def from_unit(self, unit: float) -> int | None:
        """The value at `unit` in [0, 1); each has an equal share (in log space: from value - ½ to value + ½)."""
        if self.none:
            if unit < NONE_SHARE:
                return None
            unit = (unit - NONE_SHARE) / (1 - NONE_SHARE)
        if self.log:
            value = _interpolate(self.low - 0.5, self.high + 0.5, unit, log=True)
            return min(max(round(value), self.low), self.high)
        count = (self.high - self.low) // self.step + 1
        return self.low + min(int(unit * count), count - 1) * self.step

    def to_unit(self, value: Value) -> float:
        """Where the middle of `value`'s share lies in [0, 1)."""
        if value is None:
            return NONE_SHARE / 2
        assert isinstance(value, int | float)
        if self.log:
            unit = _position(self.low - 0.5, self.high + 0.5, value, log=True)
        else:
            unit = ((value - self.low) / self.step + 0.5) / ((self.high - self.low) // self.step + 1)
        unit = min(unit, 1 - 1e-12)
        return NONE_SHARE + unit * (1 - NONE_SHARE) if self.none else unit

    def grid(self, points: int) -> list[Value]:
        """At most `points` evenly spread values; fewer where two would be the same number."""
        steps = (self.high - self.low) // self.step
        if self.log:
            values = {round(_interpolate(self.low, self.high, share, log=True)) for share in _shares(points)}
        else:
            values = {self.low + round(share * steps) * self.step for share in _shares(points)}
        return [*sorted(values), None] if self.none else sorted(values)


@dataclass(frozen=True)
class Choice:
    """One of several values, without an order."""

    values: tuple[Value, ...]
    when: Condition | None = None
    prior: Value = None

    def __post_init__(self) -> None:
        if isinstance(self.values, str) or not isinstance(self.values, Sequence):
            raise SpecError(
                f"must be a list of values, got {self.values!r}",
                path="choice",
                hint="For example: [32, 64, 128].",
            )
        object.__setattr__(self, "values", tuple(self.values))
        if not self.values:
            raise SpecError("an empty choice", path="choice", hint="List at least one value.")
        for index, value in enumerate(self.values):
            check_value(value, f"choice[{index}]")
            if any(same_value(value, earlier) for earlier in self.values[:index]):
                raise SpecError(f"{value!r} is listed twice", path=f"choice[{index}]", hint="List each value once.")
        _settle(self)

    def contains(self, value: Value) -> bool:
        return any(same_value(value, allowed) for allowed in self.values)

    def cardinality(self) -> int:
        """How many values the axis has."""
        return len(self.values)

    def from_unit(self, unit: float) -> Value:
        """The value at `unit` in [0, 1)."""
        return self.values[min(int(unit * len(self.values)), len(self.values) - 1)]

    def to_unit(self, value: Value) -> float:
        """The middle of the value's share of [0, 1)."""
        return (self.index(value) + 0.5) / len(self.values)

    def index(self, value: Value) -> int:
        """The position of `value` among the values."""
        return next(i for i, allowed in enumerate(self.values) if same_value(value, allowed))

    def grid(self, points: int) -> list[Value]:
        """All of the values: a choice has no order to thin out."""
        del points
        return list(self.values)


Axis = Float | Int | Choice

_STEP_LOG = "Leave one of the two out."


def same_value(a: Value, b: Value) -> bool:
    """Equality that keeps True from being 1 (1 and 1.0 are the same number)."""
    return isinstance(a, bool) == isinstance(b, bool) and a == b


def check_value(value: Any, path: str) -> None:
    """Raise SpecError unless `value` may be a value of a configuration: a JSON scalar, and finite."""
    if value is not None and not isinstance(value, bool | int | float | str):
        raise SpecError(
            f"{value!r} is a {type(value).__name__}",
            path=path,
            hint="A value is a number, a string, true, false or null. Name the others, and build them in the objective.",
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise SpecError(f"must be finite, got {value}", path=path)


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        hint = (
            "YAML reads 1e-3 as a string: write 1.0e-3." if isinstance(value, str) and _looks_numeric(value) else None
        )
        raise SpecError(f"must be a number, got {value!r}", path=name, hint=hint)
    if not math.isfinite(value):
        raise SpecError(f"must be finite, got {value}", path=name)
    return value


def _looks_numeric(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _whole(name: str, value: Any) -> None:
    _number(name, value)
    if not isinstance(value, int):
        raise SpecError(f"must be a whole number, got {value!r}", path=name, hint="Use float for real numbers.")


def _check_range(kind: str, low: float, high: float, log: bool, *, lowest_log: float, exclusive: bool) -> None:
    if low >= high:
        raise SpecError(
            f"low must be below high, got [{low}, {high}]",
            path=kind,
            hint="A single value belongs under `fixed`." if low == high else f"Write [{high}, {low}].",
        )
    if log and (low <= lowest_log if exclusive else low < lowest_log):
        allowed = "above 0" if exclusive else "at least 1"
        raise SpecError(f"with log, low must be {allowed}, got {low}", path=kind, hint="Raise low, or drop `log`.")


def _check_step(low: float, high: float, step: float, log: bool, tolerance: float) -> None:
    if step <= 0:
        raise SpecError(f"must be above 0, got {step}", path="step")
    if log:
        raise SpecError(f"cannot be combined with log: got step {step}", path="step", hint=_STEP_LOG)
    steps = (high - low) / step
    if steps < 1 or abs(steps - round(steps)) > tolerance * max(1.0, steps):
        fit = low + math.floor(steps) * step if steps >= 1 else low + step
        raise SpecError(
            f"{step} does not divide high - low = {high - low:g}",
            path="step",
            hint=f"high = {fit:g} would fit.",
        )


def _check_flags(axis: Float | Int) -> None:
    for name in ("log", "none"):
        value = getattr(axis, name)
        if not isinstance(value, bool):
            raise SpecError(f"must be true or false, got {value!r}", path=name)


def _settle(axis: Axis) -> None:
    """What all axes share: a condition made of tuples, and a prior that the axis contains."""
    if axis.when is not None:
        object.__setattr__(axis, "when", _condition(axis.when))
    if axis.prior is not None and not axis.contains(axis.prior):
        raise SpecError(
            f"{axis.prior!r} is not a value of the axis", path="prior", hint="Give a value inside its range."
        )


def _condition(when: Any) -> Condition:
    if not isinstance(when, Mapping) or not when:
        raise SpecError(
            f"must map a name to the values it must have, got {when!r}",
            path="when",
            hint="For example: {optimizer: [sgd]}.",
        )
    condition: dict[str, tuple[Value, ...]] = {}
    for name, allowed in when.items():
        values = tuple(allowed) if isinstance(allowed, Sequence) and not isinstance(allowed, str) else (allowed,)
        if not values:
            raise SpecError("an empty list can never hold", path=f"when.{name}", hint="List the values it must have.")
        for value in values:
            check_value(value, f"when.{name}")
        condition[str(name)] = values
    return condition


def _shares(points: int) -> list[float]:
    return [0.5] if points == 1 else [index / (points - 1) for index in range(points)]


def _interpolate(low: float, high: float, share: float, log: bool) -> float:
    if log:
        return math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
    return low * (1 - share) + high * share


def _position(low: float, high: float, value: float, log: bool) -> float:
    if log:
        return (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))
    return value / (high - low) - low / (high - low)


def _clamp(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)
