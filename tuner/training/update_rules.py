"""Optimizers as pure functions: (parameter, gradient, state, hyperparameters) -> (parameter, state).

They say what the trainer's optimizer computes, element by element: nothing is changed in place, and every
hyperparameter may be a tensor that broadcasts (one value per slot of a stack, say). torch.optim is the oracle in tests.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

Number = Tensor | float
Corrections = tuple[Tensor, Tensor]


class AdamState(NamedTuple):
    """Of adam and adamw: first and second moment, shaped as the parameter, and the number of updates made."""

    exp_avg: Tensor
    exp_avg_sq: Tensor
    step: Tensor


def adam(
    parameter: Tensor,
    gradient: Tensor,
    state: AdamState,
    *,
    lr: Number,
    weight_decay: Number,
    beta1: Number,
    beta2: Number,
    eps: Number,
    corrections: Corrections | None = None,
) -> tuple[Tensor, AdamState]:
    """One Adam update (Kingma & Ba 2015, algorithm 1), with the decay as an L2 term of the gradient, as in torch.

    g ← g + λθ; θ ← θ - lr·m̂/(√v̂ + eps), with m̂ and v̂ as for `adamw`.
    """
    gradient = gradient + weight_decay * parameter
    direction, state = _adaptive_direction(gradient, state, beta1, beta2, eps, corrections)
    return parameter - lr * direction, state


def adamw(
    parameter: Tensor,
    gradient: Tensor,
    state: AdamState,
    *,
    lr: Number,
    weight_decay: Number,
    beta1: Number,
    beta2: Number,
    eps: Number,
    corrections: Corrections | None = None,
) -> tuple[Tensor, AdamState]:
    """One AdamW update (Loshchilov & Hutter 2019, algorithm 2, decay scaled by lr as in torch).

    θ ← θ(1 - lr·λ) - lr·m̂/(√v̂ + eps), with bias-corrected m̂ = m/(1-β₁ᵗ) and v̂ = v/(1-β₂ᵗ). `corrections`: the
    `bias_corrections` of this update, where they are known already.
    """
    direction, state = _adaptive_direction(gradient, state, beta1, beta2, eps, corrections)
    return parameter * (1 - lr * weight_decay) - lr * direction, state


def bias_corrections(step: Tensor, beta1: Number, beta2: Number) -> Corrections:
    """1 - β₁ᵗ and 1 - β₂ᵗ of the update after `step` updates, in float64."""
    # In double precision: 1 - βᵗ cancels, and in float32 a β₂ of 0.9999 would lose three digits.
    count = step.double() + 1
    return 1 - beta1**count, 1 - beta2**count


def _adaptive_direction(
    gradient: Tensor,
    state: AdamState,
    beta1: Number,
    beta2: Number,
    eps: Number,
    corrections: Corrections | None,
) -> tuple[Tensor, AdamState]:
    first, second = bias_corrections(state.step, beta1, beta2) if corrections is None else corrections
    exp_avg = beta1 * state.exp_avg + (1 - beta1) * gradient
    exp_avg_sq = beta2 * state.exp_avg_sq + (1 - beta2) * gradient * gradient
    spread = torch.sqrt(exp_avg_sq / second.to(exp_avg.dtype)) + eps
    return exp_avg / first.to(exp_avg.dtype) / spread, AdamState(exp_avg, exp_avg_sq, state.step + 1)


class SGDState(NamedTuple):
    """The momentum buffer, shaped as the parameter; zeros before the first update."""

    momentum_buffer: Tensor


def sgd(
    parameter: Tensor,
    gradient: Tensor,
    state: SGDState,
    *,
    lr: Number,
    weight_decay: Number,
    momentum: Number,
    nesterov: bool,
) -> tuple[Tensor, SGDState]:
    """One SGD update with momentum in torch's form (Sutskever et al. 2013, without dampening).

    g ← g + λθ; b ← μb + g; θ ← θ - lr·b, or with Nesterov θ ← θ - lr·(g + μb).
    """
    gradient = gradient + weight_decay * parameter
    buffer = momentum * state.momentum_buffer + gradient
    direction = gradient + momentum * buffer if nesterov else buffer
    return parameter - lr * direction, SGDState(buffer)


class RMSpropState(NamedTuple):
    """The mean of the squared gradients and the momentum buffer, shaped as the parameter; zeros at first."""

    square_avg: Tensor
    momentum_buffer: Tensor


def rmsprop(
    parameter: Tensor,
    gradient: Tensor,
    state: RMSpropState,
    *,
    lr: Number,
    weight_decay: Number,
    rms_decay: Number,
    momentum: Number,
    eps: Number,
) -> tuple[Tensor, RMSpropState]:
    """One RMSprop update with momentum (Tieleman & Hinton 2012, lecture 6.5; not centred, eps outside the root, as in
    torch).

    g ← g + λθ; v ← αv + (1-α)g²; b ← μb + g/(√v + eps); θ ← θ - lr·b.
    """
    gradient = gradient + weight_decay * parameter
    square_avg = rms_decay * state.square_avg + (1 - rms_decay) * gradient * gradient
    buffer = momentum * state.momentum_buffer + gradient / (torch.sqrt(square_avg) + eps)
    return parameter - lr * buffer, RMSpropState(square_avg, buffer)
