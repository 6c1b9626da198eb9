"""What the trainer reads from a configuration, in groups: every mechanism is a named setting that a space can search.

A configuration is flat (`lr`, `clip_norm`, ...); the groups are for the reader, and each mechanism is given its own.
Importing this loads no torch.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache, lru_cache
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import Field, model_validator

from tuner.errors import SpecError
from tuner.records import Config
from tuner.spec.base import Count, Part

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
BelowOne = Annotated[float, Field(ge=0, lt=1)]
Share = Annotated[float, Field(ge=0, le=1)]
PositiveShare = Annotated[float, Field(gt=0, le=1)]


class BatchSettings(Part):
    """What a step sees."""

    batch_size: Annotated[int, Field(ge=1)] = Field(128, description="Samples per step.")
    micro_batch: Count | None = Field(
        None, description="Gradients are accumulated over micro-batches of at most so many samples; null is off."
    )
    curriculum: PositiveShare | None = Field(
        None, description="The easiest share of the training data, with which training begins; null is off."
    )
    curriculum_until: PositiveShare = Field(0.5, description="The share of training after which all data is used.")
    loader_workers: int | None = Field(
        None, ge=0, le=256, description="Processes that load a Dataset; null: as many as the worker has spare threads."
    )
    loader_timeout: Positive = Field(120.0, description="Seconds to wait for a batch of a Dataset.")


class OptimizerSettings(Part):
    """The update rule."""

    optimizer: Literal["sgd", "adam", "adamw", "rmsprop"] = "adamw"
    momentum: BelowOne = Field(0.9, description="Of sgd and rmsprop.")
    nesterov: bool = Field(False, description="Nesterov's form of sgd's momentum.")
    beta1: BelowOne = Field(0.9, description="Of adam and adamw: how slowly the mean of the gradients moves.")
    beta2: BelowOne = Field(0.999, description="Of adam and adamw: how slowly the mean of their squares moves.")
    rms_decay: BelowOne = Field(0.99, description="Of rmsprop: how slowly the mean of the squared gradients moves.")
    eps: Positive = Field(1e-8, description="Of adam, adamw and rmsprop: added to the denominator.")
    weight_decay: NotNegative = Field(
        0.0,
        description="Decoupled for adamw (Loshchilov & Hutter 2019), an L2 term in the gradient for the others, as in "
        "torch.",
    )
    decay_biases_and_norms: bool = Field(
        False, description="Whether weight decay pulls on biases, norms and embeddings, too."
    )
    layer_decay: PositiveShare = Field(
        1.0, description="A layer's rate is lr times this, once for each layer between it and the output."
    )
    freeze: int = Field(0, ge=0, description="So many layers, from the input on, are not trained.")
    unfreeze_at: Share = Field(1.0, description="The share of training after which frozen layers are trained, too.")


class AveragingSettings(Part):
    """Averages of the weights over the steps."""

    lookahead: Count | None = Field(None, description="Every so many steps the slow weights take one; null is off.")
    lookahead_rate: PositiveShare = Field(
        0.5, description="How far lookahead's slow weights go to the fast ones  (alpha)."
    )
    averaging: Literal["none", "ema", "polyak"] = Field(
        "none", description="What is evaluated: the weights, their moving average, or their mean."
    )
    ema_decay: BelowOne = Field(0.999, description="How slowly the moving average moves.")
    average_from: BelowOne = Field(0.0, description="The share of training after which averaging begins.")


class ScheduleSettings(Part):
    """The learning rate over the trial's horizon."""

    lr: Positive = Field(1e-3, description="The learning rate at the peak of the schedule.")
    schedule: Literal["constant", "step", "exponential", "cosine", "linear", "one_cycle"] = "constant"
    warmup: Share = Field(0.0, description="The share of all steps in which lr rises.")
    warmup_steps: int | None = Field(None, ge=0, description="The same as a number of steps, instead of a share.")
    final_lr: Share = Field(0.0, description="Of exponential, cosine and linear: lr at the end, as a share of lr.")
    milestones: str = Field("0.5, 0.75", description="Of step: the shares of training after which lr drops.")
    step_every: PositiveShare | None = Field(
        None, description="Of step: lr drops every so large a share of training, instead of at milestones."
    )
    gamma: PositiveShare = Field(0.1, description="Of step: what a drop multiplies lr by.")
    cycle_peak: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.3, description="Of one_cycle: the share of training at which lr is highest."
    )
    lr_scaling: Literal["none", "linear", "sqrt"] = Field(
        "none", description="How lr grows with batch_size: times batch_size / base_batch_size, or its square root."
    )
    base_batch_size: Count = Field(128, description="The batch size for which lr is meant, where it is scaled.")

    @model_validator(mode="after")
    def _sound(self) -> ScheduleSettings:
        if self.schedule == "exponential" and self.final_lr == 0:
            raise SpecError(
                "an exponential never reaches 0, got 0.0", path="final_lr", hint="Set a share such as 0.01."
            )
        if self.warmup and self.warmup_steps is not None:
            raise SpecError("warmup is given, too", path="warmup_steps", hint="Leave one of them out.")
        drops = self.drops()
        if drops != sorted(drops) or any(not 0 < drop < 1 for drop in drops):
            raise SpecError(
                f"must be rising shares between 0 and 1, got {self.milestones!r}",
                path="milestones",
                hint="For example: 0.5, 0.75.",
            )
        return self

    def drops(self) -> list[float]:
        """The milestones, as shares of training."""
        try:
            return [float(part) for part in self.milestones.split(",") if part.strip()]
        except ValueError:
            raise SpecError(
                f"must be shares with commas between them, got {self.milestones!r}",
                path="milestones",
                hint="For example: 0.5, 0.75.",
            ) from None


