"""What a study's events add up to. The only way in is `apply`: the live study and its replay share it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from tuner.control.fate import Happening
from tuner.control.goals import Goals
from tuner.control.trial import Trial
from tuner.records import (
    Checkpoint,
    Command,
    Commanded,
    CommandKind,
    Config,
    Decision,
    Ending,
    Event,
    Failure,
    FailureKind,
    Report,
    Reported,
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

MAX_WORKERS_LOST = 5
"""A trial that loses so many workers without a report between them has failed: it is what kills them."""


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
        self.carried: int | None = None
        """The trial that goes on although the budget is spent, so that one reaches max_resource."""
        self.ended: StudyEnded | None = None
        self.forgiven = 0
        """The number of the first trial since the study was last extended: those before it are no reason to give up."""
        self._observations: list[Observation] = []
        self._unobserved: set[int] = set()
        """The trials that have changed since their observation was made."""
        self.dirty: dict[int, None] = {}
        self.stale: list[Checkpoint] = []

    # Questions.

    def closing(self) -> str:
        """Why nothing new is started any more; "" if it is."""
        if self.stop_reason:
            return self.stop_reason
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
        """Whether the study's first trials failed, so many in a row that the code must be broken."""
        n = self.spec.failures.give_up_after
        if self.has_value or len(self.trials) < self.forgiven + n:
            return False
        return all(trial.state is TrialState.FAILED for trial in self.trials[self.forgiven : self.forgiven + n])

    def limit_seconds(self) -> float:
        """The time budget in seconds."""
        return float("inf") if self.budget.minutes is None else self.budget.minutes * 60

    def observations(self) -> Sequence[Observation]:
        """What a sampler learns of every trial, by number: made when it is asked for, as reports are far more."""
        for number in self._unobserved:
            self._observations[number] = self.trials[number].observation()
        self._unobserved.clear()
        return self._observations

    def open_trial(self, number: int, segment: int) -> Trial | None:
        """The trial, if `segment` is the one that a worker has now."""
        if not 0 <= number < len(self.trials):
            return None
        trial = self.trials[number]
        return trial if trial.segment is not None and trial.segment.index == segment else None

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
                self._commanded(command)
            case Ticked(seconds):
                self.elapsed = seconds
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
        if trial.state is TrialState.PAUSED:
            self.scheduler.promote(number)
        trial.state = TrialState.RUNNING
        self._place(trial)
        trial.segment = segment
        trial.segments += 1
        if self.closing():
            self.carried = number
        self._changed(trial)

    def _reported(self, report: Report) -> None:
        trial = self.trials[report.trial]
        spent = report.resource - trial.resource
        finite = trial.add(report, self.spec.metric)
        self.units += spent
        self.has_value |= trial.best is not None
        self.stale.extend(trial.thin_out(self.spec.checkpoint.keep, best=self.spec.checkpoint.best))
        if not finite:
            failure = Failure(FailureKind.NON_FINITE, _what_is_wrong(report, self.spec))
            trial.decision = Decision.STOP
            self._move(trial, Happening.NON_FINITE, failure=failure)
            return
        loss = trial.loss
        assert loss is not None
        trial.decision = self.scheduler.on_report(trial.number, report.resource, loss)
        self._act_on(trial)
        self._changed(trial)

    def _act_on(self, trial: Trial) -> None:
        """Turn the scheduler's decision into a state, unless a person or the budget has the last word."""
        if trial.decision is Decision.STOP:
            complete = trial.resource >= self.scheduler.max_resource
            self._move(trial, Happening.REACHED_MAX_RESOURCE if complete else Happening.SCHEDULER_STOPPED)
        elif trial.stop_reason:
            trial.decision = Decision.STOP
            self._move(trial, Happening.PERSON_STOPPED, trial.stop_reason)
        elif trial.decision is Decision.PAUSE:
            self._move(trial, Happening.SCHEDULER_PAUSED)
        elif self.closing() and trial.number != self.carried:
            trial.decision = Decision.PAUSE
            self._move(trial, Happening.SUSPENDED)

    def _segment_ended(self, end: SegmentEnd) -> None:
        trial = self.trials[end.trial]
        match end.ending:
            case Ending.FAILED:
                assert end.failure is not None
                self._failed(trial, end.failure)
            case Ending.LOST:
                trial.workers_lost += 1
                if trial.workers_lost > MAX_WORKERS_LOST:
                    message = f"{trial.workers_lost} workers in a row were lost with this trial"
                    self._move(trial, Happening.FAILED_FOR_GOOD, failure=Failure(FailureKind.WORKER_LOST, message))
                else:
                    self._again(trial, Happening.LOST)
            case Ending.INTERRUPTED:
                self._again(trial, Happening.LOST)
            case Ending.REACHED | Ending.FINISHED | Ending.STOPPED:
                self._returned(trial)

    def _returned(self, trial: Trial) -> None:
        if trial.stop_reason:
            self._move(trial, Happening.PERSON_STOPPED, trial.stop_reason)
        elif trial.best is None:
            message = f"the objective returned without having reported {self.spec.metric.name!r}"
            self._move(trial, Happening.FAILED_FOR_GOOD, failure=Failure(FailureKind.EXCEPTION, message))
        else:
            self._move(trial, Happening.RETURNED)

    def _failed(self, trial: Trial, failure: Failure) -> None:
        if failure.kind is FailureKind.CHECKPOINT and trial.checkpoints:
            self.stale.append(trial.drop_checkpoint())
            self._again(trial, Happening.FAILED_ONCE, failure)
            return
        trial.n_failures += 1
        if trial.n_failures <= self.spec.failures.retries and failure.kind is not FailureKind.NON_FINITE:
            self._again(trial, Happening.FAILED_ONCE, failure)
        else:
            self._move(trial, Happening.FAILED_FOR_GOOD, failure=failure)

    def _again(self, trial: Trial, happening: Happening, failure: Failure | None = None) -> None:
        if trial.stop_reason:
            self._move(trial, Happening.PERSON_STOPPED, trial.stop_reason)
        else:
            self._move(trial, happening, failure=failure)

    def _commanded(self, command: Command) -> None:
        match command.kind:
            case CommandKind.ENQUEUE:
                assert command.config is not None
                self.queue.append(self.spec.space.complete(command.config))
            case CommandKind.EXTEND:
                self._extend(command)
            case CommandKind.STOP if command.trial is None:
                self.stop_reason = f"stopped by {command.author}"
            case CommandKind.STOP:
                assert command.trial is not None
                trial = self.trials[command.trial]
                trial.stop_reason = f"stopped by {command.author}"
                if trial.segment is None and not trial.ended:
                    self._move(trial, Happening.PERSON_STOPPED, trial.stop_reason)

    def _extend(self, command: Command) -> None:
        self.budget = self.budget.model_copy(update=dict(command.budget or {}))
        self.ended = None
        self.goals.lift()
        self.stop_reason = ""
        self.carried = None
        self.forgiven = len(self.trials)
        for trial in self.trials:
            if trial.reopens_as is not None:
                trial.reopen()
                self._place(trial)
                self._changed(trial)

    def _study_ended(self, event: StudyEnded) -> None:
        self.ended = event
        for trial in self.trials:
            if trial.state in (TrialState.PAUSED, TrialState.WAITING):
                self._move(trial, Happening.STUDY_ENDED, event.reason)

    # Consequences.

    def _move(self, trial: Trial, happening: Happening, reason: str = "", failure: Failure | None = None) -> None:
        trial.become(happening, reason, failure)
        self._place(trial)
        if happening in (Happening.NON_FINITE, Happening.FAILED_FOR_GOOD):
            self.scheduler.on_failure(trial.number)
        elif happening in (Happening.RETURNED, Happening.PERSON_STOPPED):
            self.scheduler.on_finish(trial.number)
        self._changed(trial)

    def _place(self, trial: Trial) -> None:
        """Put the trial among those of its state."""
        places = {TrialState.WAITING: self.waiting, TrialState.PAUSED: self.paused, TrialState.RUNNING: self.running}
        for state, numbers in places.items():
            if trial.state is state:
                numbers.add(trial.number)
            else:
                numbers.discard(trial.number)

    def _changed(self, trial: Trial) -> None:
        self.dirty[trial.number] = None
        self.goals.saw(trial)
        self._unobserved.add(trial.number)


def first_configs(spec: StudySpec) -> list[Config]:
    """What is tried before the sampler is asked: the enqueued configurations, then those believed to be good."""
    configs: list[Config] = [spec.space.complete(config) for config in spec.enqueue]
    return [*configs, *(config for config in believed_configs(spec) if config not in configs)]


def _what_is_wrong(report: Report, spec: StudySpec) -> str:
    name, unit = spec.metric.name, spec.scheduler.unit
    if name in report.metrics:
        return f"{name} was {report.metrics[name]} at {unit} {report.resource}"
    reported = ", ".join(report.metrics) or "nothing"
    return f"no {name!r} in the report at {unit} {report.resource}; reported: {reported}"
