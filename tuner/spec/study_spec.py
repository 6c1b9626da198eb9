"""StudySpec: the whole description of a study, validated once and immutable."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, PlainValidator, field_validator, model_validator

from tuner.errors import SpecError
from tuner.records import Config, Value
from tuner.space import Axis, SearchSpace, axis_to_dict, check_value, parse_axis
from tuner.spec.parts import (
    ASHA,
    Budget,
    CheckpointPolicy,
    Count,
    Failures,
    Metric,
    Part,
    Resources,
    Sampler,
    Scheduler,
    Timeouts,
)

NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
"""A study's name is also a folder's: no separators, no leading dot."""


def _parse_axes(data: Any) -> Mapping[str, Axis]:
    if not isinstance(data, Mapping) or not data:
        raise SpecError(
            f"must map names to axes, got {data!r}",
            path="space",
            hint="For example: {lr: {float: [1.0e-5, 1.0], log: true}}.",
        )
    axes = {}
    for name, axis in data.items():
        _check_name(name, "space")
        try:
            axes[name] = parse_axis(axis)
        except SpecError as error:
            raise error.at(f"space.{name}") from None
    return axes


def _parse_fixed(data: Any) -> Mapping[str, Value]:
    if not isinstance(data, Mapping):
        raise SpecError(f"must map names to values, got {data!r}", path="fixed")
    for name, value in data.items():
        _check_name(name, "fixed")
        check_value(value, f"fixed.{name}")
    return dict(data)


def _check_name(name: Any, path: str) -> None:
    if not isinstance(name, str) or not name:
        raise SpecError(f"a name must be a non-empty string, got {name!r}", path=path, hint="Quote it.")


def _as_tuple(data: Any) -> Any:
    return tuple(data) if isinstance(data, list) else data


Axes = Annotated[
    Mapping[str, Axis],
    PlainValidator(_parse_axes),
    PlainSerializer(lambda axes: {name: axis_to_dict(axis) for name, axis in axes.items()}),
]
Fixed = Annotated[Mapping[str, Value], PlainValidator(_parse_fixed), PlainSerializer(dict)]


class StudySpec(Part):
    """One study, whole: what `tune run` reads from YAML and `tuner.run` builds from its arguments.

    `objective` is `module:attribute`. `to_dict` and `from_dict` are inverse; `digest` names the spec's content.
    """

    study: str
    objective: Annotated[str, Field(min_length=1)]
    metric: Metric
    seed: Annotated[int, Field(ge=0)] = 0
    axes: Annotated[Axes, Field(alias="space")]
    fixed: Fixed = {}
    sampler: Sampler = Sampler()
    scheduler: Scheduler = ASHA()
    budget: Budget = Budget()
    parallel: Count | Literal["auto"] = "auto"
    resources: Resources = Resources()
    executor: Literal["auto", "local", "ray"] = "auto"
    checkpoint: CheckpointPolicy = CheckpointPolicy()
    failures: Failures = Failures()
    timeouts: Timeouts = Timeouts()
    storage: Annotated[str, Field(min_length=1)] = "runs"
    enqueue: Annotated[tuple[Config, ...], BeforeValidator(_as_tuple)] = ()
    warm_start: Annotated[tuple[str, ...], BeforeValidator(_as_tuple), Field(max_length=0)] = ()

    @field_validator("study")
    @classmethod
    def _usable_as_a_folder(cls, name: str) -> str:
        if not re.fullmatch(NAME_PATTERN, name):
            raise SpecError(
                f"{name!r} cannot be a study's name",
                path="study",
                hint="Letters, digits, '.', '_' and '-', at most 100, the first a letter or digit.",
            )
        return name

    @model_validator(mode="after")
    def _parts_fit_together(self) -> StudySpec:
        try:
            space = self.space
        except SpecError as error:
            raise error.at("space") from None
        for name in self.sampler.points:
            if name not in self.axes:
                raise SpecError("no such axis", path=f"sampler.points.{name}", hint=f"Allowed: {', '.join(self.axes)}.")
        for index, config in enumerate(self.enqueue):
            try:
                space.check(config)
            except SpecError as error:
                raise error.at(f"enqueue[{index}]") from None
        return self

    @property
    def space(self) -> SearchSpace:
        """The axes and fixed values together."""
        return SearchSpace(self.axes, self.fixed)

    def to_dict(self) -> dict[str, Any]:
        """The spec in its YAML form, defaults included."""
        return self.model_dump(mode="json", by_alias=True)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> StudySpec:
        """The spec of a mapping in YAML form. Raises SpecError, with the path of what is wrong."""
        from tuner.spec.mistakes import explained

        with explained(cls, data):
            return cls.model_validate(data)

    def __hash__(self) -> int:
        return hash(self.digest())

    def digest(self) -> str:
        """SHA-256 of the spec's content: equal specs, equal digests."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()
