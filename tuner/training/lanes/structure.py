"""Which configurations share a program: those with one update rule, and with models of one code and shape."""

from __future__ import annotations

from collections.abc import Hashable
from functools import cache
from typing import NamedTuple

from torch import nn

from tuner.records import Config
from tuner.training.dropout import rates, rounded
from tuner.training.lanes.blueprint import Blueprint, blueprint
from tuner.training.settings import TrainerSettings, groups


class Structure(NamedTuple):
    """What the slots of a lane have in common. `model_values` are the values that are not the trainer's: those are the
    model's business, and may choose its code. One that is the rate of a dropout is not among them, if the blueprint can
    show that it chose nothing else: a slot has rates of its own.
    """

    optimizer: str
    nesterov: bool
    smooths: bool
    layer_decay: float
    decay_biases_and_norms: bool
    model_values: tuple[tuple[str, str], ...]
    tensors: tuple[Hashable, ...]
    blueprint: Blueprint | None


def structure(config: Config, settings: TrainerSettings, model: nn.Module) -> Structure:
    """The structure of `config`, of which `settings` are the trainer's part, and whose model is `model`."""
    plan = blueprint(model)
    own_rates = set() if plan is None else {rate for rate in rates(model).values() if rate > 0}
    values = {name: value for name, value in config.items() if name not in _theirs() and not _is_rate(value, own_rates)}
    return Structure(
        optimizer=settings.optimizer.optimizer,
        nesterov=settings.optimizer.nesterov,
        smooths=settings.regularisation.label_smoothing > 0,
        layer_decay=settings.optimizer.layer_decay,
        decay_biases_and_norms=settings.optimizer.decay_biases_and_norms,
        model_values=tuple(sorted((name, repr(value)) for name, value in values.items())),
        tensors=tuple((name, t.shape, t.dtype) for name, t in model.state_dict().items()),
        blueprint=plan,
    )


def _is_rate(value: object, own_rates: set[float]) -> bool:
    return isinstance(value, float) and rounded(value) in own_rates


@cache
def _theirs() -> frozenset[str]:
    """The names of the trainer's settings."""
    return frozenset(name for group in groups().values() for name in group.model_fields)
