"""A Dataset's rows on the device, batch by batch, loaded by torch's DataLoader: the same for any number of workers."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import random
import threading
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from tuner.errors import DataError, TrialFailed, TunerError
from tuner.seeds import derive_seed
from tuner.training.examples import Examples

LOOK_SECONDS = 1.0
"""How often a wait for a batch looks whether the workers are still alive."""
START_SECONDS = 60.0
"""What new workers may take beyond `timeout` for their first batch: each imports the Dataset's modules."""
PREFETCH = 2
"""Batches that each worker loads ahead."""

Plan = tuple[int, list[int]]
"""A batch to load: its epoch, and its row numbers."""


@dataclass(frozen=True)
class _Raised:
    """What the Dataset's own code raised: sent as a value, as torch rewrites the messages of what workers raise."""

    message: str
    details: str
    out_of_memory: bool
    hint: str | None


class LoaderSource:
    """Batches of a map-style Dataset of (input, target) pairs, loaded by `workers` processes (0: in this one).

    Python's, NumPy's and torch's global generators are seeded from (seed, epoch, row) before each `dataset[row]`, so
    augmentation that draws from them does not depend on the workers, nor on where an iteration began; a Dataset with
    a running generator of its own has no such promise. Seeding costs about 10 µs a row.

    `timeout` is in seconds, for one batch; it cannot be kept without workers. Workers stay from epoch to epoch. An
    iteration that is left half way ends its workers, since what they have loaded ahead is for nobody.
    """

    def __init__(
        self, dataset: Dataset[Any], device: torch.device, *, seed: int, workers: int, timeout: float = 120.0
    ) -> None:
        if not (hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")):
            raise DataError(
                f"{type(dataset).__name__} has no __getitem__ or no __len__",
                hint="The trainer shuffles rows itself: give a map-style Dataset of (input, target) pairs.",
            )
        self._rows = _SeededRows(dataset, seed)
        self._device = device
        self._workers = workers
        self._timeout = timeout
        self._idle: list[_Pool] = []

    def __len__(self) -> int:
        return len(self._rows)

    def batches(self, rows: Sequence[Tensor], epoch: int) -> Iterator[Examples]:
        """One Examples on the device for each tensor of row numbers (int64, 1-D), in order.

        Iterations may overlap. Raises TrialFailed when a worker hangs ("timeout") or dies ("worker lost"), or the
        Dataset raises ("exception", with its message); DataError when the Dataset cannot be sent to a worker.
        """
        pool = self._idle.pop() if self._idle else _Pool(self._rows, self._workers, self._timeout, self._device)
        finished = False
        try:
            for loaded in pool.load([(epoch, row_numbers.tolist()) for row_numbers in rows]):
                inputs, targets = (part.to(self._device, non_blocking=True) for part in loaded)
                yield Examples(inputs, targets)
            finished = True
        finally:
            if finished:
                self._idle.append(pool)
            else:
                pool.close()

    def close(self) -> None:
        """End the workers. The source may be used again, with new ones."""
        while self._idle:
            self._idle.pop().close()


class _Pool:
    """One DataLoader with its workers, for one iteration at a time."""

    def __init__(self, rows: _SeededRows, workers: int, timeout: float, device: torch.device) -> None:
        self._plans: list[Plan] = []  # the DataLoader's batch sampler: filled anew for each iteration
        self._timeout = timeout
        self._workers = workers
        self._started = False
        self._iterator: Any = None
        self._loader: DataLoader[Any] = DataLoader(
            rows,
            batch_sampler=self._plans,  # type: ignore[arg-type]  # whatever __getitems__ takes
            num_workers=workers,
            collate_fn=_as_is,
            pin_memory=device.type == "cuda",
            timeout=min(timeout, LOOK_SECONDS) if workers else 0,
            multiprocessing_context=_start_method() if workers else None,
            generator=torch.Generator(),  # else each iteration draws from torch's global one
            prefetch_factor=PREFETCH if workers else None,
            persistent_workers=workers > 0,
            worker_init_fn=_end_with_parent,
        )

    def load(self, plans: list[Plan]) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of `plans`, on the CPU (pinned for a GPU)."""
        self._plans[:] = plans
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Got pickle error")  # torch's advice then is to fork
                self._iterator = iter(self._loader)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise DataError(
                f"the Dataset cannot be sent to loader processes: {error}",
                hint="Define its class at the top of a module and keep nothing open in it, or set loader_workers: 0.",
            ) from None
        for _ in plans:
            loaded = self._next()
            if isinstance(loaded, _Raised):
                kind = "out of memory" if loaded.out_of_memory else "exception"
                raise TrialFailed(loaded.message, kind=kind, details=loaded.details, hint=loaded.hint)
            self._started = True
            yield loaded
        next(self._iterator, None)  # the DataLoader learns that it has come to the end

    def _next(self) -> Any:
        if not self._workers:
            with _global_generators_kept():
                return next(self._iterator)
        allowed = self._timeout if self._started else self._timeout + START_SECONDS
        deadline = time.monotonic() + allowed
        while True:
            try:
                return next(self._iterator)
            except RuntimeError as error:  # the DataLoader's own: what the Dataset raises comes as a value
                # A wait that timed out changes nothing in the iterator, so that the next call goes on waiting.
                if "timed out" not in str(error):
                    raise TrialFailed(
                        f"a process that loads the data has died: {error}",
                        kind="worker lost",
                        hint="Its own message is in the worker's output. It may have run out of memory (also of the "
                        "shared memory in /dev/shm); a script that starts a study needs `if __name__ == "
                        '"__main__":`. Or load in the trial\'s process: loader_workers: 0.',
                    ) from None
            if time.monotonic() > deadline:
                raise TrialFailed(
                    f"no batch was loaded within {allowed:g} s (loader_timeout: {self._timeout:g})",
                    kind="timeout",
                    hint="A row of the Dataset hangs or is slow: raise loader_timeout or loader_workers, or set "
                    "loader_workers: 0 to see where.",
                ) from None

    def close(self) -> None:
        """End the workers: at once where they are idle, within 5 s each where they hang."""
        if self._workers and self._iterator is not None:
            # Dropping the iterator would do the same, but an exception's traceback may hold it for long.
            self._iterator._shutdown_workers()
        self._iterator = None


class _SeededRows(Dataset[Any]):
    """A Dataset read by plans: whole batches, each row with the global generators seeded for it."""

    def __init__(self, dataset: Dataset[Any], seed: int) -> None:
        self.dataset = dataset
        self.seed = seed

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]  # checked when the source was made

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError("rows are read by plans")

    def __getitems__(self, plan: Plan) -> tuple[Tensor, Tensor] | _Raised:
        epoch, rows = plan
        row: int | None = None
        try:
            pairs = []
            for row in rows:
                _seed_global_generators(derive_seed(self.seed, "item", epoch, row))
                pairs.append(_pair(self.dataset[row]))
            row = None
            return _collated([pair[0] for pair in pairs]), _collated([pair[1] for pair in pairs])
        except Exception as error:  # noqa: BLE001 - whatever the Dataset's own code raises
            return _raised(error, "its rows do not make a batch" if row is None else f"at row {row}")


def _pair(item: Any) -> tuple[Tensor, Tensor]:
    if not isinstance(item, tuple | list) or len(item) != 2:
        raise DataError(
            f"a row must be a pair (input, target), got {type(item).__name__}",
            hint="Return (input, target), tensors or numbers, from the Dataset's __getitem__.",
        )
    return torch.as_tensor(item[0]), torch.as_tensor(item[1])


def _collated(tensors: list[Tensor]) -> Tensor:
    """Stacked, in a worker straight into shared memory."""
    stacked: Tensor = default_collate(tensors)
    return stacked


def _raised(error: Exception, where: str) -> _Raised:
    own = isinstance(error, TunerError)
    said = error.message if isinstance(error, TunerError) else traceback.format_exception_only(error)[-1].strip()
    return _Raised(
        message=f"the Dataset failed, {where}: {said}",
        details="" if own else "".join(traceback.format_exception(error)),
        out_of_memory=isinstance(error, MemoryError),
        hint=error.hint if isinstance(error, TunerError) else None,
    )


def _end_with_parent(_worker: int) -> None:
    """In a worker: end when the process that it loads for is gone, even if it was killed.

    torch watches the parent's number, but a worker's parent is the fork server, which lives as long as its workers do.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, name="end-with-parent", daemon=True).start()


def _as_is(batch: Any) -> Any:
    return batch


def _seed_global_generators(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.default_generator.manual_seed(seed)


@contextmanager
def _global_generators_kept() -> Iterator[None]:
    """Python's, NumPy's and torch's CPU generator are afterwards as they were."""
    python, numpy, of_torch = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(of_torch)


def _start_method() -> Any:
    """How workers start. Not by fork: a copy of a process with torch's threads may wait for ever for one that it lacks.

    A fork server is a fresh process that has imported torch and computed nothing, and forks in milliseconds, where
    spawn would import torch for every worker of every trial. The server ends with this process.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])  # without __main__, which may start threads
    return context
