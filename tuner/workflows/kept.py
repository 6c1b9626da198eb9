"""The checkpoints that a study keeps of its trials: which there are, and what is in them."""

from __future__ import annotations

from typing import Any, Literal

from tuner.control import best_of
from tuner.errors import CheckpointError, UserMistake, shown
from tuner.records import Checkpoint, Report
from tuner.spec import StudySpec
from tuner.storage import Storage

Which = Literal["best", "last"]


def find_checkpoint(spec: StudySpec, reports: list[Report], which: Which) -> Checkpoint:
    """The newest checkpoint of a trial's reports, or that of the report that was best by the study's metric.

    Raises UserMistake for another word, CheckpointError if there is none.
    """
    if which not in ("best", "last"):
        raise UserMistake(f"which checkpoint must be 'best' or 'last', got {shown(which)}")
    kept = {report.resource: report.checkpoint for report in reports if report.checkpoint is not None}
    losses = {report.resource: spec.metric.loss(report.metrics.get(spec.metric.name)) for report in reports}
    if which == "last":
        resource = max(kept, default=None)
    else:
        resource = best_of({resource: losses[resource] for resource in kept})
    if resource is None:
        why = (
            "its objective gave none to trial.report" if not kept else f"none of them with a finite {spec.metric.name}"
        )
        raise CheckpointError(f"the trial has no {which} checkpoint: {why}")
    found = kept[resource]
    assert found is not None
    return found


def load_checkpoint(storage: Storage, kept: Checkpoint, unit: str) -> dict[str, Any]:
    """The state in a checkpoint of the study's files. Raises CheckpointError if it is gone or damaged."""
    from tuner.training.checkpoint import get

    try:
        return get(storage, kept.path, sha256=kept.sha256, size=kept.size)
    except CheckpointError as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
        raise CheckpointError(
            f"the checkpoint of {unit} {kept.resource} is not there any more: {storage.path(kept.path)}",
            hint="checkpoint.keep says how many of the newest stay, checkpoint.best whether the best one does.",
        ) from None
