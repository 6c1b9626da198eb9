"""One process, or several that share a trial's batches: what a rank does, and how the ranks agree."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tuner.training.data import EvaluationSet


@dataclass(frozen=True)
class Ranks:
    """A process among the `size` that train together (1: alone); they talk by torch.distributed."""

    rank: int = 0
    size: int = 1

    @property
    def alone(self) -> bool:
        """Whether nobody else trains this trial."""
        return self.size == 1

    def rows(self, batch: Tensor) -> Tensor:
        """The rank's part of a batch's row numbers. A batch of fewer rows than ranks is everybody's, whole."""
        return batch if len(batch) < self.size else batch[self.rank :: self.size]

    def weight(self, n_here: int, n_batch: int) -> float:
        """What this rank's mean loss counts, so that the mean over ranks of the gradients is the batch's gradient."""
        return self.size * n_here / n_batch if n_batch >= self.size else 1.0

    def part(self, examples: EvaluationSet) -> EvaluationSet:
        """The rank's part of an evaluation's rows; all of them where they are fewer than ranks."""
        if self.alone or len(examples) < self.size:
            return examples
        rows = torch.arange(len(examples)) if examples.rows is None else examples.rows
        return EvaluationSet(examples.source, rows[self.rank :: self.size])

    def total(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The sums over ranks of scalars that each rank has under the same names."""
        if self.alone:
            return dict(values)
        summed = self.sum(torch.stack([values[name].double() for name in sorted(values)]))
        return dict(zip(sorted(values), summed.unbind(), strict=True))

    def sum(self, values: Tensor) -> Tensor:
        """The sum over ranks of a tensor of equal shape on each."""
        if not self.alone:
            torch.distributed.all_reduce(values)
        return values

    def wrap(self, model: nn.Module, device: torch.device, *, freezes: bool) -> nn.Module:
        """The model as it is called in training: under DDP, which averages gradients while backward runs.

        `freezes`: parts of it are not trained at times, which DDP must look out for.
        """
        if self.alone:
            return model
        return nn.parallel.DistributedDataParallel(
            model,
            device_ids=[device] if device.type == "cuda" else None,
            gradient_as_bucket_view=True,
            find_unused_parameters=freezes,
        )

    def accumulating(self, model: nn.Module) -> AbstractContextManager[Any]:
        """Inside, backward leaves gradients on their rank: for all micro-batches but the last."""
        return model.no_sync() if isinstance(model, nn.parallel.DistributedDataParallel) else nullcontext()


ALONE = Ranks()
