"""What a worker does on a node other than the driver's before its first segment: look for the study's files, fetch the
task's data. On the driver's node both were done before the study began.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path

import ray

from tuner.errors import UserMistake
from tuner.execution._base import Job
from tuner.storage import LocalFolder, ObjectStore, open_storage


def node_id() -> str:
    """The node on which this process runs."""
    node: str = ray.get_runtime_context().get_node_id()
    return node


def arrive(job: Job, run: str, home: str) -> str:
    """Why no worker can begin on this node; empty if one can. `run` names the run, `home` is the driver's node."""
    if node_id() == home:
        return ""
    if why := _unseen(job):
        return why
    if getattr(job.objective, "__tuner_task__", False):
        try:
            _fetch_once(job, run)
        except Exception as error:  # noqa: BLE001  # whatever a task's code raises
            return f"cannot fetch the task's data: {type(error).__name__}: {error}"
    return ""


def _unseen(job: Job) -> str:
    storage = open_storage(job.folder)
    if isinstance(storage, LocalFolder) and not storage.folder.is_dir():
        return f"does not see the study's folder {storage}: name one that all machines share, or an object store"
    if isinstance(storage, ObjectStore):
        try:
            storage.check()
        except UserMistake as error:
            return f"cannot use the study's files: {error}"
    return ""


def _fetch_once(job: Job, run: str) -> None:
    """Let the first worker on this node fetch the data, and the others wait. If it fails, the next one tries again."""
    path = Path(tempfile.gettempdir()) / f"tuner-{os.getuid()}-fetched-{run}-{node_id()}"
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # released when the file is closed, or its process dies
        if file.tell() == 0:
            job.objective.fetch()
            file.write(b"fetched\n")
