"""What a study's events add up to. The only way in is `apply`: the live study and its replay share it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from tuner.control.fate import Happening
from tuner.control.goals import Goals
from tuner.control.policies import after_failure, after_loss
from tuner.control.steering import follow, revise
from tuner.control.trial import Trial
from tuner.records import (
    Checkpoint,
    Commanded,
    Config,
    Decision,
    Ending,
    Event,
    Failure,
    FailureKind,
    Report,
    Reported,
    Revised,
    Segment,
    SegmentEnd,
    SegmentEnded,
    SegmentIssued,
    StudyEnded,
    Ticked,
    TrialState,
)
from tuner.schedule import Scheduler
from tuner.search import Observation
from tuner.search.warm import believed_configs
from tuner.spec import Budget, StudySpec

CUT_SHORT = (Ending.FAILED, Ending.LOST, Ending.INTERRUPTED, Ending.RECALLED)
"""How a segment may end without the trial having got anywhere by it."""


class Ledger:
    """The trials, the queue, the budget and the clock, as the events so far leave them."""

    def __init__(self, spec: StudySpec, scheduler: Scheduler) -> None:
        self.spec = spec
        self.scheduler = scheduler
        self.budget: Budget = spec.budget
        self.goals = Goals(spec)
        self.trials: list[Trial] = []
        self.has_value = False
        """Whether any trial has reported a finite value."""
        self.queue: deque[Config] = deque(first_configs(spec))
        self.n_asked = 0
        self.waiting: set[int] = set()
        self.paused: set[int] = set()
        self.running: set[int] = set()
        self.units = 0
        """Resource spent, over all trials."""
        self.elapsed = 0.0
        self.stop_reason = ""
        self.broken = ""
        """What failure has stopped the study, by its policy."""
        self.on_hold = ""
        """Why nothing is to run for now: "paused by" a person; "" if it may."""
        self.held: set[int] = set()
        """The trials that a person has paused by themselves."""
        self.carried: int | None = None
        """The trial that goes on although the budget is spent, so that one reaches max_resource."""
        self.ended: StudyEnded | None = None
        self.forgiven = 0
        """The number of the first trial since the study was last extended: those before it are no reason to give up."""
        self._observations: list[Observation] = []
        self._unobserved: set[int] = set()
        """The trials that have changed since their observation was made."""
        self.unseen: set[int] = set()
        """The trials that a sampler does not see: outside the space as it was revised, or of another horizon."""
        self.dirty: dict[int, None] = {}
        self.stale: list[Checkpoint] = []

    # Questions.

    def closing(self) -> str:
        """Why nothing new is started any more; "" if it is."""
        if self.stop_reason:
            return self.stop_reason
        if self.broken:
            return self.broken
        if self.given_up():
            return f"given up, as the first {self.spec.failures.give_up_after} trials all failed"
        if self.goals.met:
            return self.goals.met
        if self.elapsed >= self.limit_seconds():
            return f"the time budget of {self.budget.minutes:g} min is spent"
        if self.budget.epochs is not None and self.units >= self.budget.epochs:
            return f"the budget of {self.budget.epochs} {self.spec.scheduler.unit}s is spent"
        return ""

    def given_up(self) -> bool:
        """Whether a failure has stopped the study, or its first trials all failed: the code must be broken."""
        if self.broken:
            return True
        n = self.spec.failures.give_up_after
        if self.has_value or len(self.trials) < self.forgiven + n:
            return False
        return all(trial.state is TrialState.FAILED for trial in self.trials[self.forgiven : self.forgiven + n])

    def limit_seconds(self) -> float:
        """The time budget in seconds."""
        return float("inf") if self.budget.minutes is None else self.budget.minutes * 60

    def observations(self) -> Sequence[Observation]:
        """What a sampler learns of every trial that it may learn from, by number: made when it is asked for, as reports
        are far more.
        """
        for number in self._unobserved:
            self._observations[number] = self.trials[number].observation()
        self._unobserved.clear()
        if not self.unseen:
            return self._observations
        return [observation for observation in self._observations if observation.number not in self.unseen]

    def open_trial(self, number: int, segment: int) -> Trial | None:
        """The trial, if `segment` is one that a worker has now."""
        if not 0 <= number < len(self.trials):
            return None
        trial = self.trials[number]
        open_ones = [one.index for one in (trial.segment, trial.rival) if one is not None]
        return trial if segment in open_ones else None

    # Events.

    def apply(self, event: Event) -> None:
        """Take in one event."""
        match event:
            case SegmentIssued(segment):
                self._issued(segment)
            case Reported(report):
                self._reported(report)
            case SegmentEnded(end):
                self._segment_ended(end)
            case Commanded(command):
                follow(self, command)
            case Ticked(seconds):
                self.elapsed = seconds
            case Revised():
                revise(self, event)
            case StudyEnded():
                self._study_ended(event)

    def _issued(self, segment: Segment) -> None:
        number = segment.trial
        if number == len(self.trials):
            self.scheduler.start(number)
            self.trials.append(Trial(number, segment.config, segment.horizon, self.scheduler.rungs(number)))
            self._observations.append(Observation(number, segment.config, open=True))
            if self.queue:
                self.queue.popleft()
            else:
                self.n_asked += 1
        trial = self.trials[number]
        trial.heard_at = self.elapsed
        if trial.segment is not None:
            trial.rival = segment
            trial.segments += 1
            self.changed(trial)
            return
        if trial.state is TrialState.PAUSED:
            self.scheduler.promote(number)
        trial.state = TrialState.RUNNING
        self.place(trial)
        trial.segment = segment
        trial.segments += 1
        if self.closing():
            self.carried = number
        self.changed(trial)

    def _reported(self, report: Report) -> None:
        trial = self.trials[report.trial]
        if trial.rival is not None:  # whoever has reported has the trial
            trial.segment = trial.rival if report.segment == trial.rival.index else trial.segment
            trial.rival = None
        trial.heard_at = self.elapsed
        spent = report.resource - trial.resource
        finite = trial.add(report, self.spec.metric)
        self.units += spent
        self.has_value |= trial.best is not None
        self.stale.extend(trial.thin_out(self.spec.checkpoint.keep, best=self.spec.checkpoint.best))
        if not finite:
            failure = Failure(FailureKind.NON_FINITE, _what_is_wrong(report, self.spec))
            trial.decision = Decision.STOP
            if self.spec.failures.non_finite == "stop":
                self.broken = self.broken or _why_broken(trial, failure)
            self.move(trial, Happening.NON_FINITE, failure=failure)
            return
        loss = trial.loss
        assert loss is not None
        trial.decision = self.scheduler.on_report(trial.number, report.resource, loss)
        self._act_on(trial)
        self.changed(trial)

    def _act_on(self, trial: Trial) -> None:
        """Turn the scheduler's decision into a state, unless a person or the budget has the last word."""
        if trial.decision is Decision.STOP:
            complete = trial.resource >= self.scheduler.max_resource
            self.move(trial, Happening.REACHED_MAX_RESOURCE if complete else Happening.SCHEDULER_STOPPED)
        elif trial.stop_reason:
            trial.decision = Decision.STOP
            self.move(trial, Happening.PERSON_STOPPED, trial.stop_reason)
        elif trial.decision is Decision.PAUSE:
            self.move(trial, Happening.SCHEDULER_PAUSED, trial.on_hold)
        elif held := trial.on_hold or self.on_hold:
            trial.decision = Decision.PAUSE
            self.move(trial, Happening.SUSPENDED, held)
        elif self.closing() and trial.number != self.carried:
            trial.decision = Decision.PAUSE
            self.move(trial, Happening.SUSPENDED)

    def _segment_ended(self, end: SegmentEnd) -> None:
        trial = self.trials[end.trial]
        if trial.rival is not None and end.ending in CUT_SHORT:
            trial.segment = trial.segment if end.segment == trial.rival.index else trial.rival
            trial.rival = None
            return
        match end.ending:
            case Ending.FAILED:
                assert end.failure is not None
                self._failed(trial, end.failure)
            case Ending.LOST:
                self._lost(trial, end.failure or Failure(FailureKind.WORKER_LOST, "its worker went away"))
            case Ending.INTERRUPTED:
                self._again(trial, Happening.LOST)
            case Ending.RECALLED if trial.stop_reason:
                self.move(trial, Happening.PERSON_STOPPED, trial.stop_reason)
            case Ending.RECALLED:
                self.move(trial, Happening.SUSPENDED, trial.on_hold or self.on_hold)
            case Ending.REACHED | Ending.FINISHED | Ending.STOPPED:
                self._returned(trial)

    def _returned(self, trial: Trial) -> None:
        if trial.stop_reason:
            self.move(trial, Happening.PERSON_STOPPED, trial.stop_reason)
        elif trial.best is None:
            message = f"the objective returned without having reported {self.spec.metric.name!r}"
            self.move(trial, Happening.FAILED_FOR_GOOD, failure=Failure(FailureKind.EXCEPTION, message))
        else:
            self.move(trial, Happening.RETURNED)

    def _failed(self, trial: Trial, failure: Failure) -> None:
        if failure.kind is FailureKind.CHECKPOINT and trial.checkpoints:
            self.stale.append(trial.drop_checkpoint())
            self._again(trial, Happening.FAILED_ONCE, failure)
            return
        trial.failures[failure.kind] += 1
        self._consequence(trial, after_failure(trial, failure, self.spec.failures), failure)

    def _lost(self, trial: Trial, failure: Failure) -> None:
        trial.losses_in_a_row[failure.kind] += 1
        happening = after_loss(trial, failure, self.spec.failures)
        if happening is Happening.FAILED_FOR_GOOD:
            n = trial.losses_in_a_row[failure.kind]
            failure = replace(failure, message=f"{n} times in a row without a report, {failure.message}")
        self._consequence(trial, happening, failure)

    def _consequence(self, trial: Trial, happening: Happening, failure: Failure) -> None:
        match happening:
            case Happening.FAILED_FOR_GOOD:
                self.move(trial, happening, failure=failure)
            case Happening.STOPS_THE_STUDY:
                self.broken = self.broken or _why_broken(trial, failure)
                self._again(trial, happening, failure)
            case _:
                self._again(trial, happening, None if happening is Happening.LOST else failure)

    def _again(self, trial: Trial, happening: Happening, failure: Failure | None = None) -> None:
        if trial.stop_reason:
            self.move(trial, Happening.PERSON_STOPPED, trial.stop_reason)
        else:
            self.move(trial, happening, failure=failure)

    def _study_ended(self, event: StudyEnded) -> None:
        self.ended = event
        for trial in self.trials:
            if trial.state in (TrialState.PAUSED, TrialState.WAITING):
                self.move(trial, Happening.STUDY_ENDED, event.reason, trial.failure)

    # Consequences.

    def move(self, trial: Trial, happening: Happening, reason: str = "", failure: Failure | None = None) -> None:
        """Give the trial the state that `happening` leads to, and tell the scheduler and the goals."""
        trial.become(happening, reason, failure)
        self.place(trial)
        if happening in (Happening.NON_FINITE, Happening.FAILED_FOR_GOOD):
            self.scheduler.on_failure(trial.number)
        elif happening in (Happening.RETURNED, Happening.PERSON_STOPPED):
            self.scheduler.on_finish(trial.number)
        self.changed(trial)

    def place(self, trial: Trial) -> None:
        """Put the trial among those of its state."""
        places = {TrialState.WAITING: self.waiting, TrialState.PAUSED: self.paused, TrialState.RUNNING: self.running}
        for state, numbers in places.items():
            if trial.state is state:
                numbers.add(trial.number)
            else:
                numbers.discard(trial.number)

    def changed(self, trial: Trial) -> None:
        """The trial is not what it was: its row is to be written, and its observation made anew."""
        self.dirty[trial.number] = None
        self.goals.saw(trial)
        self._unobserved.add(trial.number)


def first_configs(spec: StudySpec) -> list[Config]:
    """What is tried before the sampler is asked: the enqueued configurations, then those believed to be good."""
    configs: list[Config] = [spec.space.complete(config) for config in spec.enqueue]
    return [*configs, *(config for config in believed_configs(spec) if config not in configs)]


def _why_broken(trial: Trial, failure: Failure) -> str:
    return f"stopped by trial {trial.number}, {failure.kind}: {failure.message}"


def _what_is_wrong(report: Report, spec: StudySpec) -> str:
    name, unit = spec.metric.name, spec.scheduler.unit
    if name in report.metrics:
        return f"{name} was {report.metrics[name]} at {unit} {report.resource}"
    reported = ", ".join(report.metrics) or "nothing"
    return f"no {name!r} in the report at {unit} {report.resource}; reported: {reported}"
