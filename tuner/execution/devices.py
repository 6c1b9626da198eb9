"""Which device a worker computes on."""

from __future__ import annotations

from typing import Final

from tuner.errors import SpecError
from tuner.execution._base import Job
from tuner.spec import Resources

LANES_PER_GPU: Final = 2
"""A lane's host has work of its own, in Python: on an H200 with 16 cores one lane of 1,024 slots trained 399 epochs of
the MNIST MLP a second, two 547, four of 512 slots 504.
"""


def gpus_per_worker(job: Job, available: float, *, lanes: bool = False) -> float:
    """The GPUs of one worker, where `available` is what the machine or cluster has.

    Raises SpecError if the spec asks for more than there are.
    """
    wanted = job.resources.gpus
    if wanted == "auto":
        # Ray would put two halves on one GPU, also where there is another.
        share = 1 / LANES_PER_GPU if lanes and (job.parallel is None or job.parallel > available) else 1.0
        return share if available >= 1 and getattr(job.objective, "wants_gpu", False) else 0.0
    if wanted > available:
        raise SpecError(
            f"{wanted:g} GPUs for a worker, but there are {available:g}",
            path="resources.gpus",
            hint="Ask for fewer, a share such as 0.5, or auto.",
        )
    return float(wanted)


AUTO_SLOTS: Final = {"cpu": 64, "cuda": 1024}
"""The trials that a lane trains at once with `resources.slots: auto`, by its device."""


def slots_of(resources: Resources, gpus: float) -> int:
    """The trials that a lane with that many GPUs trains at once."""
    return AUTO_SLOTS[device_of(gpus)] if resources.slots == "auto" else resources.slots


def device_of(gpus: float) -> str:
    """The device of a worker with that many GPUs, as torch names it."""
    return "cuda" if gpus > 0 else "cpu"


def local_gpus(job: Job) -> float:
    """The GPUs of a worker in this process. torch is asked only where a GPU could be wanted."""
    wanted = job.resources.gpus
    if wanted == 0 or (wanted == "auto" and not getattr(job.objective, "wants_gpu", False)):
        return 0.0
    import torch

    return gpus_per_worker(job, torch.cuda.device_count())
