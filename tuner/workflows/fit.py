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
    from tuner.training import TrainerSettings

    for place, config in corners(spec):
        try:
            settings = TrainerSettings.from_config(config)
        except SpecError as error:
            name = error.path.split(".")[0]
            where = f"fixed.{name}" if name in spec.fixed else f"space.{name or place}"
            raise SpecError(f"the trainer refuses it: {error.message}", path=where, hint=error.hint) from None
        _check_rungs(spec, settings.measuring.report_every)


def _check_rungs(spec: StudySpec, every: int) -> None:
    """Every rung must be a report. Rungs are min_resource times whole numbers, and max_resource."""
    for name in ("min_resource", "max_resource"):
        resource: int = getattr(spec.scheduler, name)
        if resource % every:
            raise SpecError(
                f"the trainer reports every {every} {spec.scheduler.unit}s (report_every), got {resource}",
                path=f"scheduler.{name}",
                hint=f"Set a multiple of {every}, such as {-(-resource // every) * every}, or another report_every.",
            )


def corners(spec: StudySpec) -> Iterator[tuple[str, Config]]:
    """Configurations that between them show every choice, and both ends of every other axis."""
    middle = {name: axis.from_unit(0.5) for name, axis in spec.axes.items()}
    for name, axis in spec.axes.items():
        for value in axis.grid(2):
            yield name, {**spec.fixed, **middle, name: value}
