"""A search space in Optuna's terms: one parameter per axis, and one more per axis that may be off.

Optuna sees positions, not values: a choice is the index of its value (any mix of types will do), a stepped number the
index of its step, a continuous one its place in [0, 1] (in log space where the axis is), and the switch of an axis with
`none` the category 0 (off) or 1 (on). So no range can overflow in Optuna, and no value is rounded by it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from tuner.records import Config, Value
from tuner.space import Axis, Choice, Float, Int, SearchSpace

Params = dict[str, float | int]
"""Optuna's parameters of a configuration: name -> position."""

MOST_STEPS = 256
"""A number with more values than this is continuous to Optuna, whose GP lists the values of a discrete one."""


@dataclass(frozen=True)
class Parameter:
    """One parameter: its `name` for Optuna, the `axis` it stands for, whether it is that axis's on/off switch, and
    whether another parameter is.
    """

    name: str
    axis: str
    distribution: BaseDistribution
    is_switch: bool
    switched: bool


class OptunaSpace:
    """The parameters of `space`, in `groups` that exist together: all of a group's are in a configuration, or none.

    A group's parameters hang on one condition (and switch) and are modelled jointly. Groups come in an order in which
    every condition is decided by earlier groups.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space: Final = space
        self._plain = {name: _without_none(axis) for name, axis in space.items()}
        self.parameters: Final = _parameters(space, self._plain)
        self.groups: Final = _groups(space, self.parameters)

    def encode(self, config: Config) -> Params:
        """The parameters of `config`; those of absent and switched-off axes are missing."""
        params: Params = {}
        for parameter in self.parameters:
            if parameter.axis not in config:
                continue
            value = config[parameter.axis]
            if parameter.is_switch:
                params[parameter.name] = int(value is not None)
            elif value is not None or not parameter.switched:
                params[parameter.name] = _position(self._plain[parameter.axis], parameter.distribution, value)
        return params

    def middle(self) -> Params:
        """A position for every parameter: the middle of a range, the first of the categories."""
        return {parameter.name: _middle(parameter.distribution) for parameter in self.parameters}

    def exists(self, parameter: Parameter, params: Mapping[str, float | int]) -> bool:
        """Whether `parameter` exists in a configuration whose parameters so far are `params`."""
        if parameter.switched and not params.get(_switch_name(parameter.name)):
            return False
        return self._space.is_active(parameter.axis, self.decode(params))

    def decode(self, params: Mapping[str, float | int]) -> dict[str, Value]:
        """The configuration of `params`, which may be more than exist in it; with too few, its beginning."""
        values: dict[str, Value] = {}
        for parameter in self.parameters:
            if parameter.name not in params:
                continue
            position = params[parameter.name]
            if not parameter.is_switch:
                values.setdefault(parameter.axis, _value(self._plain[parameter.axis], parameter.distribution, position))
            elif not position:
                values[parameter.axis] = None
        config = dict(self._space.fixed)
        for axis in self._space:
            if axis in values and self._space.is_active(axis, config):
                config[axis] = values[axis]
        return config


def _parameters(space: SearchSpace, plain: Mapping[str, Axis]) -> list[Parameter]:
    parameters = []
    for number, (axis, definition) in enumerate(space.items()):
        name = f"{number}"  # positions, because a name of the space's own could be any string
        may_be_off = not isinstance(definition, Choice) and definition.none
        if may_be_off:
            parameters.append(Parameter(_switch_name(name), axis, CategoricalDistribution((0, 1)), True, False))
        parameters.append(Parameter(name, axis, _distribution(plain[axis]), False, may_be_off))
    return parameters


def _switch_name(name: str) -> str:
    return f"{name}:on"


def _groups(space: SearchSpace, parameters: list[Parameter]) -> list[list[Parameter]]:
    depths: dict[str, int] = {}
    groups: dict[tuple[object, ...], list[Parameter]] = {}
    for parameter in parameters:
        when = space[parameter.axis].when or {}
        depth = max((depths[parent] + 1 for parent in when if parent in depths), default=0) + parameter.switched
        depths[parameter.axis] = depth
        condition = tuple(sorted((parent, repr(values)) for parent, values in when.items()))
        switch = parameter.name if parameter.switched else ""
        groups.setdefault((depth, condition, switch), []).append(parameter)
    return [groups[key] for key in sorted(groups, key=lambda key: (key[0], int(groups[key][0].name.split(":")[0])))]


def _without_none(axis: Axis) -> Axis:
    return axis if isinstance(axis, Choice) else dataclasses.replace(axis, none=False)


def _distribution(axis: Axis) -> BaseDistribution:
    n_values = axis.cardinality()
    if isinstance(axis, Choice):
        return CategoricalDistribution(tuple(range(len(axis.values))))
    if n_values is None or n_values > MOST_STEPS:
        return FloatDistribution(0.0, 1.0)
    if isinstance(axis, Int) and axis.log:
        return IntDistribution(axis.low, axis.high, log=True)
    return IntDistribution(0, n_values - 1)


def _middle(distribution: BaseDistribution) -> float | int:
    if isinstance(distribution, FloatDistribution):
        return 0.5
    return (distribution.low + distribution.high) // 2 if isinstance(distribution, IntDistribution) else 0


def _position(axis: Axis, distribution: BaseDistribution, value: Value) -> float | int:
    if isinstance(axis, Choice):
        return axis.index(value)
    assert isinstance(value, int | float)
    if isinstance(distribution, FloatDistribution):
        return min(max(axis.to_unit(value), 0.0), 1.0)
    if isinstance(axis, Int) and axis.log:
        return int(value)
    assert axis.step is not None
    return round((value - axis.low) / axis.step)


def _value(axis: Axis, distribution: BaseDistribution, position: float | int) -> Value:
    if isinstance(axis, Choice):
        return axis.values[int(position)]
    if isinstance(distribution, FloatDistribution):
        return axis.from_unit(float(position))
    if isinstance(axis, Int):
        return int(position) if axis.log else axis.low + int(position) * axis.step
    assert isinstance(axis, Float)
    n_values = axis.cardinality()
    assert n_values is not None
    return axis.from_unit((int(position) + 0.5) / n_values)
