"""A task's data, prepared once per process: examples on the device, or a Dataset that is loaded batch by batch."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor
from torch.utils.data import Dataset

from tuner.errors import DataError
from tuner.training.curriculum import easiest_first
from tuner.training.examples import Examples
from tuner.training.loader import LoaderSource
from tuner.training.randomness import permutation
from tuner.training.settings import BatchSettings
from tuner.training.task import Task, identity


class Source(Protocol):
    """Rows that can be had as batches on the device."""

    def __len__(self) -> int: ...

    def batches(self, rows: Sequence[Tensor], epoch: int) -> Iterator[Examples]:
        """One batch for each tensor of row numbers (int64, on the CPU), in their order."""
        ...


@dataclass(frozen=True)
class EvaluationSet:
    """The rows of a source that are measured on: all of them, or those that `rows` names."""

    source: Source
    rows: Tensor | None = None

    def __len__(self) -> int:
        return len(self.source) if self.rows is None else len(self.rows)

    def batches(self, size: int) -> Iterator[Examples]:
        """All rows in their order, `size` at a time."""
        if self.rows is None and isinstance(self.source, Examples):
            yield from self.source.slices(size)  # views: nothing is copied
            return
        rows = torch.arange(len(self.source)) if self.rows is None else self.rows
        yield from self.source.batches(torch.split(rows, size), 0)


@dataclass
class TaskData:
    """What a trial trains and is measured on.

    `train_subset`: rows of train, as many as validation has (or all of them), the same in every trial, so that gaps
    compare; it is what `train_eval_loss` is measured on. `also`: the task's further examples.
    """

    train: Source
    validation: EvaluationSet
    train_subset: EvaluationSet
    also: Mapping[str, EvaluationSet] = field(default_factory=dict)
    easiest_first: Tensor | None = None
    """The rows of train from the easiest on, where there is a curriculum."""

    def close(self) -> None:
        """End the processes that load a Dataset."""
        for source in (self.train, self.validation.source):
            if isinstance(source, LoaderSource):
                source.close()


@dataclass
class _Kept:
    """A task's splits, with what is on the device already."""

    train: Examples | Dataset[tuple[Tensor, Tensor]]
    validation: Examples | Dataset[tuple[Tensor, Tensor]]
    subset_rows: Tensor
    train_subset: Examples | None
    also: dict[str, Examples]
    easiest_first: Tensor | None = None


_lock = threading.Lock()
_kept: tuple[object, _Kept] | None = None


def open_data(task: Task, device: torch.device, settings: BatchSettings, *, seed: int, threads: int) -> TaskData:
    """The data of `task` for one trial. What is on the device stays there for the next trial of the same task.

    Only the last task's data is kept: a worker runs many trials of one task. Raises DataError if it does not fit
    together, SpecError for a curriculum without a score.
    """
    kept = _prepared(task, device)
    if settings.curriculum is not None and kept.easiest_first is None:
        kept.easiest_first = _order_by_difficulty(task, kept)
    workers = threads - 1 if settings.loader_workers is None else settings.loader_workers

    def source(rows: Examples | Dataset[tuple[Tensor, Tensor]]) -> Source:
        if isinstance(rows, Examples):
            return rows
        return LoaderSource(rows, device, seed=seed, workers=workers, timeout=settings.loader_timeout)

    train = source(kept.train)
    subset = EvaluationSet(kept.train_subset) if kept.train_subset else EvaluationSet(train, kept.subset_rows)
    also = {name: EvaluationSet(examples) for name, examples in kept.also.items()}
    return TaskData(train, EvaluationSet(source(kept.validation)), subset, also, kept.easiest_first)


def _prepared(task: Task, device: torch.device) -> _Kept:
    global _kept
    with _lock:
        key = (identity(task) or task, str(device))
        if _kept is None or _kept[0] != key:
            _kept = None  # the old data goes before the new comes
            _kept = (key, _prepare(task, device))
        return _kept[1]


def _prepare(task: Task, device: torch.device) -> _Kept:
    try:
        splits = task.data()
    except FileNotFoundError as error:
        raise DataError(f"the data is not there: {error}", hint="Is it on every machine, at that path?") from error
    train = _rows(splits.train, "train", device)
    validation = _rows(splits.validation, "validation", device)
    subset = permutation(_length(train), 0, "train subset")[: _length(validation)]
    train_subset = train.take(subset.to(device)) if isinstance(train, Examples) else None
    also = {name: _examples(pair, name, device) for name, pair in splits.also.items()}
    return _Kept(train, validation, subset, train_subset, also)


def _rows(rows: object, split: str, device: torch.device) -> Examples | Dataset[tuple[Tensor, Tensor]]:
    if isinstance(rows, Dataset):
        if not hasattr(rows, "__len__") or len(rows) == 0:
            raise DataError(
                f"the {split} split is a Dataset of unknown or no length",
                hint="Give a map-style Dataset, with __len__ and __getitem__, and at least one row.",
            )
        return rows
    return _examples(rows, split, device)


def _examples(pair: object, split: str, device: torch.device) -> Examples:
    if not (isinstance(pair, tuple) and len(pair) == 2 and all(isinstance(part, Tensor) for part in pair)):
        raise DataError(
            f"the {split} split is a {type(pair).__name__}",
            hint="Task.data() must give a pair of tensors (inputs, targets), or a map-style Dataset.",
        )
    inputs, targets = pair
    if len(inputs) != len(targets) or len(inputs) == 0:
        raise DataError(
            f"the {split} split has {len(inputs)} inputs and {len(targets)} targets",
            hint="Task.data() must give as many targets as inputs, and at least one of each.",
        )
    return Examples(inputs.to(device).contiguous(), targets.to(device).contiguous())


def _length(rows: Examples | Dataset[tuple[Tensor, Tensor]]) -> int:
    length: int = len(rows)  # type: ignore[arg-type]  # `_rows` has seen to it
    return length


def _order_by_difficulty(task: Task, kept: _Kept) -> Tensor:
    if not isinstance(kept.train, Examples):
        return easiest_first(None)  # raises: a Dataset has no scores
    scores = task.difficulty(kept.train.inputs, kept.train.targets)
    return easiest_first(scores).cpu()


def n_batches(n_examples: int, batch_size: int) -> int:
    """Steps of an epoch. The last batch may be smaller and is kept, so that an epoch sees every example once.

    Only a last batch of a single example is not: BatchNorm cannot train on one, so it joins the batch before it, which
    then has batch_size + 1. Else a searched batch size would fail by arithmetic alone (65 examples, 32 at a time).
    """
    full, rest = divmod(n_examples, batch_size)
    return full + (rest > 1 or (rest == 1 and full == 0))


def n_rest(n_examples: int, batch_size: int) -> int:
    """The examples of an epoch's last batch."""
    return n_examples - (n_batches(n_examples, batch_size) - 1) * batch_size


def batch_rows(order: Tensor, batch_size: int) -> tuple[Tensor, ...]:
    """The rows of each of an epoch's `n_batches` batches, where it reads in this `order`.

    A gather per batch: on the CPU it costs 1 % of a step of a small MLP, while gathering the whole epoch at once moves
    the entire data set through memory and costs some twenty times as much (benchmarks/records, trainer_epoch).
    """
    n_whole = n_batches(len(order), batch_size) - 1
    return torch.split(order, [batch_size] * n_whole + [n_rest(len(order), batch_size)])
