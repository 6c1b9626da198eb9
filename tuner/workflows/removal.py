"""Checkpoints that may go. From a folder they go at once; from an object store by threads, as the network takes its
time and the driver, whom all workers wait for, must not.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import final

from tuner.storage import LocalFolder, Storage

N_THREADS = 4


@final
class Removal:
    """Removes files of a study; what cannot be removed takes up room, and is told at the end."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._pool = None if isinstance(storage, LocalFolder) else ThreadPoolExecutor(N_THREADS, "removal")
        self._under_way: dict[Future[None], str] = {}
        self._failed: dict[str, BaseException] = {}

    def remove(self, names: Iterable[str]) -> None:
        """Let these files go, now or soon."""
        for name in names:
            if self._pool is None:
                self._storage.remove(name)
            else:
                self._under_way[self._pool.submit(self._storage.remove, name)] = name
        self._take_back(future for future in list(self._under_way) if future.done())

    def finish(self) -> None:
        """Wait until they are gone; warn of those that are not."""
        self._take_back(list(self._under_way))
        if self._pool is not None:
            self._pool.shutdown()
        if self._failed:
            name, error = next(iter(self._failed.items()))
            warnings.warn(
                f"{len(self._failed)} old checkpoints are still there, such as {self._storage.path(name)}: {error}",
                RuntimeWarning,
                stacklevel=2,
            )

    def _take_back(self, futures: Iterable[Future[None]]) -> None:
        for future in futures:
            name = self._under_way.pop(future)
            if (error := future.exception()) is not None:
                self._failed[name] = error
