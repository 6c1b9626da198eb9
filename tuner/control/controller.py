"""The study's mind: which segment comes next, and what becomes of a report. Pure logic: no clock, no I/O, no Ray.

Each public method turns what happened into numbered events, and events change the `Ledger` through `apply` alone. So a
controller that is given a journal's events again (`replay`) stands where the one that wrote them stood: proposals are
read from the journal, never asked again, and the n-th ask draws from (seed, n).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from tuner.control.goals import told
from tuner.control.ledger import Ledger
from tuner.control.trial import Trial
from tuner.errors import UserMistake
from tuner.records import (
    Checkpoint,
    Command,
    Commanded,
    Config,
    Decision,
    Ending,
    Event,
    Report,
    Reported,
    Segment,
    SegmentEnd,
    SegmentEnded,
    SegmentIssued,
    StudyEnded,
    Ticked,
    TrialState,
    TrialSummary,
)
from tuner.schedule import Scheduler, Stretch
from tuner.search import Sampler
from tuner.seeds import derive_seed
from tuner.spec import Budget, StudySpec

TICK_SECONDS = 10.0
"""How far the clock moves before the journal is told, unless it passes the budget."""


class Nothing(Enum):
    """Why there is no segment to hand out."""

    WAIT = auto()  # what is running may lead to more
    DONE = auto()  # the study has ended


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to be committed, and what may be done once it is: remove `stale` checkpoints."""

    events: list[Event]
    trials: list[TrialSummary]
    stale: list[Checkpoint]


