"""A task's data on the device, prepared once per process, and the order in which an epoch reads it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from tuner.errors import DataError
from tuner.training.randomness import permutation
from tuner.training.task import Task, identity


@dataclass(frozen=True)
class Examples:
    """Rows of inputs and their targets, on one device."""

    inputs: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, rows: Tensor) -> Examples:
        """The given rows (int64, on the same device), copied."""
        return Examples(self.inputs.index_select(0, rows), self.targets.index_select(0, rows))


@dataclass(frozen=True)
class DeviceData:
    """Train and validation examples, and `train_subset`: rows of train, as many as validation has (or all of them).

    The subset is the same in every trial, so that gaps compare; it is what `train_eval_loss` is measured on.
    """

    train: Examples
    validation: Examples
    train_subset: Examples


_lock = threading.Lock()
_kept: tuple[object, DeviceData] | None = None


def device_data(task: Task, device: torch.device) -> DeviceData:
    """The data of `task` on `device`; prepared once and kept for the next trial of the same task.

    Only the last task's data is kept: a worker runs many trials of one task. Raises DataError if it does not fit
    together.
    """
    global _kept
    with _lock:
        key = (identity(task) or task, str(device))
        if _kept is None or _kept[0] != key:
            _kept = None  # the old data goes before the new comes
            _kept = (key, _prepare(task, device))
        return _kept[1]


def _prepare(task: Task, device: torch.device) -> DeviceData:
    splits = task.data()
    train = _examples(splits.train, "train", device)
    validation = _examples(splits.validation, "validation", device)
    rows = permutation(len(train), 0, "train subset")[: len(validation)]
    return DeviceData(train, validation, train.take(rows.to(device)))


def _examples(pair: tuple[Tensor, Tensor], split: str, device: torch.device) -> Examples:
    inputs, targets = pair
    if len(inputs) != len(targets) or len(inputs) == 0:
        raise DataError(
            f"the {split} split has {len(inputs)} inputs and {len(targets)} targets",
            hint="Task.data() must give as many targets as inputs, and at least one of each.",
        )
    return Examples(inputs.to(device).contiguous(), targets.to(device).contiguous())


def n_batches(n_examples: int, batch_size: int) -> int:
    """Steps of an epoch. The last batch may be smaller and is kept, so that an epoch sees every example once.

    Only a last batch of a single example is not: BatchNorm cannot train on one, so it joins the batch before it, which
    then has batch_size + 1. Else a searched batch size would fail by arithmetic alone (65 examples, 32 at a time).
    """
    full, rest = divmod(n_examples, batch_size)
    return full + (rest > 1 or (rest == 1 and full == 0))


def epoch_batches(examples: Examples, batch_size: int, seed: int, epoch: int) -> Iterator[Examples]:
    """The `n_batches` batches of an epoch, in the order that belongs to (seed, epoch).

    A gather per batch: on the CPU it costs 1 % of a step of a small MLP, while gathering the whole epoch at once moves
    the entire data set through memory and costs some twenty times as much (benchmarks/records, trainer_epoch).
    """
    order = permutation(len(examples), seed, "order", epoch).to(examples.inputs.device)
    last = n_batches(len(examples), batch_size) - 1
    for rows in torch.split(order, [batch_size] * last + [len(examples) - last * batch_size]):
        yield examples.take(rows)
