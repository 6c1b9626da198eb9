"""The axes of a search space: Float, Int, Choice.

Each knows which values it allows (`contains`), how a number of the unit interval becomes one of them (`from_unit`), the
way back (`to_unit`), how many values it has (`cardinality`) and a few evenly spread ones (`grid`). An axis with `none`
may also be off: its value is then None, and `from_unit` gives that the share `NONE_SHARE` of the interval.

`prior` is a value that is thought to be good, and `sure` says how sure that is: the study tries it first, and searches
around it as long as that pays (tuner/search/belief.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from tuner.errors import SpecError, did_you_mean, shown
from tuner.records import Value
from tuner.space.checks import (
    Condition,
    check_flag,
    check_log,
    check_number,
    check_range,
    check_step,
    check_value,
    check_whole,
    frozen_condition,
    same_value,
)
from tuner.space.scale import BELOW_ONE, at_step, clamp, interpolate, narrow, position, shares, steps_between

NONE_SHARE = 0.1
"""The share of the unit interval that means "off" on an axis with `none`."""

Sure = Literal["low", "medium", "high"]
"""How sure a person is of an axis's `prior`."""


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
    sure: Sure = "medium"

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            check_number(name, getattr(self, name))
            object.__setattr__(self, name, float(getattr(self, name)))
        for name in ("log", "none"):
            check_flag(name, getattr(self, name))
        check_range("float", self.low, self.high)
        check_log("float", self.low, self.log, "above 0", self.low > 0)
        if self.step is not None:
            check_number("step", self.step)
            object.__setattr__(self, "step", float(self.step))
            check_step(self.low, self.high, self.step, self.log)
        _settle(self)
        if self.prior is not None:
            object.__setattr__(self, "prior", float(self.prior))

    def contains(self, value: Value) -> bool:
        if value is None:
            return self.none
        if isinstance(value, bool | str) or not self.low <= value <= self.high:
            return False
        if self.step is None:
            return True
        return abs(value - self._at_step(self._index(value))) <= 1e-6 * self.step

    def cardinality(self) -> int | None:
        """How many values the axis has; None if it is continuous."""
        return None if self.step is None else self._steps() + 1 + self.none

    def from_unit(self, unit: float) -> float | None:
        """The value at `unit` in [0, 1)."""
        if self.none:
            if unit < NONE_SHARE:
                return None
            unit = _after_none(unit)
        if self.step is not None:
            return self._at_step(min(int(unit * (self._steps() + 1)), self._steps()))
        return interpolate(self.low, self.high, unit, self.log)

    def to_unit(self, value: Value) -> float:
        """Where `value` lies in [0, 1); the middle of its share, if it has one."""
        if value is None:
            return NONE_SHARE / 2
        assert isinstance(value, int | float)
        if self.step is not None:
            unit = (self._index(value) + 0.5) / (self._steps() + 1)
        else:
            unit = position(self.low, self.high, value, self.log)
        return _on_unit(unit, self.none)

    def grid(self, points: int) -> list[Value]:
        """`points` evenly spread values, both ends among them (the middle, if one); in log space where log. Fewer where
        two would be the same number; None besides, if the axis may be off.
        """
        if self.step is None:
            values = {interpolate(self.low, self.high, share, self.log) for share in shares(points)}
        else:
            values = {self._at_step(round(share * self._steps())) for share in shares(points)}
        return _with_none(sorted(values), self.none)

    def _steps(self) -> int:
        assert self.step is not None
        return round(steps_between(self.low, self.high, self.step))

    def _index(self, value: float) -> int:
        assert self.step is not None
        return round(steps_between(self.low, value, self.step))

    def _at_step(self, index: int) -> float:
        assert self.step is not None
        return self.high if index == self._steps() else at_step(self.low, self.high, self.step, index)


