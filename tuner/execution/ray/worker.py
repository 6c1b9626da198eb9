"""A worker: pulls segments, runs them, and says how they ended. One Tune trial is one worker."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray import tune

from tuner.execution._base import Job
from tuner.execution.ray.arrival import arrive
from tuner.execution.ray.isolated import run_isolated
from tuner.execution.ray.lane_post import LanePost
from tuner.execution.ray.parcel import Parcel, unpack
from tuner.execution.ray.postbox import Postbox
from tuner.execution.trial_run import run_segment
from tuner.failures import failure_of
from tuner.records import Ending, SegmentEnd


def work(
    tune_config: Mapping[str, Any],
    *,
    mailbox: Any,
    parcel: Parcel,
    path: list[str],
    gpus: float,
    run: str,
    home: str,
    lanes: bool,
) -> None:
    """The Tune trainable: one worker's life. `run` names the run, `home` is the driver's node; `lanes` says that the
    worker is a lane.
    """
    del tune_config
    sys.path.extend(entry for entry in path if entry not in sys.path)
    worker = tune.get_context().get_trial_id()
    post = LanePost(mailbox, worker) if lanes else Postbox(mailbox, worker)
    try:
        job = unpack(parcel)
    except Exception as error:  # noqa: BLE001  # the objective's module, or one that it imports, is not to be had here
        post.broken(f"on {platform.node()} cannot load the objective: {type(error).__name__}: {error}")
        return
    if why := arrive(job, run, home):
        post.broken(f"on {platform.node()} {why}")
        return
    if isinstance(post, LanePost):
        from tuner.execution.ray.lane_worker import work_in_lane  # imports torch: only for those who need it

        work_in_lane(job, post, gpus)
    else:
        _work_alone(job, post, gpus)


def _work_alone(job: Job, postbox: Postbox, gpus: float) -> None:
    """Segments one after the other."""
    postbox.timeout = job.timeouts.report
    run_one = run_isolated if job.resources.isolate else run_segment
    end: SegmentEnd | None = None
    while (segment := postbox.pull(end)) is not None:
        try:
            end = run_one(job, segment, postbox.send, abandon=postbox.abandon, gpus=gpus)
        except Exception as error:  # noqa: BLE001  # a full disk, a folder that went away: this segment's failure
            end = SegmentEnd(segment.trial, segment.index, Ending.FAILED, failure_of(error))


def search_path() -> list[str]:
    """Where the driver imports from, and so its workers: its working directory, and what is on its path."""
    here = str(Path.cwd())
    return [here, *(entry or here for entry in sys.path)]
