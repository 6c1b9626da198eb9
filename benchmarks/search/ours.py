"""Our own methods, [scheduler+]sampler: the study's controller with its sampler and its scheduler, and no store."""

from __future__ import annotations

from clock import Job
from problem import Problem

from tuner.control import Nothing, StudyController
from tuner.records import Decision, Report
from tuner.schedule import make_scheduler
from tuner.search import make_sampler
from tuner.spec import StudySpec

SCHEDULERS = {
    "none": {"name": "none"},
    "asha": {"name": "asha", "type": "promote"},
    "asha-stop": {"name": "asha", "type": "stop"},
    "hyperband": {"name": "hyperband"},
    "median": {"name": "median"},
}

METHODS = (
    "random",
    "asha+random",
    "asha-stop+random",
    "tpe",
    "asha+tpe",
    "gp",
    "asha+gp",
)


def make(name: str, problem: Problem, seed: int, budget: int) -> Ours:
    """The method `name`; a sampler alone trains every trial to the end, but for `auto`, which goes with ASHA."""
    scheduler, _, sampler = name.rpartition("+")
    scheduler = scheduler or ("asha" if sampler == "auto" else "none")
    spec = StudySpec.from_dict(
        {
            "study": "benchmark",
            "objective": "benchmarks:none",
            "metric": {"name": "loss"},
            "seed": seed,
            "space": problem.space,
            "sampler": {"name": sampler},
            "scheduler": {**SCHEDULERS[scheduler], "max_resource": problem.max_resource},
            "budget": {"trials": None, "epochs": budget},
            "failures": {"give_up_after": 10**9},  # 86-96 % of TaskSet's trials teach nothing, some diverge
        }
    )
    return Ours(StudyController(spec, make_sampler(spec), make_scheduler(spec.scheduler)))


class Ours:
    """A controller as a method."""

    def __init__(self, controller: StudyController) -> None:
        self._controller = controller

    def ask(self) -> Job | None:
        segments = self._controller.next_segments([""])
        if isinstance(segments, Nothing):
            return None
        (segment,) = segments
        return Job(segment.trial, dict(segment.config), segment.until, segment.index)

    def tell(self, job: Job, resource: int, loss: float) -> bool:
        report = Report(job.trial, job.tag, resource, {"loss": loss}, seconds=1.0)
        (decision,) = self._controller.on_reports([report])
        return decision is Decision.CONTINUE
