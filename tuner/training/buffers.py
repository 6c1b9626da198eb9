"""A model's buffers (a batch norm's running statistics) follow the data in the forward pass, before it is known whether
the step is taken. One that is not taken must not move them either: a single NaN would stay in them for ever.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

Kept = Sequence[tuple[Tensor, Tensor]]
"""Buffers, each with a copy of what it held."""


def keep(model: nn.Module) -> Kept:
    """The buffers of `model` as they are now."""
    return [(buffer, buffer.detach().clone()) for buffer in model.buffers()]


@torch.no_grad()
def put_back(kept: Kept, skip: Tensor) -> None:
    """Let the buffers hold what they held, bit for bit, if `skip` (a scalar on their device) is 1; not if it is 0.

    Nothing waits for the device.
    """
    for buffer, before in kept:
        buffer.copy_(torch.where(skip > 0, before, buffer))
