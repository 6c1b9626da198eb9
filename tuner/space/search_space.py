"""The search space: named axes in order, some of which exist only under conditions on earlier ones."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from tuner.errors import SpecError
from tuner.records import Config, Value
from tuner.space.axes import Axis, Choice, Float, Int, same_value


@dataclass(frozen=True)
class SearchSpace(Mapping[str, Axis]):
    """name -> axis, in the order given. An axis may only depend on names before it, or on fixed ones.

    `fixed` are the values that every configuration carries; they may switch axes, and share no name with them.
    """

    axes: Mapping[str, Axis]
    fixed: Mapping[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "axes", dict(self.axes))
        object.__setattr__(self, "fixed", dict(self.fixed))
        for name in self.axes:
            if name in self.fixed:
                raise SpecError(
                    f"{name!r} is also under fixed ({self.fixed[name]!r})",
                    path=name,
                    hint="Keep one of the two.",
                )
        _check_conditions(self.axes, self.fixed)

    def __getitem__(self, name: str) -> Axis:
        return self.axes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.axes)

    def __len__(self) -> int:
        return len(self.axes)

    def is_active(self, name: str, values: Config) -> bool:
        """Whether axis `name` exists, given the `values` of those before it (and the fixed ones)."""
        when = self.axes[name].when
        return when is None or all(
            parent in values and any(same_value(values[parent], allowed) for allowed in allowed_values)
            for parent, allowed_values in when.items()
        )

    def complete(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """A Config: the fixed values, and those of `values` whose axes exist, in the space's order."""
        config = dict(self.fixed)
        for name in self.axes:
            if self.is_active(name, config):
                config[name] = values[name]
        return config

    def from_unit(self, units: Sequence[float]) -> dict[str, Value]:
        """The Config at a point of the unit cube [0, 1)^len(self); coordinates of absent axes are ignored."""
        return self.complete(
            {name: axis.from_unit(unit) for (name, axis), unit in zip(self.items(), units, strict=True)}
        )

    def to_unit(self, config: Config) -> list[float]:
        """The point of the unit cube that gives `config` back; 0.5 where an axis is absent."""
        return [axis.to_unit(config[name]) if name in config else 0.5 for name, axis in self.items()]

    def check(self, config: Config) -> None:
        """Raise SpecError unless `config` is a point of this space (with its fixed values)."""
        for name in config:
            if name not in self.axes and name not in self.fixed:
                raise SpecError("no such axis", path=name, hint=did_you_mean(name, [*self.axes, *self.fixed]))
        for name, value in self.fixed.items():
            if name in config and not same_value(config[name], value):
                raise SpecError(f"is fixed to {value!r}, got {config[name]!r}", path=name)
        known: dict[str, Value] = dict(self.fixed)
        for name, axis in self.items():
            active = self.is_active(name, known)
            if active and name not in config:
                raise SpecError("no value", path=name, hint="A configuration names every axis that exists in it.")
            if not active and name in config:
                raise SpecError(f"does not exist here (when {dict(axis.when or {})})", path=name, hint="Leave it out.")
            if active:
                if not axis.contains(config[name]):
                    raise SpecError(f"{config[name]!r} is not a value of the axis", path=name, hint=describe(axis))
                known[name] = config[name]

    def contains(self, config: Config) -> bool:
        """Whether `config` is a point of this space."""
        try:
            self.check(config)
        except SpecError:
            return False
        return True

    def size(self) -> int | None:
        """An upper bound on how many configurations there are; None if there is a continuous axis."""
        total = 1
        for axis in self.axes.values():
            cardinality = axis.cardinality()
            if cardinality is None:
                return None
            total *= cardinality
        return total

    def prior(self) -> dict[str, Value] | None:
        """The Config of all the axes' priors (the middle, where an axis has none); None if no axis has one."""
        if all(axis.prior is None for axis in self.axes.values()):
            return None
        return self.complete(
            {name: axis.prior if axis.prior is not None else axis.from_unit(0.5) for name, axis in self.axes.items()}
        )


def describe(axis: Axis) -> str:
    """The axis in words, for messages."""
    if isinstance(axis, Choice):
        return f"One of {', '.join(map(repr, axis.values))}."
    kind = "A whole number" if isinstance(axis, Int) else "A number"
    step = f", in steps of {axis.step}" if axis.step not in (None, 1) else ""
    return f"{kind} from {axis.low} to {axis.high}{step}{', or null' if axis.none else ''}."