class GradientSettings(Part):
    """What becomes of gradients before the update."""

    clip_norm: Positive | None = Field(None, description="The largest global gradient norm that passes; null is off.")
    clip_value: Positive | None = Field(None, description="The largest gradient of a single weight; null is off.")
    skip_above: Annotated[float, Field(gt=1)] | None = Field(
        None, description="Skip a step whose gradient norm is so many times the running median; null is off."
    )
    nonfinite: Literal["fail", "skip", "lower_precision"] = Field(
        "fail",
        description="When a loss or gradient is NaN or infinite: fail at once; skip the step; or skip it and leave "
        "half precision for float32.",
    )
    nonfinite_limit: Count = Field(20, description="So many skipped non-finite steps in a row fail the trial, too.")
    noise_scale: bool = Field(False, description="Measure the gradient noise scale (McCandlish et al. 2018).")


class PrecisionSettings(Part):
    """Number types of the forward and backward pass; weights and updates stay in the model's own."""

    precision: Literal["fp32", "tf32", "bf16", "fp16"] = "fp32"
    initial_loss_scale: Positive = Field(65536.0, description="Of fp16: what the loss is multiplied by at first.")
    loss_scale_growth: Count = Field(2000, description="Of fp16: steps without overflow before the scale doubles.")
    overflow_limit: Count = Field(
        20, description="Of fp16: so many overflows in a row make the trial go on in bf16 (fp32, where there is none)."
    )


class RegularisationSettings(Part):
    """What acts on the training loss alone; dropout and norms are the model's own."""

    label_smoothing: BelowOne = Field(0.0, description="The share of a label that is spread over all classes.")
    mixup: NotNegative = Field(0.0, description="Mixup's alpha (Zhang et al. 2018); 0 is off.")
    rotate: Annotated[float, Field(ge=0, le=180)] = Field(0.0, description="Images turn by up to so many degrees.")
    shift: Annotated[float, Field(ge=0, le=0.5)] = Field(
        0.0, description="Images move by up to so large a share of their size."
    )


class StoppingSettings(Part):
    """The trial's own patience."""

    patience: Count | None = Field(
        None, description="End after so many reports without a better val_loss; null: never."
    )
    min_delta: NotNegative = Field(0.0, description="By how much a val_loss must be lower to be better.")


class MeasuringSettings(Part):
    """What is measured, and when."""

    report_every: Count = Field(1, description="A report every so many units of resource (epochs, or steps).")
    evaluation_batch: Count | None = Field(None, description="Rows at a time in evaluation; null: 1000, on a GPU 4096.")
    sharpness: Positive | None = Field(
        None, description="At the trial's end: the rise of the loss within this relative distance; null is off."
    )
    hessian: bool = Field(False, description="At the trial's end: the largest eigenvalue of the loss's Hessian.")
    step_timeout: Positive | None = Field(600.0, description="Seconds that a step may take; null waits for ever.")


class SpeedSettings(Part):
    """How the same training is computed faster."""

    compile: bool = Field(False, description="torch.compile the model.")
    cuda_graph: bool = Field(False, description="On a GPU: record the step once and replay it. On a CPU: nothing.")
    channels_last: bool = Field(False, description="Images and convolutions in channels-last memory format.")


class DistributedSettings(Part):
    """Several processes for one trial."""

    ranks: Count | None = Field(None, description="Processes that share a batch; null: one for each of its GPUs.")
    sync_batch_norm: bool = Field(False, description="Batch norm's statistics over all ranks (GPUs only).")
    rank_timeout: Positive = Field(120.0, description="Seconds that ranks wait for each other.")


@dataclass(frozen=True)
class TrainerSettings:
    """The trainer's own part of a configuration; every other key is the model's business."""

    batches: BatchSettings
    optimizer: OptimizerSettings
    averaging: AveragingSettings
    schedule: ScheduleSettings
    gradients: GradientSettings
    precision: PrecisionSettings
    regularisation: RegularisationSettings
    stopping: StoppingSettings
    measuring: MeasuringSettings
    speed: SpeedSettings
    distributed: DistributedSettings

    @classmethod
    def from_config(cls, config: Config) -> TrainerSettings:
        """The settings that `config` names, defaults for the rest. Raises SpecError at the key whose value is wrong."""
        return cls(**{name: _read(group, config) for name, group in groups().items()})


@cache
def groups() -> dict[str, type[Part]]:
    """The groups of settings, by their names in TrainerSettings."""
    hints = get_type_hints(TrainerSettings)
    return {field.name: hints[field.name] for field in fields(TrainerSettings)}


def _read(group: type[Part], config: Config) -> Any:
    given = {name: value for name, value in config.items() if name in group.model_fields}
    try:
        return _validated(group, tuple((name, type(value), value) for name, value in given.items()))
    except TypeError:  # what cannot be a key is no value of a setting: let the message say so
        return group.model_validate(given)


@lru_cache(maxsize=4096)
def _validated(group: type[Part], given: tuple[tuple[str, type, Any], ...]) -> Part:
    """The group; worked out once for the same values, as most are the same in all trials of a study."""
    return group.model_validate({name: value for name, _, value in given})
