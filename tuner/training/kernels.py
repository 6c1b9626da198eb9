"""Update rules in place, for lists of parameters: torch's fused kernels, foreach operations, or the pure rules.

Which of them a parameter takes is known from its type and layout alone, and nothing here brings a number to the host.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from tuner.training import update_rules
from tuner.training.settings import OptimizerSettings


@dataclass(frozen=True)
class Update:
    """One step of parameters of one type: their gradients, state (a list for each of its names) and counts of steps.

    `lr`, `divisor` and `skip` are float32 scalars on the parameters' device, as in Optimizer.step.
    """

    settings: OptimizerSettings
    parameters: list[Tensor]
    gradients: list[Tensor]
    state: list[list[Tensor]]
    steps: list[Tensor]
    lr: Tensor
    weight_decay: float
    divisor: Tensor | None
    skip: Tensor | None


Kernel = Callable[[Update], None]
FUSED_DEVICES = ("cpu", "cuda")
TORCHS_PIECE = 65_536
"""Weights that torch's fused kernels give to one block of threads."""
PIECES = 24
"""Tensors that torch's fused kernels take in one launch: some thirty."""
LEAST_PIECE = 1024


def kernel(settings: OptimizerSettings, parameters: list[Tensor], state: list[Tensor]) -> Kernel:
    """What updates these parameters, whose state (the first of each) is `state`: a fused kernel where torch has one.

    The fused kernels walk through memory, so they need parameter and state in one layout.
    """
    if settings.optimizer == "rmsprop":
        return rmsprop_foreach
    alike = all(p.stride() == s.stride() for p, s in zip(parameters, state, strict=True))
    return fused if alike and parameters[0].device.type in FUSED_DEVICES else plain


def fused(update: Update) -> None:
    """The kernels under torch.optim's `fused=True`, called directly: what torch wraps around them takes longer here
    than they do. They divide the gradients where these are.
    """
    _count(update)
    gradients = [_laid_out(g, p) for g, p in zip(update.gradients, update.parameters, strict=True)]
    update, gradients = _in_pieces(update, gradients)
    if update.settings.optimizer == "sgd":
        _fused_sgd(update, gradients)
    else:
        _fused_adam(update, gradients)