class StudyController:
    """sampler + scheduler + trials: the contract is in docs/architecture.md."""

    def __init__(self, spec: StudySpec, sampler: Sampler, scheduler: Scheduler) -> None:
        self.spec = spec
        self._sampler = sampler
        self._scheduler = scheduler
        self._ledger = Ledger(spec, scheduler)
        self._events: list[Event] = []
        self._exhausted = False  # for the words at the end; it decides nothing
        self._unpromising = False  # the sampler saw promise in nobody, and nothing has happened since

    # What may happen.

    def replay(self, events: Iterable[Event]) -> None:
        """Stand where the controller stood that recorded `events`."""
        for event in events:
            self._ledger.apply(event)
        self._ledger.dirty.clear()

    def next_segments(self, workers: Sequence[str]) -> list[Segment] | Nothing:
        """At most one segment for each idle worker: interrupted trials first, then promotions, then new trials."""
        issued: list[Segment] = []
        proposals: deque[Config] = deque()
        while len(issued) < len(workers) and self.ended is None:
            segment = self._continuation()
            if segment is None and not proposals:
                proposals.extend(self._propose(len(workers) - len(issued)))
            if segment is None and proposals:
                segment = self._first_segment(proposals.popleft())
            if segment is None:
                segment = self._carry()
            if segment is None:
                break
            self._record(SegmentIssued(segment, workers[len(issued)]))
            issued.append(segment)
        if issued:
            return issued
        if self._ledger.running:
            return Nothing.WAIT
        if self.ended is None:
            self._record(StudyEnded(self._end_reason(), failed=self._ledger.given_up()))
        return Nothing.DONE

    def on_reports(self, reports: Iterable[Report]) -> list[Decision]:
        """One decision each. Only the first report of a trial at a resource is recorded: a segment that is over gets
        STOP (a late attempt), a resource that was reported before gets CONTINUE (a trial catching up).
        """
        return [self._on_report(report) for report in reports]

    def on_segment_end(self, end: SegmentEnd) -> None:
        """A worker is done with a segment; nothing new if a decision has closed it."""
        if self._ledger.open_trial(end.trial, end.segment) is not None:
            self._record(SegmentEnded(end))

    def on_command(self, command: Command, number: int | None = None) -> None:
        """A person's word. Raises UserMistake, and records nothing, if it cannot be followed."""
        if command.config is not None:
            self.spec.space.check(command.config)
        if command.trial is not None and not 0 <= command.trial < len(self.trials):
            raise UserMistake(f"study {self.spec.study} has no trial {command.trial}")
        self._record(Commanded(command, number))

    def on_tick(self, seconds: float) -> None:
        """The study has been running for `seconds`, over all its sessions."""
        crosses = self._ledger.elapsed < self._ledger.limit_seconds() <= seconds
        if crosses or seconds - self._ledger.elapsed >= TICK_SECONDS:
            self._record(Ticked(seconds))

    def on_driver_lost(self) -> None:
        """Nobody has the running segments any more: the first thing to say after a replay."""
        for trial in self.running:
            assert trial.segment is not None
            self._record(SegmentEnded(SegmentEnd(trial.number, trial.segment.index, Ending.INTERRUPTED)))

    # How things stand.

    @property
    def trials(self) -> Sequence[Trial]:
        """All trials, by number."""
        return self._ledger.trials

    @property
    def running(self) -> list[Trial]:
        """The trials that workers have now."""
        return [self.trials[number] for number in sorted(self._ledger.running)]

    @property
    def ended(self) -> StudyEnded | None:
        """The study's end, once it has come."""
        return self._ledger.ended

    @property
    def elapsed(self) -> float:
        """Seconds of running, as far as the journal knows."""
        return self._ledger.elapsed

    @property
    def units(self) -> int:
        """Resource spent, over all trials."""
        return self._ledger.units

    @property
    def budget(self) -> Budget:
        """The budget as it stands, extensions included."""
        return self._ledger.budget

    def take_changes(self) -> Changes:
        """What is new since the last call."""
        ledger = self._ledger
        summaries = [self.trials[number].summary(self.spec.metric) for number in ledger.dirty]
        changes = Changes(self._events, summaries, ledger.stale)
        self._events, ledger.dirty, ledger.stale = [], {}, []
        return changes

    # Choosing.

    def _continuation(self) -> Segment | None:
        """A known trial that should go on: one that was interrupted, a promotion, or one that the sampler has seen
        enough promise in.
        """
        ledger = self._ledger
        if ledger.closing():
            return None
        if ledger.waiting:
            return self._next_segment(self._scheduler.stretch(min(ledger.waiting)))
        promotable = self._scheduler.promotable()
        if promotable is None and ledger.paused and not self._unpromising:
            promising = self._sampler.promising(ledger.observations(), ledger.paused)
            self._unpromising = promising is None
            promotable = None if promising is None else self._scheduler.stretch(promising)
        return None if promotable is None else self._next_segment(promotable)

    def _carry(self) -> Segment | None:
        """When nothing runs and nothing can be started: the most advanced and best of the trials that wait, so that at
        least one reaches max_resource before a study ends.
        """
        ledger = self._ledger
        if ledger.running or ledger.stop_reason or ledger.given_up():
            return None
        if any(trial.state is TrialState.COMPLETE for trial in self.trials):
            return None
        candidates = [
            (-trial.resource, trial.loss, trial.number)
            for trial in self.trials
            if trial.state in (TrialState.WAITING, TrialState.PAUSED) and trial.loss is not None
        ]
        if not candidates:
            return None
        return self._next_segment(self._scheduler.stretch(min(candidates)[-1]))

    def _propose(self, count: int) -> list[Config]:
        """Configurations for new trials: the queue's first, else the sampler's; none when the budget is spent, or the
        sampler exhausted.
        """
        ledger = self._ledger
        if ledger.closing():
            return []
        if ledger.budget.trials is not None:
            count = min(count, ledger.budget.trials - len(self.trials))
        if count <= 0:
            return []
        if ledger.queue:
            return [ledger.queue[0]]
        proposals = list(self._sampler.ask(ledger.observations(), ledger.n_asked, count))
        self._exhausted = not proposals
        return proposals

    def _first_segment(self, config: Config) -> Segment:
        number = len(self.trials)
        return self._segment(self._scheduler.stretch(number), config, index=0)

    def _next_segment(self, stretch: Stretch) -> Segment:
        trial = self.trials[stretch.trial]
        checkpoint = trial.checkpoints[-1] if trial.checkpoints else None
        return self._segment(stretch, trial.config, trial.segments, checkpoint)

    def _segment(self, stretch: Stretch, config: Config, index: int, checkpoint: Checkpoint | None = None) -> Segment:
        start = checkpoint.resource if checkpoint else 0
        return Segment(
            trial=stretch.trial,
            index=index,
            start=start,
            until=stretch.until,
            config=config,
            seed=derive_seed(self.spec.seed, "trial", stretch.trial),
            horizon=self._scheduler.max_resource,
            decide_at=tuple(resource for resource in stretch.decide_at if resource > start),
            checkpoint=checkpoint,
        )

    def _end_reason(self) -> str:
        ledger = self._ledger
        reason = ledger.closing()
        if reason and reason == ledger.goals.met:
            unit, n_trials = self.spec.scheduler.unit, len(self.trials)
            return told(reason, ledger.budget, unit, n_trials, ledger.units, ledger.elapsed)
        if reason:
            return reason
        if self._exhausted:
            return f"the {self.spec.sampler.name} sampler has nothing left to propose"
        return f"all {len(self.trials)} trials are done"

    # Events.

    def _on_report(self, report: Report) -> Decision:
        trial = self._ledger.open_trial(report.trial, report.segment)
        if trial is None:
            return Decision.STOP
        if report.resource <= trial.resource:
            return Decision.CONTINUE
        self._record(Reported(report))
        return trial.decision

    def _record(self, event: Event) -> None:
        if not isinstance(event, Ticked):
            self._unpromising = False
        self._ledger.apply(event)
        self._events.append(event)
