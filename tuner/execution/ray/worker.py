"""A worker: pulls segments, runs them, and says how they ended. One Tune trial is one worker."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray import cloudpickle, tune

from tuner.execution._base import Job
from tuner.execution.failures import failure_of
from tuner.execution.ray.isolated import run_isolated
from tuner.execution.ray.postbox import Postbox
from tuner.execution.trial_run import run_segment
from tuner.records import Ending, SegmentEnd


def work(tune_config: Mapping[str, Any], *, mailbox: Any, job_bytes: bytes, path: list[str], gpus: float) -> None:
    """The Tune trainable: one worker's life."""
    del tune_config
    sys.path.extend(entry for entry in path if entry not in sys.path)
    postbox = Postbox(mailbox, tune.get_context().get_trial_id())
    try:
        job: Job = cloudpickle.loads(job_bytes)
    except Exception as error:  # noqa: BLE001  # the objective's module, or one that it imports, is not to be had here
        postbox.broken(f"{type(error).__name__}: {error}")
        return
    postbox.timeout = job.timeouts.report
    run = run_isolated if job.resources.isolate else run_segment
    end: SegmentEnd | None = None
    while (segment := postbox.pull(end)) is not None:
        try:
            end = run(job, segment, postbox.send, abandon=postbox.abandon, gpus=gpus)
        except Exception as error:  # noqa: BLE001  # a full disk, a folder that went away: this segment's failure
            end = SegmentEnd(segment.trial, segment.index, Ending.FAILED, failure_of(error))


def search_path() -> list[str]:
    """Where the driver imports from, and so its workers: its working directory, and what is on its path."""
    here = str(Path.cwd())
    return [here, *(entry or here for entry in sys.path)]
