"""What a worker died of, from what Ray says of it."""

from __future__ import annotations

from pathlib import Path

from ray import cloudpickle
from ray.exceptions import ActorUnavailableError, NodeDiedError, OutOfMemoryError, RayActorError

from tuner.failures import printable
from tuner.records import Failure, FailureKind

MAX_DETAILS = 2000


def obituary(path: str | None) -> Failure:
    """`path` is the file in which Tune keeps the error that ended a worker's last life; None if it kept none.

    Ray has an attribute for a node that was preempted; the rest it says in words alone.
    """
    error = None if path is None else _read(Path(path))
    words = "" if error is None else printable(str(error))
    kind, message = _found(error, words)
    return Failure(kind, message, words[-MAX_DETAILS:])


def _read(path: Path) -> BaseException | None:
    """The error; None where Tune could not write it, which is no reason to lose a worker's trial."""
    try:
        error: BaseException = cloudpickle.loads(path.read_bytes())
    except OSError:
        return None
    return error


def _found(error: BaseException | None, words: str) -> tuple[FailureKind, str]:
    if isinstance(error, RayActorError) and error.preempted:
        return FailureKind.PREEMPTED, "its node was preempted"
    if "SIGTERM" in words:
        return FailureKind.PREEMPTED, "its worker was asked to end (SIGTERM)"
    if isinstance(error, NodeDiedError) or "node has died" in words or "node was terminated" in words:
        return FailureKind.NODE_LOST, "its worker's node went away"
    if isinstance(error, OutOfMemoryError) or "running low on memory" in words:
        return FailureKind.WORKER_LOST, "its worker was ended, as its node ran low on memory"
    if isinstance(error, ActorUnavailableError):  # the connection broke: it takes Ray seconds to know a node for dead
        return FailureKind.WORKER_LOST, "its worker cannot be reached any more: its process or its node went away"
    if isinstance(error, ActorUnavailableError):  # the connection broke: it takes Ray seconds to know a node for dead
        return FailureKind.WORKER_LOST, "its worker cannot be reached any more: its process or its node went away"
    return FailureKind.WORKER_LOST, "its worker went away"
