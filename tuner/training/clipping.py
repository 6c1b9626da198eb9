"""Clipping by the global gradient norm (Pascanu et al. 2013), without bringing the norm to the host."""

from __future__ import annotations

import torch
from torch import Tensor


def norms(tensors: list[Tensor]) -> Tensor:
    """The 2-norm of each of `tensors`: float32 (len(tensors),), on their device."""
    return torch.stack(torch._foreach_norm(tensors, 2, torch.float32))


def global_norm(tensors: list[Tensor]) -> Tensor:
    """The 2-norm of all `tensors` taken as one vector: a float32 scalar on their device."""
    total: Tensor = torch.linalg.vector_norm(norms(tensors))
    return total


def clip_divisor(norm: Tensor, clip_norm: float) -> Tensor:
    """What to divide the gradients by so that their norm is at most `clip_norm`; 1 where it already is.

    The inverse of the factor of torch.nn.utils.clip_grad_norm_, min(1, clip_norm / (norm + 1e-6)): a divisor is what
    torch's fused kernels take, and saves a pass over the gradients.
    """
    return ((norm + 1e-6) / clip_norm).clamp(min=1.0)
