"""Whether a study's trials can be trained in lanes, and which executor `auto` is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from tuner.errors import DataError, SpecError
from tuner.execution import Job
from tuner.execution.devices import device_of, local_gpus, slots_of
from tuner.objective import failure_of_own_code
from tuner.records import Config
from tuner.spec import StudySpec
from tuner.workflows.fit import corners


@dataclass(frozen=True, slots=True)
class Unfused:
    """What keeps a configuration out of a lane, and the remedy. `place` is the value that makes the difference, such as
    "dropout = 0.5"; empty if the middle of the space is no better.
    """

    what: str
    remedy: str
    place: str = ""

    def __str__(self) -> str:
        return f"with {self.place}: {self.what}" if self.place else self.what


def unfused(spec: StudySpec, objective: Any, *, gpus: float = 0.0) -> Iterator[Unfused]:
    """What keeps the study's trials out of lanes with so many GPUs, as far as the middle and the corners of its space
    show: each reason once. Nothing if all of them fuse. The objective is a Task, whose data is there.
    """
    middle = spec.space.complete({name: axis.from_unit(0.5) for name, axis in spec.axes.items()})
    places = [("", middle), *((f"{name} = {config[name]}", config) for name, config in corners(spec))]
    told: set[str] = set()
    find = partial(_obstacles, objective, device=device_of(gpus), fused=set())
    for place, config in places:
        for found in find(config, place):
            if found.what not in told:
                told.add(found.what)
                yield found


def _obstacles(objective: Any, config: Config, place: str, *, device: str, fused: set[Any]) -> Iterator[Unfused]:
    from tuner.training.lanes import obstacles  # imports torch

    try:
        found = obstacles(objective, config, device=device, fused=fused)
        yield from (Unfused(each.what, each.remedy, place) for each in found)
    except (DataError, SpecError) as error:
        yield Unfused(error.message, error.hint or "correct it", place)
    except Exception as error:  # noqa: BLE001  # whatever a task's own code raises
        failure = failure_of_own_code(error, "the task fails", "correct it there")
        yield Unfused(failure.message, failure.hint or "", place)


def require_fused(spec: StudySpec, objective: Any, *, gpus: float = 0.0) -> None:
    """Raise SpecError if the study's trials cannot be trained in lanes."""
    for found in unfused(spec, objective, gpus=gpus):
        raise SpecError(
            f"its trials cannot be trained in lanes: {found}",
            path="executor",
            hint=f"Either {found.remedy}." if found.remedy else None,
        )


def auto_lanes(spec: StudySpec, objective: Any, job: Job, address: str | None) -> tuple[bool, str]:
    """Whether `executor: auto` is lanes, and what there is to tell a person of that: nothing where a Task wants no GPU,
    or there is none.
    """
    is_task = getattr(objective, "__tuner_task__", False) and getattr(objective, "wants_gpu", False)
    if not is_task or address is not None or not (gpus := local_gpus(job)):
        return False, ""
    if gpus > 1 or job.resources.isolate:
        return False, f"not in lanes: {'a trial has several GPUs' if gpus > 1 else 'resources.isolate is on'}"
    if job.timeouts.straggler is not None:
        return False, "not in lanes: timeouts.straggler is set, and they run no trial a second time"
    if job.parallel == 1:
        return False, "not in lanes: with parallel: 1 trials follow one another, in the same order every time"
    objective.fetch()
    for found in unfused(spec, objective, gpus=gpus):
        return False, f"not in lanes: {found} ({found.remedy})"
    return True, told(job, gpus)


def told(job: Job, gpus: float) -> str:
    """What to say of a study that is trained in lanes."""
    where = "on a GPU" if gpus else f"on {job.resources.cpus:g} CPU cores"
    return f"in lanes: each up to {slots_of(job.resources, gpus)} trials at once {where} (executor: ray: each alone)"
