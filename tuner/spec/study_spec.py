"""StudySpec: the whole description of a study, validated once and immutable."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from tuner.errors import SpecError, did_you_mean, shown
from tuner.space import Choice, FrozenDict, SearchSpace
from tuner.spec.base import Count, Part
from tuner.spec.fields import Axes, Configs, Fixed, Names
from tuner.spec.memory import Memories
from tuner.spec.parts import (
    ASHA,
    Budget,
    CheckpointPolicy,
    Failures,
    Metric,
    Resources,
    Sampler,
    Scheduler,
    Timeouts,
)
from tuner.storage import check_url, is_url

NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
"""A study's name is also a folder's: no separators, no leading dot."""


class StudySpec(Part):
    """One study, whole: what `tune run` reads from YAML and `tuner.run` builds from its arguments.

    `to_dict` and `from_dict` are inverse; `digest` names the spec's content, and specs of one digest are equal.
    """

    study: str = Field(description="The study's name, and its folder's; a YAML file's own name if left out.")
    objective: str = Field(min_length=1, description="What is tuned, as module:attribute: a Task or a function.")
    metric: Metric = Field(description="What is optimised, such as {name: val_loss, direction: minimize}.")
    seed: int = Field(0, ge=0, lt=2**63, description="From which all randomness follows.")
    axes: Axes = Field(
        alias="space", description="What is searched: names and axes, such as {lr: {float: [0.001, 1]}}."
    )
    fixed: Fixed = Field(default_factory=FrozenDict, description="Values that every configuration carries.")
    sampler: Sampler = Field(default_factory=Sampler, description="Which sampler proposes configurations.")
    scheduler: Scheduler = Field(default_factory=ASHA, description="Which trials are stopped early.")
    budget: Budget = Field(default_factory=Budget, description="When the study ends.")
    parallel: Count | Literal["auto"] = Field("auto", description="Workers; 1 for a fully reproducible study.")
    resources: Resources = Field(default_factory=Resources, description="What one worker gets.")
    executor: Literal["auto", "local", "ray", "lanes"] = Field("auto", description="What runs the workers.")
    checkpoint: CheckpointPolicy = Field(default_factory=CheckpointPolicy, description="When checkpoints are taken.")
    failures: Failures = Field(default_factory=Failures, description="What becomes of failed trials.")
    timeouts: Timeouts = Field(default_factory=Timeouts, description="When silence becomes a failure.")
    storage: str = Field("runs", min_length=1, description="Folder, or object-store URL, for checkpoints.")
    enqueue: Configs = Field((), description="Configurations to try first.")
    warm_start: Names = Field((), description="Studies of the store, which nobody runs now, to learn from.")
    memory: Memories = Field(
        (), description="What was taken from the studies of warm_start: written when a study is created."
    )

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

    @field_validator("storage")
    @classmethod
    def _no_secret_in_it(cls, storage: str) -> str:
        if is_url(storage):
            check_url(storage)
        return storage

    @model_validator(mode="after")
    def _parts_fit_together(self) -> StudySpec:
        try:
            space = self.space
        except SpecError as error:
            raise error.at("space") from None
        for name, points in self.sampler.points.items():
            self._check_points(name, points)
        self._check_warm_start()
        self._check_goals()
        configs = []
        for index, config in enumerate(self.enqueue):
            try:
                configs.append(FrozenDict(space.resolve(config)))
            except SpecError as error:
                raise error.at(f"enqueue[{index}]") from None
        # The model is frozen for everyone else; here it is still being made.
        self.__dict__["enqueue"] = tuple(configs)
        return self

    def _check_points(self, name: str, points: int) -> None:
        path = f"sampler.points.{name}"
        if name not in self.axes:
            raise SpecError(f"no such axis: {name!r}", path=path, hint=did_you_mean(name, self.axes))
        if isinstance(self.axes[name], Choice):
            raise SpecError(f"a choice has no points, got {points}", path=path, hint="Grid takes all of its values.")

    def _check_warm_start(self) -> None:
        for index, name in enumerate(self.warm_start):
            if name in self.warm_start[:index]:
                raise SpecError(f"{name!r} is listed twice", path=f"warm_start[{index}]", hint="List each study once.")
        remembered = tuple(memory.study for memory in self.memory)
        if remembered and remembered != self.warm_start:
            raise SpecError(
                f"must be of the studies of warm_start, {shown(self.warm_start)}, got {shown(remembered)}",
                path="memory",
                hint="Leave it out: it is taken from those studies when this one is created.",
            )
        for index, memory in enumerate(self.memory):
            for place, config in enumerate(memory.configs):
                path = f"memory[{index}].configs[{place}]"
                for name, value in config.items():
                    if name not in self.axes or not self.axes[name].contains(value):
                        raise SpecError(
                            f"{shown(value)} is no value of an axis", path=f"{path}.{name}", hint="Leave it out."
                        )

    def _check_goals(self) -> None:
        if self.budget.until.expected_improvement != "noise":
            return
        if self.metric.value == "best" or self.scheduler.max_resource < 4:
            why = "value: best hides it" if self.metric.value == "best" else "it takes four reports of a trial"
            raise SpecError(
                f"the noise cannot be seen at the end of the curves ({why}): got 'noise'",
                path="budget.until.expected_improvement",
                hint=f"Say how much {self.metric.name} differs between seeds, as a number.",
            )

    @cached_property
    def space(self) -> SearchSpace:
        """The axes and fixed values together."""
        return SearchSpace(self.axes, self.fixed)

    def to_dict(self) -> dict[str, Any]:
        """The spec in its YAML form, defaults included; without `memory` where there is none."""
        form = self.model_dump(mode="json", by_alias=True)
        if not self.memory:
            del form["memory"]
        return form

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> StudySpec:
        """The spec of a mapping in YAML form. Raises SpecError, with the path of what is wrong."""
        return cls.model_validate(data)

    def digest(self) -> str:
        """SHA-256 of the spec's content: equal specs, equal digests, in every process.

        The order of the axes counts, as proposals depend on it; the order of other keys does not.
        """
        content = self.to_dict()
        content["space"] = list(content["space"].items())
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StudySpec) and self.digest() == other.digest()

    def __hash__(self) -> int:
        return hash(self.digest())
