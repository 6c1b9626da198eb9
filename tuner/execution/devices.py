"""Which device a worker computes on."""

from __future__ import annotations

from tuner.errors import SpecError
from tuner.execution._base import Job


def gpus_per_worker(job: Job, available: float) -> float:
    """The GPUs of one worker, where `available` is what the machine or cluster has.

    Raises SpecError if the spec asks for more than there are.
    """
    wanted = job.resources.gpus
    if wanted == "auto":
        return 1.0 if available >= 1 and getattr(job.objective, "wants_gpu", False) else 0.0
    if wanted > available:
        raise SpecError(
            f"{wanted:g} GPUs for a worker, but there are {available:g}",
            path="resources.gpus",
            hint="Ask for fewer, a share such as 0.5, or auto.",
        )
    return float(wanted)


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
