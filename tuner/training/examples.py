"""Examples: rows of inputs and their targets, on one device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Examples:
    """`inputs` and `targets` of equally many rows, on one device."""

    inputs: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, rows: Tensor) -> Examples:
        """The given rows (int64, on the same device), copied."""
        return Examples(self.inputs.index_select(0, rows), self.targets.index_select(0, rows))

    def batches(self, rows: Sequence[Tensor], epoch: int) -> Iterator[Examples]:  # noqa: ARG002 - as a loader's
        """One batch for each tensor of row numbers, in their order."""
        for chosen in rows:
            yield self.take(chosen.to(self.inputs.device, non_blocking=True))

    def slices(self, size: int) -> Iterator[Examples]:
        """All rows in their order, `size` at a time, as views."""
        for first in range(0, len(self), size):
            yield Examples(self.inputs[first : first + size], self.targets[first : first + size])
