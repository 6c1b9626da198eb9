"""The fields of a StudySpec that pydantic does not know: the space, the fixed values, configurations to try first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, PlainValidator, WithJsonSchema

from tuner.errors import SpecError, shown
from tuner.records import Config, Value
from tuner.space import Axis, FrozenDict, SearchSpace, axis_to_dict, check_name, check_value, parse_axis
from tuner.spec.axis_schema import CONFIG_SCHEMA, SPACE_SCHEMA


def _parse_axes(data: Any) -> Mapping[str, Axis]:
    if isinstance(data, SearchSpace):
        data = data.axes
    if not isinstance(data, Mapping) or not data:
        raise SpecError(
            f"must map names to axes, got {shown(data)}",
            hint="For example: {lr: {float: [1.0e-5, 1.0], log: true}}.",
        )
    axes = {}
    for name, axis in data.items():
        check_name(name, "")
        try:
            axes[name] = parse_axis(axis)
        except SpecError as error:
            raise error.at(name) from None
    return FrozenDict(axes)


def parse_config(data: Any) -> Mapping[str, Value]:
    """A read-only mapping of names to values. Raises SpecError."""
    if not isinstance(data, Mapping):
        raise SpecError(f"must map names to values, got {shown(data)}", hint="For example: {optimizer: adamw}.")
    for name, value in data.items():
        check_name(name, "")
        check_value(value, name)
    return FrozenDict(data)


def _parse_configs(data: Any) -> tuple[Config, ...]:
    if not isinstance(data, list | tuple):
        raise SpecError(f"must be a list of configurations, got {shown(data)}", hint="For example: [{lr: 0.01}].")
    configs = []
    for index, config in enumerate(data):
        try:
            configs.append(parse_config(config))
        except SpecError as error:
            raise error.at(f"[{index}]") from None
    return tuple(configs)


def _as_tuple(data: Any) -> Any:
    return tuple(data) if isinstance(data, list) else data


def _config_to_dict(config: Config) -> dict[str, Value]:
    return dict(config)


def _axes_to_dict(axes: Mapping[str, Axis]) -> dict[str, Any]:
    return {name: axis_to_dict(axis) for name, axis in axes.items()}


def _configs_to_list(configs: tuple[Config, ...]) -> list[dict[str, Value]]:
    return [dict(config) for config in configs]


Axes = Annotated[
    Mapping[str, Axis], PlainValidator(_parse_axes), PlainSerializer(_axes_to_dict), WithJsonSchema(SPACE_SCHEMA)
]
Fixed = Annotated[
    Mapping[str, Value], PlainValidator(parse_config), PlainSerializer(_config_to_dict), WithJsonSchema(CONFIG_SCHEMA)
]
Configs = Annotated[
    tuple[Config, ...],
    PlainValidator(_parse_configs),
    PlainSerializer(_configs_to_list),
    WithJsonSchema({"type": "array", "items": CONFIG_SCHEMA}),
]
Names = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]
