"""What the slots of a group compute in a step and in an evaluation, as functions of their stacked tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, final

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap

from tuner.training import update_rules
from tuner.training.dropout import restart
from tuner.training.optimizer import STATE_NAMES
from tuner.training.regularisation import smoothed_loss
from tuner.training.settings import OptimizerSettings
from tuner.training.task import Task

Named = Mapping[str, Tensor]


@final
class BatchLoss(nn.Module):
    """A task's training loss of a batch, penalty included, as a module: so that it can be given a slot's tensors."""

    def __init__(self, task: Task, model: nn.Module) -> None:
        super().__init__()
        self.task, self.model = task, model

    def forward(
        self, inputs: Tensor, targets: Tensor, progress: Tensor, smoothing: Tensor | None, counted: Tensor
    ) -> Tensor:
        """A scalar. `counted` (rows,): which rows are the slot's own, where the batch is padded.

        The loss of the batch is taken as the mean of its rows' losses, as accumulation over micro-batches takes it.
        """
        task, model = self.task, self.model
        restart(model)
        outputs = task.forward(model, task.augment(task.prepare(inputs)), progress)

        def loss_of_row(output: Tensor, target: Tensor) -> Tensor:
            output, target = output.unsqueeze(0), target.unsqueeze(0)
            if smoothing is None:
                return task.loss(output, target)
            return smoothed_loss(task, output, target, smoothing)

        rows = vmap(loss_of_row)(outputs, targets)
        loss = torch.where(counted, rows, 0.0).sum() / counted.sum()
        penalty = task.penalty(model)
        return loss if penalty is None else loss + penalty


@final
class Measures(nn.Module):
    """A task's measures of a batch in evaluation, as a module."""

    def __init__(self, task: Task, model: nn.Module) -> None:
        super().__init__()
        self.task, self.model = task, model

    def forward(self, inputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """float64 scalars."""
        found = self.task.measures(self.model, self.task.prepare(inputs), targets)
        return {name: value.double() for name, value in found.items()}


def gradients_and_losses(
    loss: BatchLoss, parameters: Named, rest: Named, batch: Sequence[Any]
) -> tuple[dict[str, Tensor], Tensor]:
    """Of each slot's batch: {parameter: gradient}, and the losses (slots,).

    `parameters` and `rest` are the model's, by name; `batch` the arguments of `BatchLoss.forward`. Each tensor has the
    slots as its first dimension.
    """

    def of_slot(own: Named, rest: Named, *batch: Any) -> Tensor:
        value: Tensor = functional_call(loss, _within({**own, **rest}), batch)
        return value

    in_dims = (0, 0 if rest else None, *(None if part is None else 0 for part in batch))
    gradients, losses = vmap(grad_and_value(of_slot), in_dims=in_dims)(parameters, rest, *batch)
    return gradients, losses


def measures(module: Measures, tensors: Named, inputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """What each slot (of stacked `tensors`) measures on the same rows: {name: (slots,)}."""

    def of_slot(own: Named) -> dict[str, Tensor]:
        values: dict[str, Tensor] = functional_call(module, _within(own), (inputs, targets))
        return values

    found: dict[str, Tensor] = vmap(of_slot)(tensors)
    return found


def _within(tensors: Named) -> dict[str, Tensor]:
    return {f"model.{name}": tensor for name, tensor in tensors.items()}


def norms(tensors: Mapping[str, Tensor]) -> Tensor:
    """The 2-norm of each slot's part of stacked `tensors`, taken as one vector: (slots,)."""
    parts = [torch.linalg.vector_norm(tensor.reshape(len(tensor), -1), dim=1) for tensor in tensors.values()]
    total: Tensor = torch.linalg.vector_norm(torch.stack(parts), dim=0)
    return total


class Rule(NamedTuple):
    """What the slots' updates have in common."""

    settings: OptimizerSettings
    decays: Mapping[str, bool]
    """Which parameters weight decay pulls on."""
    multipliers: Mapping[str, float]
    """What each parameter's learning rate is multiplied by."""

    def corrections(self, updates: Tensor, vectors: Named) -> update_rules.Corrections | None:
        """Of Adam's moments, before the update after `updates` (slots,)."""
        if self.settings.optimizer in ("adam", "adamw"):
            first, second = update_rules.bias_corrections(updates, vectors["beta1"], vectors["beta2"])
            return first.float(), second.float()
        return None


class Verdict(NamedTuple):
    """What a step's losses and gradients say of it, each (slots,)."""

    lr: Tensor
    divisor: Tensor
    """What the gradients are divided by, so that they are clipped."""
    stays: Tensor
    """Whether the slot stays as it is: nothing to train in it, or nothing finite."""
    corrections: update_rules.Corrections | None


@torch.no_grad()
def update(
    rule: Rule,
    parameters: Named,
    state: Mapping[str, Named],
    updates: Tensor,
    vectors: Named,
    gradients: Named,
    verdict: Verdict,
) -> None:
    """An update of each slot, in place. By `torch.where`: what is not finite in a slot that stays leaves no trace."""
    for name, parameter in parameters.items():
        shape = (len(parameter), *[1] * (parameter.ndim - 1))
        columns = {key: vector.view(shape) for key, vector in vectors.items()}
        decay = columns["weight_decay"] if rule.decays[name] else 0.0
        rate = (verdict.lr * rule.multipliers[name] if rule.multipliers[name] != 1.0 else verdict.lr).view(shape)
        gradient = gradients[name] / verdict.divisor.view(shape)
        corrections = verdict.corrections
        if corrections is not None:
            corrections = corrections[0].view(shape), corrections[1].view(shape)
        own, stays = state[name], verdict.stays.view(shape)
        after, moments = _ruled(rule, parameter, gradient, own, updates.view(shape), rate, decay, columns, corrections)
        parameter.copy_(torch.where(stays, parameter, after))
        for key, tensor in moments.items():
            own[key].copy_(torch.where(stays, own[key], tensor))
    updates.add_((~verdict.stays).float())


def _ruled(
    rule: Rule,
    parameter: Tensor,
    gradient: Tensor,
    own: Named,
    updates: Tensor,
    lr: Tensor,
    decay: Tensor | float,
    columns: Named,
    corrections: update_rules.Corrections | None,
) -> tuple[Tensor, dict[str, Tensor]]:
    kind = rule.settings.optimizer
    first, *second = (own[name] for name in STATE_NAMES[kind])
    state: NamedTuple
    if kind == "sgd":
        after, state = update_rules.sgd(
            parameter,
            gradient,
            update_rules.SGDState(first),
            lr=lr,
            weight_decay=decay,
            momentum=columns["momentum"],
            nesterov=rule.settings.nesterov,
        )
    elif kind == "rmsprop":
        after, state = update_rules.rmsprop(
            parameter,
            gradient,
            update_rules.RMSpropState(first, second[0]),
            lr=lr,
            weight_decay=decay,
            rms_decay=columns["rms_decay"],
            momentum=columns["momentum"],
            eps=columns["eps"],
        )
    else:
        adam = update_rules.adam if kind == "adam" else update_rules.adamw
        after, state = adam(
            parameter,
            gradient,
            update_rules.AdamState(first, second[0], updates),
            lr=lr,
            weight_decay=decay,
            beta1=columns["beta1"],
            beta2=columns["beta2"],
            eps=columns["eps"],
            corrections=corrections,
        )
    return after, {name: tensor for name, tensor in state._asdict().items() if name in own}
