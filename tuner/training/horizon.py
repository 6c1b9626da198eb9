"""Whether what a trial learns up to a resource hangs on how far it is going to go."""

from __future__ import annotations

from typing import Any

from tuner.records import Config
from tuner.training.schedules import needs_horizon
from tuner.training.settings import TrainerSettings


def is_horizon_free(task: Any, config: Config) -> bool:
    """Whether a Task's trial of `config` trains alike under every horizon: nothing in it is laid out over its length.

    `uses_horizon` of the Task says that its own `forward` looks at `progress`.
    """
    settings = TrainerSettings.from_config(config)
    return not (
        task.uses_horizon
        or needs_horizon(settings.schedule)
        or (settings.averaging.averaging != "none" and settings.averaging.average_from > 0)
        or settings.batches.curriculum is not None
        or settings.optimizer.freeze
    )
