"""Random numbers as functions of (trial's seed, purpose, epoch); torch's own generators are left as they were."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from tuner.seeds import derive_seed


@contextmanager
def seeded(device: torch.device, seed: int, *place: int | str) -> Iterator[None]:
    """Inside, torch's generators (CPU and `device`) run from derive_seed(seed, *place); afterwards they are back.

    For what takes no generator of its own: the initialisation of modules, and dropout.
    """
    # torch.manual_seed would also move the generators of GPUs that this trial has nothing to do with.
    here = derive_seed(seed, *place)
    on_gpu = device.type == "cuda"
    devices = [torch.cuda.current_device() if device.index is None else device.index] if on_gpu else []
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(here)
        for index in devices:
            with torch.cuda.device(index):
                torch.cuda.manual_seed(here)
        yield


def permutation(n: int, seed: int, *place: int | str) -> Tensor:
    """A random order of 0..n-1 (int64, CPU), the same on every device and machine."""
    generator = torch.Generator().manual_seed(derive_seed(seed, *place))
    return torch.randperm(n, generator=generator)


@contextmanager
def cpu_threads(n: int) -> Iterator[None]:
    """Inside, torch computes with `n` CPU threads; afterwards with as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)
