"""The parts of a study's description, each a frozen pydantic model with its defaults."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from tuner.errors import SpecError, did_you_mean, shown
from tuner.records import FailureKind
from tuner.space import FrozenDict
from tuner.spec.base import Count, Part, Resource, frozen

Direction = Literal["minimize", "maximize"]
SamplerName = Literal["auto", "random", "grid", "sobol", "tpe", "gp", "cmaes"]


class Metric(Part):
    """What is optimised."""

    name: str = Field(min_length=1, description="The metric's name in the reports, such as val_loss.")
    direction: Direction = Field("minimize", description="Whether less or more of it is better.")
    value: Literal["last", "best"] = Field("last", description="What counts of a trial: its last report, or its best.")

    def loss(self, value: float | None) -> float:
        """The metric as something to minimise; what is missing or not finite is worst (+inf).

        The one place where direction becomes a loss.
        """
        if value is None or not math.isfinite(value):
            return math.inf
        return value if self.direction == "minimize" else -value

    def value_of(self, loss: float) -> float:
        """The way back, from a finite `loss` to the metric."""
        return self.loss(loss)


Points = Annotated[int, Field(ge=1, le=10_000)]


class Sampler(Part):
    """Which sampler proposes configurations."""

    name: SamplerName = Field("auto", description="How configurations are proposed.")
    points: Annotated[Mapping[str, Points], AfterValidator(frozen)] = Field(
        default_factory=FrozenDict, description="For grid: how many values a Float or Int axis gets, such as {lr: 5}."
    )

    @model_validator(mode="after")
    def _points_are_for_grid(self) -> Sampler:
        if self.points and self.name != "grid":
            raise SpecError(
                f"only the grid sampler takes points, not {self.name}: got {shown(dict(self.points))}",
                path="points",
                hint="Remove it, or use grid.",
            )
        return self


class _Scheduler(Part):
    unit: Literal["epoch", "step"] = Field("epoch", description="What a unit of resource is.")
    min_resource: Resource = Field(1, description="The resource before which no trial is stopped.")
    max_resource: Resource = Field(9, description="The resource of a whole trial.")

    @model_validator(mode="after")
    def _ordered(self) -> _Scheduler:
        if self.min_resource > self.max_resource:
            raise SpecError(
                f"must not be above max_resource ({self.max_resource}), got {self.min_resource}",
                path="min_resource",
                hint=f"Set min_resource to at most {self.max_resource}, or raise max_resource.",
            )
        return self


class NoScheduler(_Scheduler):
    """Every trial runs to max_resource."""

    name: Literal["none"] = Field("none", description="No early stopping.")


class Median(_Scheduler):
    """Median stopping (Golovin et al. 2017, Vizier, §3.2): a trial stops at a resource from min_resource on if its best
    loss is worse than the median of the others' running means there.
    """

    name: Literal["median"] = Field("median", description="The median stopping rule.")
    min_trials: Count = Field(5, description="How many other trials a comparison takes.")


class ASHA(_Scheduler):
    """Asynchronous successive halving (Li et al. 2020). Rungs at min_resource * reduction_factor^k, the last at
    max_resource. `promote` pauses every trial at its rung and continues the best; `stop` lets a trial run on as long as
    it is among the best 1/reduction_factor of its rung so far.
    """

    name: Literal["asha"] = Field("asha", description="Asynchronous successive halving.")
    type: Literal["promote", "stop"] = Field(
        "promote", description="Pause all and continue the best, or stop the rest."
    )
    reduction_factor: int = Field(3, ge=2, le=10**6, description="One in so many trials passes a rung (η).")


class Hyperband(_Scheduler):
    """Asynchronous Hyperband (Li et al. 2018, 2020): ASHA in several brackets, whose first rungs differ."""

    name: Literal["hyperband"] = Field("hyperband", description="ASHA in several brackets.")
    type: Literal["promote", "stop"] = Field(
        "promote", description="Pause all and continue the best, or stop the rest."
    )
    reduction_factor: int = Field(3, ge=2, le=10**6, description="One in so many trials passes a rung (η).")


SCHEDULERS: dict[str, type[_Scheduler]] = {"none": NoScheduler, "median": Median, "asha": ASHA, "hyperband": Hyperband}


def _by_name(data: Any) -> Any:
    """The scheduler that a mapping names; asha, if it names none."""
    if isinstance(data, _Scheduler):
        return data
    if not isinstance(data, Mapping):
        word = data if isinstance(data, str) else "asha"
        raise SpecError(f"must be a mapping, got {shown(data)}", hint=f"Write {{name: {word}}}.")
    name = data.get("name", "asha")
    if not isinstance(name, str) or name not in SCHEDULERS:
        raise SpecError(f"no such scheduler: got {shown(name)}", path="name", hint=did_you_mean(str(name), SCHEDULERS))
    return SCHEDULERS[name].model_validate(data)


# pydantic's own discriminator takes no field validators, which is how a Part puts paths into its messages.
Scheduler = Annotated[NoScheduler | Median | ASHA | Hyperband, BeforeValidator(_by_name)]


class Until(Part):
    """What ends a study before its budget is spent: whichever comes first. An extension goes on beyond it."""

    value: float | None = Field(None, description="A complete trial's metric is as good as this, or better.")
    no_improvement: Count | None = Field(
        None, description="So many trials in a row were tried, and none was the best so far at a rung."
    )
    expected_improvement: Annotated[float, Field(gt=0)] | Literal["noise"] | None = Field(
        None,
        description="Half as many trials again are expected to improve the metric by less than this; noise: by "
        "less than the scatter at the ends of the best curves.",
    )

    @model_serializer(mode="wrap")
    def _what_is_set(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # So that a spec without goals keeps the digest it had before there were any.
        return {name: value for name, value in handler(self).items() if value is not None}


class Budget(Part):
    """When to stop starting trials; null is no limit, and at least one limit must be set."""

    trials: Count | None = Field(64, description="How many trials to start.")
    minutes: Annotated[float, Field(gt=0)] | None = Field(None, description="Minutes of running, over all sessions.")
    epochs: Count | None = Field(None, description="Units of resource over all trials.")
    until: Until = Field(default_factory=Until, description="Goals that end a study earlier, such as {value: 0.05}.")

    @model_validator(mode="after")
    def _something(self) -> Budget:
        if self.trials is None and self.minutes is None and self.epochs is None:
            raise SpecError(
                "a budget of nothing would never end: got trials, minutes and epochs all None",
                hint="Set trials, minutes or epochs.",
            )
        return self


def _share_or_whole(value: float) -> float:
    if value > 1 and value != int(value):
        raise SpecError(f"above 1, only whole numbers can be had: got {value}", hint=f"Write {math.ceil(value)}.")
    return value


class Resources(Part):
    """What one worker gets."""

    cpus: Annotated[float, Field(gt=0, le=10_000), AfterValidator(_share_or_whole)] = Field(
        1.0, description="CPU cores, and threads; a share below 1 puts several workers on a core."
    )
    gpus: Annotated[float, Field(ge=0, le=10_000), AfterValidator(_share_or_whole)] | Literal["auto"] = Field(
        "auto",
        description="GPUs; a share such as 0.25 puts several workers on one. auto: one if the task wants one and there "
        "is one, else none.",
    )
    isolate: bool = Field(False, description="A fresh process for every segment, for objectives that leak.")
    slots: Annotated[int, Field(ge=1, le=100_000)] | Literal["auto"] = Field(
        "auto", description="Trials that a lane trains at once (executor: lanes); auto: 64 on a CPU, 1024 on a GPU."
    )

    @model_serializer(mode="wrap")
    def _without_the_usual(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # So that a spec which does not speak of slots keeps the digest it had before there were any.
        return {name: value for name, value in handler(self).items() if name != "slots" or value != "auto"}


class CheckpointPolicy(Part):
    """When checkpoints are taken, and how many stay."""

    every: Count = Field(1, description="A checkpoint every so many units of resource, and where a segment ends.")
    keep: Count = Field(2, description="How many of a trial's newest checkpoints stay.")
    best: bool = Field(True, description="Whether the checkpoint of a trial's best report stays besides them.")
    disk_share: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None, description="Trials wait while a larger share of their folder's disk is in use; null: while it is full."
    )

    @model_serializer(mode="wrap")
    def _what_is_set(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # So that a spec which does not speak of the disk's share keeps the digest it had before there was one.
        return {name: value for name, value in handler(self).items() if value is not None}


Retries = Annotated[int, Field(ge=0, le=1000)]
Policy = Retries | Literal["stop"]
"""How often a trial is tried again from its checkpoint after failures of a kind; stop: the study ends at the first."""


class Failures(Part):
    """What becomes of failed trials, and of a study that only fails. Each kind of failure may have a policy."""

    retries: Retries = Field(1, description="How often a failed trial is tried again from its checkpoint.")
    give_up_after: Count = Field(5, description="Give the study up after so many failed trials at its start.")
    exception: Policy | None = Field(None, description="Of the objective's exceptions: retries, or stop.")
    non_finite: Literal["stop"] | None = Field(
        None,
        description="stop: the study ends at the first. It is never retried, as the same numbers would come again.",
    )
    out_of_memory: Policy | None = Field(None, description="Of trials that find no room: retries, or stop.")
    timeout: Policy | None = Field(None, description="Of trials that are silent or stuck: retries, or stop.")
    data_missing: Policy | None = Field(None, description="Of data that is not there: retries, or stop; stop if unset.")
    checkpoint: Policy | None = Field(
        None, description="Of damaged checkpoints: retries, or stop; those with an older one left go on from it."
    )
    worker_lost: Policy | None = Field(
        None, description="How many workers a trial may lose in a row, without a report between; 5 if unset. Or stop."
    )
    node_lost: Policy | None = Field(None, description="The same of nodes; 5 if unset.")
    preempted: Policy | None = Field(None, description="The same of preemptions; no limit if unset.")

    @model_serializer(mode="wrap")
    def _what_is_set(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # So that a spec without policies keeps the digest it had before there were any.
        return {name: value for name, value in handler(self).items() if value is not None}

    def policy(self, kind: FailureKind) -> int | Literal["stop"] | None:
        """What was said of a kind, or holds for it unless it is; None: as `retries` says, or, of machines, no limit."""
        name = kind.name.lower()
        said: int | Literal["stop"] | None = getattr(self, name)
        return _UNLESS_SAID.get(kind) if said is None else said


_UNLESS_SAID: Mapping[FailureKind, int | Literal["stop"]] = {
    FailureKind.NON_FINITE: 0,
    FailureKind.DATA_MISSING: "stop",
    FailureKind.WORKER_LOST: 5,
    FailureKind.NODE_LOST: 5,
}


GRACE_SECONDS = 60.0
"""For so long a trial may be silent, by default, once a person has stopped or paused it."""


class Timeouts(Part):
    """When silence becomes a failure, and when a person's word is not waited for any longer."""

    report: Annotated[float, Field(gt=0)] | None = Field(
        600.0, description="Seconds between two reports of a trial before it fails; null waits for ever."
    )
    grace: Annotated[float, Field(gt=0)] | None = Field(
        GRACE_SECONDS,
        description="Seconds without a report after which the worker of a trial that a person has stopped or paused is "
        "ended; null waits for the next report, for ever.",
    )

    straggler: Annotated[float, Field(gt=1)] | None = Field(
        None,
        description="When a worker would idle, a trial that is silent for so many times the usual seconds between "
        "reports is run a second time; the first to report wins. null: never.",
    )

    @model_serializer(mode="wrap")
    def _without_the_usual(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # So that a spec which does not speak of them keeps the digest it had before there were these.
        usual = {"grace": GRACE_SECONDS, "straggler": None}
        return {name: value for name, value in handler(self).items() if name not in usual or value != usual[name]}
