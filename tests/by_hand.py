"""A study played by hand: a controller, and workers that report what a test wants."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from tuner.control import Nothing, StudyController
from tuner.records import Checkpoint, Decision, Ending, Event, Failure, FailureKind, Report, Segment, SegmentEnd
from tuner.schedule import make_scheduler
from tuner.search import make_sampler
from tuner.spec import StudySpec


def study_spec(**parts: Any) -> StudySpec:
    """A small study over one number, minimising `loss`."""
    data = {
        "study": "hand",
        "objective": "a:b",
        "metric": {"name": "loss"},
        "space": {"x": {"float": [0.0, 1.0]}},
        "sampler": {"name": "random"},
        "scheduler": {"name": "asha", "max_resource": 9},
        "budget": {"trials": 9},
        "failures": {"retries": 0},
    }
    return StudySpec.from_dict(data | parts)


def controller_of(spec: StudySpec, newest: StudySpec | None = None) -> StudyController:
    return StudyController(spec, make_sampler(newest or spec), make_scheduler(spec.scheduler))


class Hand:
    """Workers of a controller, moved by a test; keeps the journal."""

    def __init__(self, spec: StudySpec | None = None, **parts: Any) -> None:
        self.first = self.spec = spec or study_spec(**parts)
        """The spec that the study began with, and the newest."""
        self.controller = controller_of(self.spec)
        self.journal: list[Event] = []
        self.stale: list[Checkpoint] = []
        """The checkpoints that the last step made superfluous."""

    def pull(self, n: int = 1) -> list[Segment] | Nothing:
        segments = self.controller.next_segments([f"w{index}" for index in range(n)])
        self._note()
        return segments

    def one(self) -> Segment:
        segments = self.pull()
        assert not isinstance(segments, Nothing)
        return segments[0]

    def report(
        self, segment: Segment, resource: int, loss: float | None, kept: bool = True, **metrics: float
    ) -> Decision:
        values: Mapping[str, float] = metrics if loss is None else {"loss": loss, **metrics}
        state = Checkpoint(resource, f"{segment.trial}/{resource}", 1, "0") if kept else None
        decision = self.controller.on_reports([Report(segment.trial, segment.index, resource, values, 1.0, state)])[0]
        self._note()
        return decision

    def end(self, segment: Segment, ending: Ending, kind: FailureKind = FailureKind.EXCEPTION) -> None:
        failed = ending is Ending.FAILED or (ending is Ending.LOST and kind.of_machines)
        failure = Failure(kind, "why") if failed else None
        self.controller.on_segment_end(SegmentEnd(segment.trial, segment.index, ending, failure))
        self._note()

    def play(self, loss: Callable[[Segment, int], float], n_workers: int = 1) -> list[Segment]:
        """Run the study to its end; every unit of resource is reported. The segments, in order."""
        done: list[Segment] = []
        while (segments := self.pull(n_workers)) is not Nothing.DONE:
            assert not isinstance(segments, Nothing)
            for segment in segments:
                done.append(segment)
                for resource in range(segment.start + 1, segment.until + 1):
                    if self.report(segment, resource, loss(segment, resource)) is not Decision.CONTINUE:
                        break
        return done

    def states(self) -> list[str]:
        """Each trial's."""
        return [trial.state.value for trial in self.controller.trials]

    def revise(self, horizon_free: Collection[int] = (), **parts: Any) -> None:
        """A later session goes on by another spec."""
        self.spec = StudySpec.from_dict(self.spec.to_dict() | parts)
        self.controller = self.replayed().controller
        self.controller.on_driver_lost()
        self.controller.on_revision(self.spec, "me", horizon_free)
        self._note()

    def replayed(self) -> Hand:
        """Another one, made from the journal."""
        twin = Hand(self.first)
        twin.spec = self.spec
        twin.controller = controller_of(self.first, self.spec)
        twin.controller.replay(self.journal)
        twin.journal = list(self.journal)
        return twin

    def _note(self) -> None:
        changes = self.controller.take_changes()
        self.journal.extend(changes.events)
        self.stale = changes.stale
