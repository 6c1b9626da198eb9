"""The parts of a study's description, each a frozen pydantic model with its defaults."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tuner.errors import SpecError

Count = Annotated[int, Field(ge=1)]


class Part(BaseModel):
    """Frozen, strict about types, and closed: an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Metric(Part):
    """What is optimised. `value`: a trial's last report counts, or its best."""

    name: Annotated[str, Field(min_length=1)]
    direction: Literal["minimize", "maximize"] = "minimize"
    value: Literal["last", "best"] = "last"

    def loss(self, value: float | None) -> float:
        """The metric as something to minimise; what is missing or not finite is worst (+inf).

        The one place where direction becomes a loss.
        """
        if value is None or not math.isfinite(value):
            return math.inf
        return value if self.direction == "minimize" else -value

    def value_of(self, loss: float) -> float:
        """The way back from `loss` to the metric, for a finite one."""
        return self.loss(loss)


class Sampler(Part):
    """Which sampler proposes configurations. `points`: for grid, how many values an axis gets."""

    name: Literal["random", "grid", "sobol", "tpe", "gp", "cmaes"] = "tpe"
    points: Mapping[str, Count] = {}

    @model_validator(mode="after")
    def _points_are_for_grid(self) -> Sampler:
        if self.points and self.name != "grid":
            raise SpecError(
                f"only the grid sampler takes points, not {self.name}",
                path="points",
                hint="Remove it, or use grid.",
            )
        return self


class _Scheduler(Part):
    unit: Literal["epoch", "step"] = "epoch"
    min_resource: Count = 1
    max_resource: Count = 9

    @model_validator(mode="after")
    def _ordered(self) -> _Scheduler:
        if self.min_resource > self.max_resource:
            raise SpecError(
                f"must not be above max_resource ({self.max_resource}), got {self.min_resource}",
                path="min_resource",
            )
        return self


class NoScheduler(_Scheduler):
    """Every trial runs to max_resource."""

    name: Literal["none"] = "none"


class Median(_Scheduler):
    """Median stopping (Golovin et al. 2017, Vizier, §3.2): a trial stops at a resource from min_resource on if its best
    loss is worse than the median of the others' running means there. `min_trials`: how many others it takes.
    """

    name: Literal["median"] = "median"
    min_trials: Count = 5


class ASHA(_Scheduler):
    """Asynchronous successive halving (Li et al. 2020). Rungs at min_resource * reduction_factor^k, the last at
    max_resource. `promote` pauses every trial at its rung and continues the best; `stop` lets a trial run on as long as
    it is among the best 1/reduction_factor of its rung so far.
    """

    name: Literal["asha"] = "asha"
    type: Literal["promote", "stop"] = "promote"
    reduction_factor: Annotated[int, Field(ge=2)] = 3


class Hyperband(_Scheduler):
    """Asynchronous Hyperband (Li et al. 2018, 2020): ASHA in several brackets, whose first rungs differ."""

    name: Literal["hyperband"] = "hyperband"
    type: Literal["promote", "stop"] = "promote"
    reduction_factor: Annotated[int, Field(ge=2)] = 3


Scheduler = Annotated[NoScheduler | Median | ASHA | Hyperband, Field(discriminator="name")]


class Budget(Part):
    """When to stop starting: new trials, minutes of running, epochs (units of resource) over all trials; None is no
    limit. At least one must be set.
    """

    trials: Count | None = 64
    minutes: Annotated[float, Field(gt=0)] | None = None
    epochs: Count | None = None
    until: Annotated[Mapping[str, Any], Field(max_length=0)] = {}

    @model_validator(mode="after")
    def _something(self) -> Budget:
        if self.trials is None and self.minutes is None and self.epochs is None:
            raise SpecError("a budget of nothing would never end", hint="Set trials, minutes or epochs.")
        return self


class Resources(Part):
    """What one worker gets. `gpus: auto` is one whole GPU if the task wants one and there is one, else none; a share
    such as 0.25 puts several workers on a GPU. `isolate`: a fresh process for every segment.
    """

    cpus: Annotated[float, Field(gt=0)] = 1
    gpus: Annotated[float, Field(ge=0)] | Literal["auto"] = "auto"
    isolate: bool = False


class CheckpointPolicy(Part):
    """A checkpoint `every` so many units of resource (and at every rung); the newest `keep` of a trial stay."""

    every: Count = 1
    keep: Count = 2


class Failures(Part):
    """`retries` of a trial from its checkpoint; the study is given up after so many failed trials at its start."""

    retries: Annotated[int, Field(ge=0)] = 1
    give_up_after: Count = 5


class Timeouts(Part):
    """`report`: seconds that may pass between two reports of a trial before it fails; None waits for ever."""

    report: Annotated[float, Field(gt=0)] | None = 600
