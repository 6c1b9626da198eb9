"""What an objective is given: the trial it runs for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from tuner.records import Config

CheckpointState = Mapping[str, Any]
"""What a checkpoint holds: JSON values, NumPy arrays, torch tensors and bytes, in dicts and lists."""


class TrialHandle(Protocol):
    """The second argument of an objective `(config, trial)`: one segment of a trial, from the inside.

    Train from resource `start` (exclusive) to `until` (inclusive) and report at each resource.
    """

    number: int
    seed: int
    """The trial's own seed: the same in each of its segments, another in every trial."""
    start: int
    until: int
    horizon: int
    """The resource over which a schedule is laid out: `until` of the trial's last segment, if it gets that far."""
    checkpoint: dict[str, Any] | None
    """What was given to `report` at resource `start`; None on a first segment."""
    folder: Path
    """A folder of the trial's own, for whatever else it writes."""
    threads: int
    """CPU threads that are this worker's."""
    device: str
    """"cpu" or "cuda": where this worker may compute."""

    def report(
        self,
        resource: int,
        /,
        *,
        checkpoint: CheckpointState | Callable[[], CheckpointState] | None = None,
        **metrics: float,
    ) -> None:
        """Report `metrics` at `resource`, together with the state to go on from: one event.

        `checkpoint` may be a function without arguments, called only when a checkpoint is due. Raises
        `tuner.StopTrial` when the trial is to end here: let it pass.
        """
        ...


ObjectiveFunction = Callable[[Config, TrialHandle], float | Mapping[str, float] | None]
"""An imperative objective: any code at all. A returned number (or mapping) is its last report."""
