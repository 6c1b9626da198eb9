"""A model's buffers (a batch norm's running statistics) follow the data in the forward pass, before it is known whether
the step is taken. One that is not taken must not move them either: a single NaN would stay in them for ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Held(NamedTuple):
    """A buffer's place in the model, the tensor that was there (None: nothing yet), and a copy of what it held.

    The place counts, as a model may change the tensor or put another there (`self.mean = 0.9 * self.mean + ...`).
    """

    module: nn.Module
    name: str
    tensor: Tensor | None
    before: Tensor | None


Kept = Sequence[Held]


@torch.no_grad()
def keep(model: nn.Module) -> Kept:
    """The buffers of `model` as they are now."""
    places = [(module, name, tensor) for module in model.modules() for name, tensor in module._buffers.items()]
    copies = [None if tensor is None else torch.empty_like(tensor) for _, _, tensor in places]
    kept = [Held(*place, copy) for place, copy in zip(places, copies, strict=True)]
    _copy([(held.before, held.tensor) for held in kept])
    return kept


@torch.no_grad()
def restore(kept: Kept) -> None:
    """Let the buffers be those that they were, and hold what they held."""
    for held in kept:
        held.module._buffers[held.name] = held.tensor
    _copy([(held.tensor, held.before) for held in kept])


@torch.no_grad()
def put_back(kept: Kept, skip: Tensor) -> None:
    """Let the buffers hold what they held, bit for bit, if `skip` (a scalar on their device) is 1; not if it is 0.

    Nothing waits for the device. A buffer that had no value, or one of another shape, keeps the new one: which it
    is to be would have to be known to the host.
    """
    for held in kept:
        tensor = held.module._buffers[held.name]
        if tensor is not None and held.before is not None and tensor.shape == held.before.shape:
            tensor.copy_(torch.where(skip > 0, held.before, tensor))


def _copy(pairs: list[tuple[Tensor | None, Tensor | None]]) -> None:
    """Each pair's second into its first. One kernel for all of a type, where there is one: a deep network has hundreds
    of buffers.
    """
    there = [(target, source) for target, source in pairs if target is not None and source is not None]
    for dtype in {source.dtype for _, source in there}:
        alike = [pair for pair in there if pair[1].dtype == dtype]
        torch._foreach_copy_([target for target, _ in alike], [source for _, source in alike])
