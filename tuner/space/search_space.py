"""The search space: named axes in order, some of which exist only under conditions on earlier ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tuner.errors import SpecError, did_you_mean
from tuner.records import Config, Value
from tuner.space.axes import Axis, Float
from tuner.space.checks import same_value
from tuner.space.conditions import check_conditions
from tuner.space.forms import describe
from tuner.space.frozen import FrozenDict


@dataclass(frozen=True, eq=False)
class SearchSpace(Mapping[str, Axis]):
    """name -> axis, in the order given. An axis may only depend on names before it, or on fixed ones.

    `fixed` are the values that every configuration carries; they may switch axes, and share no name with them.
    """

    axes: Mapping[str, Axis]
    fixed: Mapping[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "axes", FrozenDict(self.axes))
        object.__setattr__(self, "fixed", FrozenDict(self.fixed))
        for name in self.axes:
            if name in self.fixed:
                raise SpecError(
                    f"{name!r} is also under fixed ({self.fixed[name]!r})",
                    path=name,
                    hint="Keep one of the two.",
                )
        check_conditions(self.axes, self.fixed)

    def __getitem__(self, name: str) -> Axis:
        return self.axes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.axes)

    def __len__(self) -> int:
        return len(self.axes)

    def __eq__(self, other: object) -> bool:
        # The order of the axes counts: it is the order of the unit cube's coordinates.
        return isinstance(other, SearchSpace) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[tuple[tuple[str, Axis], ...], Mapping[str, Value]]:
        return tuple(self.axes.items()), self.fixed

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
                raise SpecError(
                    f"no such axis: {name!r}", path=name, hint=did_you_mean(name, [*self.axes, *self.fixed])
                )
        for name, value in self.fixed.items():
            if name in config and not same_value(config[name], value):
                raise SpecError(f"is fixed to {value!r}, got {config[name]!r}", path=name, hint="Leave it out.")
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

    def resolve(self, config: Config) -> dict[str, Value]:
        """The Config that `config` means: checked, with the fixed values, in the space's order, floats as floats."""
        self.check(config)
        values = {
            name: float(value) if isinstance(self.axes.get(name), Float) and isinstance(value, int) else value
            for name, value in config.items()
        }
        return self.complete(values)

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
