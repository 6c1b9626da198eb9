"""What people ask of a study, as it changes the ledger: commands, and revisions of the spec."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from tuner.control.fate import Happening
from tuner.control.goals import Goals
from tuner.control.horizons import lay_out_anew, worth_another_start
from tuner.control.trial import Trial
from tuner.records import Command, CommandKind, Config, Revised, TrialState
from tuner.schedule import make_scheduler
from tuner.spec import StudySpec

if TYPE_CHECKING:
    from tuner.control.ledger import Ledger

REDUCTION_FACTOR = 3
"""One in so many trials starts again under a longer max_resource, where the scheduler has no η."""


def follow(ledger: Ledger, command: Command) -> None:
    """Take in one command."""
    match command.kind:
        case CommandKind.ENQUEUE:
            assert command.config is not None
            ledger.queue.append(ledger.spec.space.complete(command.config))
        case CommandKind.EXTEND:
            ledger.budget = ledger.budget.model_copy(update=dict(command.budget or {}))
            ledger.goals.lift()
            _reopen(ledger)
        case CommandKind.STOP if command.trial is None:
            ledger.stop_reason = f"stopped by {command.author}"
            ledger.on_hold = ""
            ledger.carried = None
        case CommandKind.PAUSE | CommandKind.UNPAUSE if command.trial is None:
            ledger.on_hold = _why_on_hold(command)
        case CommandKind.PAUSE | CommandKind.UNPAUSE:
            assert command.trial is not None
            _hold(ledger, ledger.trials[command.trial], _why_on_hold(command))
        case CommandKind.STOP:
            assert command.trial is not None
            trial = ledger.trials[command.trial]
            trial.stop_reason = f"stopped by {command.author}"
            if trial.segment is None and not trial.ended:
                ledger.move(trial, Happening.PERSON_STOPPED, trial.stop_reason)


def revise(ledger: Ledger, event: Revised) -> None:
    """Go on by the spec after a revision. No trial is running."""
    after, before = StudySpec.from_dict(event.after), ledger.spec
    again = starting_again(ledger, after, event.horizon_free)
    ledger.spec = after
    ledger.budget = ledger.budget.model_copy(update={"until": after.budget.until})
    _reopen(ledger)
    max_resource = after.scheduler.max_resource
    if max_resource != before.scheduler.max_resource:
        ledger.scheduler = make_scheduler(after.scheduler)
        lay_out_anew(ledger.trials, ledger.scheduler, event.horizon_free)
        ledger.queue.extendleft(reversed(again))
    ledger.goals = Goals(after)
    for trial in ledger.trials:
        ledger.place(trial)
        ledger.changed(trial)
    ledger.goals.lift()
    ledger.unseen = {
        trial.number
        for trial in ledger.trials
        if not after.space.contains(trial.config)
        or (trial.horizon != max_resource and trial.state is not TrialState.FAILED)
    }


def starting_again(ledger: Ledger, revised: StudySpec, horizon_free: Collection[int]) -> list[Config]:
    """What would be tried anew under a revised spec, as new trials: the best of those that cannot go on."""
    present = ledger.scheduler.max_resource
    if revised.scheduler.max_resource == present:
        return []
    left_behind = [trial for trial in ledger.trials if trial.number not in horizon_free and trial.horizon == present]
    best = worth_another_start(left_behind, getattr(revised.scheduler, "reduction_factor", REDUCTION_FACTOR))
    return [trial.config for trial in best if revised.space.contains(trial.config)]


def _reopen(ledger: Ledger) -> None:
    """Nothing is over any more, but the trials that came to their own end."""
    ledger.ended = None
    ledger.stop_reason = ledger.on_hold = ledger.broken = ""
    ledger.carried = None
    ledger.forgiven = len(ledger.trials)
    for trial in ledger.trials:
        if trial.reopens_as is not None:
            trial.reopen()
            ledger.place(trial)
            ledger.changed(trial)


def _hold(ledger: Ledger, trial: Trial, why: str) -> None:
    """Let the trial wait where it stands, or at its next report; without a `why`, let it go on."""
    trial.on_hold = why
    if why:
        ledger.held.add(trial.number)
    else:
        ledger.held.discard(trial.number)
    if trial.segment is None and not trial.ended:
        trial.reason = why
    ledger.changed(trial)


def _why_on_hold(command: Command) -> str:
    return f"paused by {command.author}" if command.kind is CommandKind.PAUSE else ""
