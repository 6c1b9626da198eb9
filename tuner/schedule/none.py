"""No scheduling: every trial runs to max_resource."""

from __future__ import annotations

from collections.abc import Collection
from typing import final

from tuner.records import Decision
from tuner.schedule._base import Stretch


@final
class FullLength:
    """One stretch per trial, to max_resource, with nothing decided on the way."""

    def __init__(self, max_resource: int) -> None:
        self.max_resource = max_resource
        self._over: dict[int, bool] = {}

    def stretch(self, trial: int) -> Stretch:
        if self._over.get(trial):
            raise ValueError(f"trial {trial} is over")
        return Stretch(trial, self.max_resource)

    def start(self, trial: int) -> Stretch:
        if trial in self._over:
            raise ValueError(f"trial {trial} was started before")
        self._over[trial] = False
        return self.stretch(trial)

    def on_report(self, trial: int, resource: int, loss: float) -> Decision:  # noqa: ARG002 (the loss decides nothing)
        self._over[trial] |= resource >= self.max_resource
        return Decision.STOP if self._over[trial] else Decision.CONTINUE

    def on_failure(self, trial: int) -> None:
        self.on_finish(trial)

    def on_finish(self, trial: int) -> None:
        self._over[trial] |= True

    def promotable(self, but: Collection[int] = ()) -> Stretch | None:  # noqa: ARG002 (a Scheduler's)
        return None

    def promote(self, trial: int) -> Stretch:
        raise ValueError(f"trial {trial} is not paused: this scheduler pauses none")

    def rungs(self, trial: int) -> tuple[int, ...]:
        self._over[trial]
        return (self.max_resource,)
