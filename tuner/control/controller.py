"""The study's mind: which segment comes next, and what becomes of a report. Pure logic: no clock, no I/O, no Ray.

Each public method turns what happened into numbered events, and events change the `Ledger` through `apply` alone. So a
controller that is given a journal's events again (`replay`) stands where the one that wrote them stood: proposals are
read from the journal, never asked again, and the n-th ask draws from (seed, n).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from tuner.control.goals import told
from tuner.control.ledger import Ledger
from tuner.control.steering import starting_again
from tuner.control.stragglers import straggler
from tuner.control.trial import Trial
from tuner.errors import UserMistake
from tuner.records import (
    Checkpoint,
    Command,
    Commanded,
    CommandKind,
    Config,
    Decision,
    Ending,
    Event,
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
    TrialSummary,
)
from tuner.schedule import Scheduler, Stretch
from tuner.search import Sampler
from tuner.seeds import derive_seed
from tuner.spec import Budget, StudySpec

FEW_RUNNING, NEWS_SHARE = 32, 4
"""With more running trials than the first, the sampler is asked who is promising when one in so many of those beyond it
has reported.
"""
TICK_SECONDS = 10.0
"""How far the clock moves before the journal is told, unless it passes the budget."""


class Nothing(Enum):
    """Why there is no segment to hand out."""

    WAIT = auto()  # what is running may lead to more
    ON_HOLD = auto()  # a person has paused the study, and nothing is running any more
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
        """`spec` and `scheduler` are those that the study began with, `sampler` is that of its newest spec."""
        self._sampler = sampler
        self._ledger = Ledger(spec, scheduler)
        self._events: list[Event] = []
        self._exhausted = False  # for the words at the end; it decides nothing
        self._unpromising = False  # the sampler saw promise in nobody, and nothing has happened since
        self._n_news = 0
        """Reports and ends since a new trial was started as nobody was promising."""

    # What may happen.

    def replay(self, events: Iterable[Event]) -> None:
        """Stand where the controller stood that recorded `events`."""
        for event in events:
            self._take_in(event)
        self._ledger.dirty.clear()

    def next_segments(self, workers: Sequence[str]) -> list[Segment] | Nothing:
        """At most one segment for each idle worker: interrupted trials first, then promotions, then new trials."""
        if self._ledger.on_hold and self.ended is None:
            return Nothing.WAIT if self._ledger.running else Nothing.ON_HOLD
        issued: list[Segment] = []
        proposals: deque[Config] = deque()
        while len(issued) < len(workers) and self.ended is None:
            segment = self._continuation()
            if segment is None and not proposals:
                proposals.extend(self._propose(len(workers) - len(issued)))
            if segment is None and proposals:
                segment = self._first_segment(proposals.popleft())
            if segment is None:
                segment = self._carry() or self._again_elsewhere()
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
        if self.ended is not None and command.kind in (CommandKind.STOP, CommandKind.PAUSE, CommandKind.UNPAUSE):
            raise UserMistake(f"study {self.spec.study} has ended")
        self._record(Commanded(command, number))

    def on_tick(self, seconds: float) -> None:
        """The study has been running for `seconds`, over all its sessions."""
        crosses = self._ledger.elapsed < self._ledger.limit_seconds() <= seconds
        if crosses or seconds - self._ledger.elapsed >= TICK_SECONDS:
            self._record(Ticked(seconds))

    def on_revision(self, spec: StudySpec, author: str, horizon_free: Collection[int]) -> None:
        """Go on by another spec, that which the sampler was made for. Nothing may be running."""
        assert not self._ledger.running
        self._record(Revised(author, self.spec.to_dict(), spec.to_dict(), tuple(sorted(horizon_free))))

    def starting_again(self, spec: StudySpec, horizon_free: Collection[int]) -> int:
        """How many new trials such a revision would begin with, which the budget must have room for."""
        return len(starting_again(self._ledger, spec, horizon_free))

    def on_driver_lost(self) -> None:
        """Nobody has the running segments any more: the first thing to say after a replay."""
        for trial in self.running:
            while trial.segment is not None:  # two, where it has a rival
                self._record(SegmentEnded(SegmentEnd(trial.number, trial.segment.index, Ending.INTERRUPTED)))

    # How things stand.

    @property
    def spec(self) -> StudySpec:
        """The spec as it was last revised."""
        return self._ledger.spec

    @property
    def trials(self) -> Sequence[Trial]:
        """All trials, by number."""
        return self._ledger.trials

    @property
    def running(self) -> list[Trial]:
        """The trials that workers have now."""
        return [self.trials[number] for number in sorted(self._ledger.running)]

    @property
    def recalled(self) -> list[Trial]:
        """The running trials that a person wants to work no further than to their next report."""
        everyone = self.on_hold or self.stopped
        return [trial for trial in self.running if everyone or trial.stop_reason or trial.on_hold]

    @property
    def ended(self) -> StudyEnded | None:
        """The study's end, once it has come."""
        return self._ledger.ended

    @property
    def on_hold(self) -> str:
        """Why nothing is to run for now: "paused by" a person; "" if it may."""
        return self._ledger.on_hold

    @property
    def stopped(self) -> bool:
        """Whether a person wants the study to end."""
        return self._ledger.stop_reason != ""

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
        if ready := ledger.waiting - ledger.held:
            return self._next_segment(self._ledger.scheduler.stretch(min(ready)))
        promotable = self._ledger.scheduler.promotable(ledger.held)
        worth = self._news_worth_asking()
        due = not self._unpromising and self._n_news >= worth
        if promotable is None and due and (paused := ledger.paused - ledger.held):
            promising = self._sampler.promising(ledger.observations(), paused)
            self._unpromising = promising is None
            if promising is None or worth > 1:
                self._n_news = 0
            promotable = None if promising is None else self._ledger.scheduler.stretch(promising)
        return None if promotable is None else self._next_segment(promotable)

    def _carry(self) -> Segment | None:
        """When nothing runs and nothing can be started: the most advanced and best of the trials that wait, so that at
        least one reaches max_resource before a study ends.
        """
        ledger = self._ledger
        if ledger.running or ledger.stop_reason or ledger.given_up():
            return None
        longest = ledger.scheduler.max_resource
        if any(trial.state is TrialState.COMPLETE and trial.horizon == longest for trial in self.trials):
            return None
        candidates = [
            (-trial.resource, trial.loss, trial.number)
            for trial in self.trials
            if trial.state in (TrialState.WAITING, TrialState.PAUSED) and trial.loss is not None and not trial.on_hold
        ]
        if not candidates:
            return None
        return self._next_segment(self._ledger.scheduler.stretch(min(candidates)[-1]))

    def _again_elsewhere(self) -> Segment | None:
        """When a worker would idle: a second run of a trial that is silent for too long, if the spec wants that."""
        ledger, factor = self._ledger, self.spec.timeouts.straggler
        if factor is None or ledger.closing():
            return None
        number = straggler(self.running, self.trials, ledger.elapsed, factor)
        return None if number is None else self._next_segment(ledger.scheduler.stretch(number))

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
        return self._segment(self._ledger.scheduler.stretch(number), config, index=0)

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
            horizon=self._ledger.scheduler.max_resource,
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
        n_held = sum(not self.trials[number].ended for number in ledger.held)
        but = f" but {n_held}, which a person paused" if n_held else ""
        return f"all {len(self.trials)} trials are done{but}"

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
        self._take_in(event)
        self._events.append(event)

    def _take_in(self, event: Event) -> None:
        """Change the ledger. A new trial is started only where nobody is promising: so its event says that the sampler
        was asked if that was due, to a replay as well; of many that are started together the first alone has asked.
        """
        if isinstance(event, SegmentIssued):
            is_new = event.segment.index == 0
            self._n_news = 0 if is_new and self._n_news >= self._news_worth_asking() else self._n_news
        elif not isinstance(event, Ticked):
            self._n_news += 1
        if not isinstance(event, Ticked):
            self._unpromising = False
        self._ledger.apply(event)

    def _news_worth_asking(self) -> int:
        """How much must have happened before the sampler is asked again who is promising: anything, as long as few
        trials run; where a thousand do, a report or two change nothing, and a model each would cost more than they.
        """
        return max(1, (len(self._ledger.running) - FEW_RUNNING) // NEWS_SHARE)