def did_you_mean(given: str, allowed: Sequence[str]) -> str:
    """ "Did you mean ...?" where one is close, else the list of what is allowed."""
    close = difflib.get_close_matches(given.lower(), allowed, n=1, cutoff=0.6)
    listing = f"Allowed: {', '.join(allowed)}." if allowed else "Nothing is allowed here."
    return f"Did you mean {close[0]!r}? {listing}" if close else listing


KINDS: dict[str, type[Float] | type[Int] | type[Choice]] = {"float": Float, "int": Int, "choice": Choice}


def parse_axis(data: Any) -> Axis:
    """An axis from its YAML form (`{float: [0, 1], log: true}`), or as it is if it is one already."""
    if isinstance(data, Float | Int | Choice):
        return data
    example = "For example: {float: [1.0e-5, 1.0], log: true}, {int: [1, 4]} or {choice: [32, 64]}."
    if not isinstance(data, Mapping):
        raise SpecError(f"must be an axis, got {data!r}", hint=f"{example} A single value belongs under `fixed`.")
    kinds = [kind for kind in KINDS if kind in data]
    if len(kinds) != 1:
        unknown = [str(key) for key in data if key not in _OPTIONS]
        hint = did_you_mean(unknown[0], list(KINDS)) if unknown and not kinds else example
        raise SpecError(f"must have one of float, int, choice; got {dict(data)!r}", hint=hint)
    kind = kinds[0]
    options = {str(key): value for key, value in data.items() if key != kind}
    allowed = [f.name for f in fields(KINDS[kind]) if f.name in _OPTIONS]
    for option in options:
        if option not in allowed:
            raise SpecError(f"unknown key for {kind}", path=option, hint=did_you_mean(option, allowed))
    bounds = data[kind]
    if kind == "choice":
        return Choice(bounds, **options)
    if isinstance(bounds, str) or not isinstance(bounds, Sequence) or len(bounds) != 2:
        raise SpecError(f"must be [low, high], got {bounds!r}", path=kind, hint=example)
    try:
        return KINDS[kind](*bounds, **options)
    except SpecError as error:
        raise SpecError(
            error.message, path=kind if error.path in ("low", "high") else error.path, hint=error.hint
        ) from None


def axis_to_dict(axis: Axis) -> dict[str, Any]:
    """The YAML form of an axis; `parse_axis` reads it back."""
    kind = next(kind for kind, cls in KINDS.items() if isinstance(axis, cls))
    body: dict[str, Any] = {kind: list(axis.values) if isinstance(axis, Choice) else [axis.low, axis.high]}
    for option in fields(axis):
        value = getattr(axis, option.name)
        if option.name in _OPTIONS and value != option.default:
            body[option.name] = {k: list(v) for k, v in value.items()} if option.name == "when" else value
    return body


_OPTIONS = ("log", "step", "none", "when", "prior")


def _check_conditions(axes: Mapping[str, Axis], fixed: Mapping[str, Value]) -> None:
    names = list(axes)
    for position, (name, axis) in enumerate(axes.items()):
        for parent, values in (axis.when or {}).items():
            path = f"{name}.when.{parent}"
            if parent in fixed:
                continue
            if parent not in axes:
                raise SpecError("no such axis", path=path, hint=did_you_mean(parent, [*names[:position], *fixed]))
            if names.index(parent) >= position:
                raise SpecError(
                    "depends on itself" if _depends(axes, parent, name) else "comes later",
                    path=path,
                    hint="An axis may depend on those written before it only: move it below.",
                )
            for value in values:
                if not axes[parent].contains(value):
                    raise SpecError(
                        f"{value!r} is not a value of {parent!r}: the condition can never hold",
                        path=path,
                        hint=describe(axes[parent]),
                    )


def _depends(axes: Mapping[str, Axis], name: str, on: str) -> bool:
    """Whether axis `name` is `on`, or depends on it through any chain of conditions."""
    seen: set[str] = set()
    todo = [name]
    while todo:
        current = todo.pop()
        if current == on:
            return True
        if current in axes and current not in seen:
            seen.add(current)
            todo.extend(axes[current].when or {})
    return False
