"""What the trainer reads from a configuration: optimizer, schedule, batch size, clipping."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tuner.records import Config
from tuner.spec.base import Part

Positive = Annotated[float, Field(gt=0)]
Momentum = Annotated[float, Field(ge=0, lt=1)]


class TrainerSettings(Part):
    """The trainer's own part of a configuration; every other key is the model's business."""

    lr: Positive = Field(1e-3, description="The learning rate at the peak of the schedule.")
    batch_size: Annotated[int, Field(ge=1)] = Field(128, description="Samples per step.")
    optimizer: Literal["sgd", "adamw"] = "adamw"
    momentum: Momentum = Field(0.9, description="Of sgd.")
    nesterov: bool = Field(False, description="Nesterov's form of sgd's momentum.")
    beta1: Momentum = Field(0.9, description="Of adamw: how slowly the mean of the gradients moves.")
    beta2: Momentum = Field(0.999, description="Of adamw: how slowly the mean of their squares moves.")
    eps: Positive = Field(1e-8, description="Of adamw: added to the denominator.")
    weight_decay: Annotated[float, Field(ge=0)] = Field(
        0.0,
        description="Decoupled for adamw (Loshchilov & Hutter 2019), an L2 term in the gradient for sgd, as in torch.",
    )
    decay_biases_and_norms: bool = Field(False, description="Whether weight decay pulls on them, too.")
    schedule: Literal["constant", "cosine"] = "constant"
    warmup: Annotated[float, Field(ge=0, le=1)] = Field(0.0, description="The share of all steps in which lr rises.")
    clip_norm: Positive | None = Field(None, description="The largest global gradient norm that passes; null is off.")

    @classmethod
    def from_config(cls, config: Config) -> TrainerSettings:
        """The settings that `config` names, defaults for the rest. Raises SpecError at the key whose value is wrong."""
        return cls.model_validate({name: value for name, value in config.items() if name in cls.model_fields})
