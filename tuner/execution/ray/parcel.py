"""A job on its way to the workers: put into Ray's object store once, sent to a node once, there for its workers.

Large NumPy arrays travel beside the pickle (protocol 5, out of band). A node keeps one copy of them, in shared memory,
on which the arrays of all its workers are built: they can be read, not written. What is small, and everything that is
no array, each worker has for itself; so has it torch's tensors, as nothing would keep them from being written to.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from ray import cloudpickle

from tuner.execution._base import Job

SHARED_FROM = 1 << 20
"""Arrays of so many bytes are shared; smaller ones are not worth being read-only."""


@final
@dataclass(frozen=True)
class Parcel:
    """A pickled Job, and the contents of its large arrays."""

    pickled: bytes
    arrays: list[np.ndarray[Any, Any]]


def pack(job: Job) -> Parcel:
    """Raises whatever an objective's reduction raises."""
    arrays: list[np.ndarray[Any, Any]] = []

    def keep_inside(buffer: pickle.PickleBuffer) -> bool:
        content = buffer.raw()
        if content.nbytes >= SHARED_FROM:
            arrays.append(np.frombuffer(content, np.uint8))
            return False
        return True

    pickled: bytes = cloudpickle.dumps(job, protocol=5, buffer_callback=keep_inside)  # type: ignore[no-untyped-call]
    return Parcel(pickled, arrays)


def unpack(parcel: Parcel) -> Job:
    """Raises whatever the import of the objective's module raises."""
    job: Job = pickle.loads(parcel.pickled, buffers=parcel.arrays)  # noqa: S301 (from the driver)
    return job