def _in_pieces(update: Update, gradients: list[Tensor]) -> tuple[Update, list[Tensor]]:
    """The same update with its tensors cut into about PIECES views, while a CUDA graph is recorded.

    torch's kernel gives 65,536 weights to one block of threads, so that a small network keeps four of a GPU's 132
    multiprocessors busy. Cutting costs time on the host, which a recorded step pays once. What is computed is the same.
    """
    tensors = [*update.parameters, *gradients, *(tensor for column in update.state for tensor in column)]
    if not tensors[0].is_cuda or not torch.cuda.is_current_stream_capturing():
        return update, gradients
    size = max(LEAST_PIECE, -(-sum(parameter.numel() for parameter in update.parameters) // PIECES))
    size = -(-size // LEAST_PIECE) * LEAST_PIECE  # so that every piece is aligned
    if size >= TORCHS_PIECE or not all(tensor.is_contiguous() for tensor in tensors):
        return update, gradients

    def cut(column: list[Tensor]) -> list[Tensor]:
        return [piece for tensor in column for piece in torch.split(tensor.view(-1), size)]

    steps = [
        step
        for step, parameter in zip(update.steps, update.parameters, strict=True)
        for _ in range(-(-parameter.numel() // size))
    ]
    state = [cut(column) for column in update.state]
    return replace(update, parameters=cut(update.parameters), state=state, steps=steps), cut(gradients)


def _fused_sgd(update: Update, gradients: list[Tensor]) -> None:
    torch._fused_sgd_(
        update.parameters,
        gradients,
        update.state[0] if update.settings.momentum else [],  # torch has no buffer without momentum
        lr=update.lr,
        weight_decay=update.weight_decay,
        momentum=update.settings.momentum,
        dampening=0.0,
        nesterov=update.settings.nesterov,
        maximize=False,
        is_first_step=False,  # the buffers start as zeros, which comes to the same
        grad_scale=update.divisor,
        found_inf=update.skip,
    )


def _fused_adam(update: Update, gradients: list[Tensor]) -> None:
    settings = update.settings
    rule = torch._fused_adam_ if settings.optimizer == "adam" else torch._fused_adamw_
    rule(
        update.parameters,
        gradients,
        update.state[0],
        update.state[1],
        [],
        update.steps,
        lr=update.lr,
        weight_decay=update.weight_decay,
        beta1=settings.beta1,
        beta2=settings.beta2,
        eps=settings.eps,
        amsgrad=False,
        maximize=False,
        grad_scale=update.divisor,
        found_inf=update.skip,
    )


def _laid_out(gradient: Tensor, parameter: Tensor) -> Tensor:
    """The gradient in the parameter's layout in memory, as it almost always is already."""
    return gradient if gradient.stride() == parameter.stride() else torch.empty_like(parameter).copy_(gradient)


def rmsprop_foreach(update: Update) -> None:
    """`update_rules.rmsprop`, for which torch has no fused kernel, a few operations for all parameters at once."""
    settings = update.settings
    old = [update.parameters, *update.state]
    # What may be skipped is worked out on copies: its gradients may hold NaNs, and 0·NaN is one.
    parameters, square_avgs, buffers = old if update.skip is None else [[t.clone() for t in column] for column in old]
    gradients = update.gradients
    if update.divisor is not None:
        gradients = list(torch._foreach_div(gradients, update.divisor))
    if update.weight_decay:
        gradients = list(torch._foreach_add(gradients, parameters, alpha=update.weight_decay))
    torch._foreach_mul_(square_avgs, settings.rms_decay)
    torch._foreach_addcmul_(square_avgs, gradients, gradients, value=1 - settings.rms_decay)
    spread = torch._foreach_sqrt(square_avgs)
    torch._foreach_add_(spread, settings.eps)
    direction = list(torch._foreach_div(gradients, spread))
    if settings.momentum:
        torch._foreach_mul_(buffers, settings.momentum)
        torch._foreach_add_(buffers, direction)
        direction = buffers
    torch._foreach_sub_(parameters, torch._foreach_mul(direction, update.lr))
    if update.skip is not None:
        _replace(update, parameters, [square_avgs, buffers])
    _count(update)


def plain(update: Update) -> None:
    """The pure rules, parameter by parameter, for devices and layouts that torch has no fused kernel for."""
    new_parameters, new_state = [], []
    for parameter, gradient, step, *state in zip(
        update.parameters, update.gradients, update.steps, *update.state, strict=True
    ):
        divided = gradient if update.divisor is None else gradient / update.divisor
        new, kept = _by_rule(update, parameter, divided, step, state)
        new_parameters.append(new)
        new_state.append(kept[: len(state)])  # the rule's own count of steps is the same
    _replace(update, new_parameters, [list(column) for column in zip(*new_state, strict=True)])
    _count(update)


def _by_rule(
    update: Update, parameter: Tensor, gradient: Tensor, step: Tensor, state: list[Tensor]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    settings = update.settings
    # In float32, 1 - lr·λ would lose a double's digits.
    lr = update.lr.double() if parameter.dtype == torch.float64 else update.lr
    common: dict[str, Any] = {"lr": lr, "weight_decay": update.weight_decay}
    if settings.optimizer == "sgd":
        common |= {"momentum": settings.momentum, "nesterov": settings.nesterov}
        return update_rules.sgd(parameter, gradient, update_rules.SGDState(*state), **common)
    if settings.optimizer == "rmsprop":
        common |= {"rms_decay": settings.rms_decay, "momentum": settings.momentum, "eps": settings.eps}
        return update_rules.rmsprop(parameter, gradient, update_rules.RMSpropState(*state), **common)
    rule = update_rules.adam if settings.optimizer == "adam" else update_rules.adamw
    common |= {"beta1": settings.beta1, "beta2": settings.beta2, "eps": settings.eps}
    return rule(parameter, gradient, update_rules.AdamState(state[0], state[1], step), **common)


def _count(update: Update) -> None:
    """Count the step, unless it is skipped."""
    taken = torch.ones_like(update.lr) if update.skip is None else 1.0 - update.skip
    # A list of tensors: on a CPU a number takes three times as long, on a GPU one tensor is brought to the host.
    torch._foreach_add_(update.steps, [taken] * len(update.steps))


def _replace(update: Update, parameters: list[Tensor], state: list[list[Tensor]]) -> None:
    """Put the new values where the old ones are, unless the step is skipped."""
    for old, new in zip([update.parameters, *update.state], [parameters, *state], strict=True):
        if update.skip is None:
            torch._foreach_copy_(old, new)
            continue
        skipped = update.skip > 0
        for tensor, value in zip(old, new, strict=True):
            torch.where(skipped, tensor, value, out=tensor)
