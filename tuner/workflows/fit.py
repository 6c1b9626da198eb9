"""Whether a spec and its objective fit together: what only both of them know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tuner.errors import SpecError
from tuner.records import Config
from tuner.spec import StudySpec


def check_fit(spec: StudySpec, objective: Any) -> None:
    """Raise SpecError if a Task's trainer could not run a configuration of this spec.

    For a plain function there is nothing to check: what its configuration means is its own business.
    """
    if not getattr(objective, "__tuner_task__", False):
        return
    if spec.scheduler.unit != "epoch":
        raise SpecError(
            f"the built-in trainer counts epochs, got {spec.scheduler.unit!r}",
            path="scheduler.unit",
            hint="Set unit: epoch, or tune a function that reports by step.",
        )
    from tuner.training import TrainerSettings

    for place, config in _corners(spec):
        try:
            TrainerSettings.from_config(config)
        except SpecError as error:
            name = error.path.split(".")[0]
            where = f"fixed.{name}" if name in spec.fixed else f"space.{name or place}"
            raise SpecError(f"the trainer refuses it: {error.message}", path=where, hint=error.hint) from None


def _corners(spec: StudySpec) -> Iterator[tuple[str, Config]]:
    """Configurations that between them show every choice, and both ends of every other axis."""
    middle = {name: axis.from_unit(0.5) for name, axis in spec.axes.items()}
    for name, axis in spec.axes.items():
        for value in axis.grid(2):
            yield name, {**spec.fixed, **middle, name: value}
