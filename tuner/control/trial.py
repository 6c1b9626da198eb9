"""A trial as the ledger keeps it: the one mutable thing of the pure middle."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from tuner.control.fate import Happening, Lesson, fate
from tuner.control.kept import best_of
from tuner.records import Checkpoint, Config, Decision, Failure, FailureKind, Report, Segment, TrialState, TrialSummary
from tuner.search import Observation
from tuner.spec import Metric


@dataclass
class Trial:
    """What the journal says of one trial so far."""

    number: int
    config: Config
    horizon: int
    rungs: tuple[int, ...]
    """The resources at which it is judged, the last one being max_resource."""
    state: TrialState = TrialState.WAITING
    lesson: Lesson = Lesson.NOTHING
    resource: int = 0
    losses: dict[int, float] = field(default_factory=dict)
    """resource -> the trial's loss there: of that report, or the best so far, as the spec says."""
    judged: dict[int, float] = field(default_factory=dict)
    """rung -> the loss at it, or at the first report beyond it."""
    best: tuple[float, int] | None = None
    """The lowest finite loss of a single report, and its resource."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    checkpoints: list[Checkpoint] = field(default_factory=list)
    """Those that are kept, by rising resource."""
    worth: dict[int, float] = field(default_factory=dict)
    """resource -> the loss of the report there, for the checkpoints that are kept."""
    segment: Segment | None = None
    """The segment that a worker has now."""
    rival: Segment | None = None
    """The same stretch, which another worker has, too: the first of the two to report has the trial."""
    heard_at: float = 0.0
    """Seconds of the study when its segment was issued, or last reported."""
    segments: int = 0
    decision: Decision = Decision.CONTINUE
    """The answer to the last report."""
    failures: Counter[FailureKind] = field(default_factory=Counter)
    """How often it has failed, by kind."""
    losses_in_a_row: Counter[FailureKind] = field(default_factory=Counter)
    """What was lost with it since the last report: workers, nodes, to preemption."""
    stop_reason: str = ""
    """Why a person wants it stopped, if one does."""
    on_hold: str = ""
    """Why it does not go on for now: "paused by" a person; "" if it may."""
    failure: Failure | None = None
    reason: str = ""
    reopens_as: TrialState | None = None
    """Where a trial that is PRUNED because the study ended goes on, if the study is extended."""

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of it, unless the study is extended."""
        return self.state.ended

    @property
    def loss(self) -> float | None:
        """The loss at the highest resource reached."""
        return self.losses.get(self.resource)

    @property
    def has_value(self) -> bool:
        """Whether there is one: a failed trial has none."""
        return self.state is not TrialState.FAILED and self.best is not None and self.loss is not None

    def add(self, report: Report, metric: Metric) -> bool:
        """Take in an accepted report; whether its metric is there and finite."""
        loss = metric.loss(report.metrics.get(metric.name))
        finite = math.isfinite(loss)
        if report.checkpoint is not None:
            self.checkpoints.append(report.checkpoint)
            self.worth[report.checkpoint.resource] = loss
        if finite and (self.best is None or loss < self.best[0]):
            self.best = (loss, report.resource)
        if finite and metric.value == "best" and self.best is not None:
            loss = self.best[0]
        self.judged |= {rung: loss for rung in self.rungs if self.resource < rung <= report.resource}
        self.resource = report.resource
        self.losses[report.resource] = loss
        self.metrics = report.metrics
        self.seconds += report.seconds
        self.losses_in_a_row.clear()
        return finite

    def thin_out(self, keep: int, *, best: bool) -> list[Checkpoint]:
        """Keep the newest `keep` checkpoints, and that of the best report if `best`; the others, which may go."""
        if len(self.checkpoints) <= keep:
            return []
        stays: set[int | None] = {checkpoint.resource for checkpoint in self.checkpoints[-keep:]}
        if best:
            stays.add(best_of(self.worth))
        stale = [checkpoint for checkpoint in self.checkpoints if checkpoint.resource not in stays]
        self.checkpoints = [checkpoint for checkpoint in self.checkpoints if checkpoint.resource in stays]
        self.worth = {resource: loss for resource, loss in self.worth.items() if resource in stays}
        return stale

    def drop_checkpoint(self) -> Checkpoint:
        """The newest checkpoint turned out damaged: the one before it is next."""
        damaged = self.checkpoints.pop()
        del self.worth[damaged.resource]
        return damaged

    def become(self, happening: Happening, reason: str = "", failure: Failure | None = None) -> None:
        """Move to the state that `happening` leads to; the segment, if there was one, is over."""
        before, after = self.state, fate(happening)
        self.state = after.state
        if after.lesson is not Lesson.NOTHING:
            self.lesson = after.lesson
        self.segment = self.rival = None
        self.reason = reason
        self.failure = failure
        self.reopens_as = before if happening is Happening.STUDY_ENDED else None

    def reopen(self) -> None:
        """Go back to where the trial stood when the study ended."""
        assert self.reopens_as is not None
        self.state, self.reopens_as, self.reason = self.reopens_as, None, ""

    def observation(self) -> Observation:
        """What a sampler learns of the trial now: its lesson."""
        judged = dict(self.judged)
        if self.lesson is Lesson.VALUE and self.loss is not None:
            judged[self.resource] = self.loss
        elif self.lesson is Lesson.WORST:
            judged[next((rung for rung in self.rungs if rung >= self.resource), self.rungs[-1])] = math.inf
        return Observation(self.number, self.config, judged, open=not self.ended, failed=self.lesson is Lesson.WORST)

    def summary(self, metric: Metric) -> TrialSummary:
        """The trial's row for tables. A failed trial has no value."""
        worth = self.has_value
        return TrialSummary(
            number=self.number,
            state=self.state,
            config=self.config,
            resource=self.resource,
            horizon=self.horizon,
            value=metric.value_of(self.loss) if worth and self.loss is not None else None,
            best_value=metric.value_of(self.best[0]) if worth and self.best is not None else None,
            best_resource=self.best[1] if worth and self.best is not None else None,
            gap=_gap(self.metrics),
            segments=self.segments,
            seconds=self.seconds,
            metrics=dict(self.metrics),
            failure=self.failure,
            reason=self.reason,
        )


def _gap(metrics: Mapping[str, float]) -> float | None:
    if "gap" in metrics:
        return metrics["gap"]
    if "val_loss" in metrics and "train_eval_loss" in metrics:
        return metrics["val_loss"] - metrics["train_eval_loss"]
    return None
