"""Clipping gradients by their global norm (Pascanu et al. 2013) or by value, without bringing anything to the host."""

from __future__ import annotations

import torch
from torch import Tensor

DOUBLES = (torch.float64, torch.complex128)


def norms(tensors: list[Tensor]) -> Tensor:
    """The 2-norm of each of `tensors`: (len(tensors),), on their device; float32, or float64 if one of them is."""
    # torch computes no norm in a type narrower than the tensor's, and in bfloat16 a sum of squares is too coarse
    wide = any(tensor.dtype in DOUBLES for tensor in tensors)
    return torch.stack(torch._foreach_norm(tensors, 2, torch.float64 if wide else torch.float32))


def global_norm(tensors: list[Tensor]) -> Tensor:
    """The 2-norm of all `tensors` taken as one vector: a scalar on their device, of the type that `norms` has."""
    total: Tensor = torch.linalg.vector_norm(norms(tensors))
    return total


def clip_divisor(norm: Tensor, clip_norm: float | Tensor) -> Tensor:
    """What to divide the gradients by so that their norm is at most `clip_norm`; 1 where it already is. A float32.

    The inverse of the factor of torch.nn.utils.clip_grad_norm_, min(1, clip_norm / (norm + 1e-6)): a divisor is what
    torch's fused kernels take (in float32, whatever the gradients are), and saves a pass over the gradients.
    """
    return ((norm + 1e-6) / clip_norm).clamp(min=1.0).float()


def clip_values(gradients: list[Tensor], clip_value: float, scale: Tensor | None) -> None:
    """Bring each gradient into [-clip_value, clip_value], in place; where they are scaled, so is the bound."""
    if scale is None:
        torch._foreach_clamp_min_(gradients, -clip_value)
        torch._foreach_clamp_max_(gradients, clip_value)
        return
    bound = scale * clip_value
    for gradient in gradients:
        gradient.clamp_(-bound, bound)
