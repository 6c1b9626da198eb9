"""Random numbers as functions of (trial's seed, purpose, step or epoch); torch's generators are left as they were."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from tuner.seeds import derive_seed
from tuner.training.splitmix import numbers


@contextmanager
def seeded(device: torch.device, seed: int, *place: int | str) -> Iterator[None]:
    """Inside, torch's generators (CPU and `device`) run from derive_seed(seed, *place); afterwards they are back.

    For what takes no generator of its own: the initialisation of modules, dropout, augmentation.
    """
    devices = [_index(device)] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        reseed(device, seed, *place)
        yield


def reseed(device: torch.device, seed: int, *place: int | str) -> None:
    """Let torch's generators run from derive_seed(seed, *place). For use inside `seeded`: 2 µs a call."""
    # torch.manual_seed would also move the generators of GPUs that this trial has nothing to do with.
    here = derive_seed(seed, *place)
    torch.default_generator.manual_seed(here)
    if device.type == "cuda":
        torch.cuda.default_generators[_index(device)].manual_seed(here)


def shuffled(states: Tensor, n: int) -> Tensor:
    """A random order of 0..n-1 for each of `states` (k, int64): (k, n) int64, the same on every device.

    Rows are sorted by the numbers that SplitMix64 has for them: by 40 bits, where two rows of a million are equal in
    half of the orders (then they stay as they are). Above these stands the order's place, so that a GPU sorts them all
    at once.
    """
    rows, orders = torch.arange(n, device=states.device), torch.arange(len(states), device=states.device)
    keys = (numbers(states[:, None], rows) & (2**40 - 1)) + (orders[:, None] << 40)
    return (keys.flatten().argsort(stable=True) % n).view(len(states), n)


def permutation(n: int, seed: int, *place: int | str) -> Tensor:
    """A random order of 0..n-1 (int64, CPU), the same on every device and machine."""
    generator = torch.Generator().manual_seed(derive_seed(seed, *place))
    return torch.randperm(n, generator=generator)


def _index(device: torch.device) -> int:
    return torch.cuda.current_device() if device.index is None else device.index