@dataclass(frozen=True)
class Int:
    """A whole number in [low, high], both included; `log` and `step` as in Float.

    The unit interval has 53 bits: on an axis of more values than that, `from_unit` skips some.
    """

    low: int
    high: int
    log: bool = False
    step: int = 1
    none: bool = False
    when: Condition | None = None
    prior: int | None = None
    sure: Sure = "medium"

    def __post_init__(self) -> None:
        for name in ("low", "high", "step"):
            check_whole(name, getattr(self, name))
        for name in ("log", "none"):
            check_flag(name, getattr(self, name))
        check_range("int", self.low, self.high)
        check_log("int", self.low, self.log, "at least 1", self.low >= 1)
        check_step(self.low, self.high, self.step, log=self.log and self.step != 1)
        _settle(self)

    def contains(self, value: Value) -> bool:
        if value is None:
            return self.none
        if not isinstance(value, int) or isinstance(value, bool):
            return False
        return self.low <= value <= self.high and (value - self.low) % self.step == 0

    def cardinality(self) -> int:
        """How many values the axis has."""
        return self._steps() + 1 + self.none

    def from_unit(self, unit: float) -> int | None:
        """The value at `unit` in [0, 1); each has an equal share (in log space: from value - ½ to value + ½)."""
        if self.none:
            if unit < NONE_SHARE:
                return None
            unit = _after_none(unit)
        if self._curved():
            return self._nearest(interpolate(self.low - 0.5, self.high + 0.5, unit, log=True))
        return self.low + min(int(unit * (self._steps() + 1)), self._steps()) * self.step

    def to_unit(self, value: Value) -> float:
        """Where the middle of `value`'s share lies in [0, 1)."""
        if value is None:
            return NONE_SHARE / 2
        assert isinstance(value, int | float)
        if self._curved():
            unit = position(self.low - 0.5, self.high + 0.5, value, log=True)
        else:
            unit = ((value - self.low) / self.step + 0.5) / (self._steps() + 1)
        return _on_unit(unit, self.none)

    def grid(self, points: int) -> list[Value]:
        """At most `points` evenly spread values; fewer where two would be the same number."""
        if self._curved():
            inner = {self._nearest(interpolate(self.low, self.high, share, log=True)) for share in shares(points)[1:-1]}
            values = {self.low, self.high, *inner} if points > 1 else {self._nearest(math.sqrt(self.low * self.high))}
        else:
            steps = self._steps()
            values = {self.low + min(round(share * steps), steps) * self.step for share in shares(points)}
        return _with_none(sorted(values), self.none)

    def _steps(self) -> int:
        return (self.high - self.low) // self.step

    def _curved(self) -> bool:
        return self.log and not narrow(self.low, self.high)

    def _nearest(self, value: float) -> int:
        return min(max(round(value), self.low), self.high)


@dataclass(frozen=True)
class Choice:
    """One of several values, without an order."""

    values: tuple[Value, ...]
    when: Condition | None = None
    prior: Value = None
    sure: Sure = "medium"

    def __post_init__(self) -> None:
        if isinstance(self.values, str | bytes) or not isinstance(self.values, Sequence):
            raise SpecError(
                f"must be a list of values, got {shown(self.values)}",
                path="choice",
                hint="For example: [32, 64, 128].",
            )
        object.__setattr__(self, "values", tuple(self.values))
        if not self.values:
            raise SpecError("an empty choice: got []", path="choice", hint="List at least one value.")
        seen: set[tuple[bool, Value]] = set()
        for index, value in enumerate(self.values):
            check_value(value, f"choice[{index}]")
            key = (isinstance(value, bool), value)
            if key in seen:
                raise SpecError(f"{value!r} is listed twice", path=f"choice[{index}]", hint="List each value once.")
            seen.add(key)
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
        """The position of `value` among the values. Raises ValueError if it is none of them."""
        for index, allowed in enumerate(self.values):
            if same_value(value, allowed):
                return index
        raise ValueError(f"{value!r} is none of {self.values!r}")

    def grid(self, points: int) -> list[Value]:
        """All of the values: a choice has no order to thin out."""
        del points
        return list(self.values)


Axis = Float | Int | Choice


def _settle(axis: Axis) -> None:
    """What all axes share: a condition that cannot change, a prior that the axis contains, and how sure it is."""
    if axis.when is not None:
        object.__setattr__(axis, "when", frozen_condition(axis.when))
    if axis.prior is not None:
        check_value(axis.prior, "prior")
        if not axis.contains(axis.prior):
            raise SpecError(
                f"{axis.prior!r} is not a value of the axis", path="prior", hint="Give a value inside its range."
            )
    if axis.sure not in get_args(Sure):
        raise SpecError(
            f"no such word: got {shown(axis.sure)}", path="sure", hint=did_you_mean(str(axis.sure), get_args(Sure))
        )
    if axis.prior is None and axis.sure != "medium":
        raise SpecError(
            f"sure of what? There is no prior: got {shown(axis.sure)}", path="sure", hint="Give a prior besides."
        )


def _with_none(values: Sequence[Value], none: bool) -> list[Value]:
    return [*values, None] if none else [*values]


def _after_none(unit: float) -> float:
    """The coordinate among the values other than None, of one at or above NONE_SHARE."""
    return clamp((unit - NONE_SHARE) / (1 - NONE_SHARE), 0.0, BELOW_ONE)


def _on_unit(unit: float, none: bool) -> float:
    """The coordinate in [0, 1), None's share before it if the axis may be off."""
    return clamp(NONE_SHARE + unit * (1 - NONE_SHARE) if none else unit, 0.0, BELOW_ONE)
