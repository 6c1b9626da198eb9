"""Conditions between axes: each may depend on those written before it, and on fixed values."""

from __future__ import annotations

from collections.abc import Mapping

from tuner.errors import SpecError, did_you_mean
from tuner.records import Value
from tuner.space.axes import Axis
from tuner.space.forms import describe


def check_conditions(axes: Mapping[str, Axis], fixed: Mapping[str, Value]) -> None:
    """Raise SpecError if an axis depends on itself, on a later or missing one, or on a value that cannot be."""
    earlier: list[str] = []
    for name, axis in axes.items():
        for parent, values in (axis.when or {}).items():
            # A fixed value may be another one tomorrow: a condition on it that does not hold is no mistake.
            if parent in fixed:
                continue
            path = f"{name}.when.{parent}"
            if parent not in earlier:
                raise _unusable(axes, name, parent, path, [*earlier, *fixed])
            for value in values:
                if not axes[parent].contains(value):
                    raise SpecError(
                        f"{value!r} is not a value of {parent!r}: the condition can never hold",
                        path=path,
                        hint=describe(axes[parent]),
                    )
        earlier.append(name)


def _unusable(axes: Mapping[str, Axis], name: str, parent: str, path: str, allowed: list[str]) -> SpecError:
    if parent not in axes:
        return SpecError(f"no such axis: {parent!r}", path=path, hint=did_you_mean(parent, allowed))
    chain = _chain(axes, parent, name)
    if chain:
        return SpecError(
            f"{name!r} depends on itself: {' -> '.join([name, *chain])}", path=path, hint="Remove one condition."
        )
    return SpecError(
        f"{parent!r} comes later",
        path=path,
        hint=f"An axis may depend on those before it only: move {parent!r} above {name!r}.",
    )


def _chain(axes: Mapping[str, Axis], start: str, end: str) -> list[str]:
    """The names from `start` to `end` along conditions; empty if none lead there."""
    todo = [[start]]
    seen: set[str] = set()
    while todo:
        chain = todo.pop()
        if chain[-1] == end:
            return chain
        if chain[-1] in axes and chain[-1] not in seen:
            seen.add(chain[-1])
            todo += [[*chain, parent] for parent in axes[chain[-1]].when or {}]
    return []
