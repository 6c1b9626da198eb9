"""What a longer max_resource makes of the trials that there are: rungs and models never mix horizons."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tuner.control.fate import Happening
from tuner.control.trial import Trial
from tuner.records import Decision, TrialState
from tuner.schedule import Scheduler


def lay_out_anew(trials: Sequence[Trial], scheduler: Scheduler, horizon_free: Collection[int]) -> None:
    """Tell a `scheduler` of another max_resource, which knows nothing yet, of all trials. None of them is running.

    Those of `horizon_free` stand on its rungs with what they reported, and go on if it lets them. The others are over:
    what they learned under the old horizon says nothing on the new rungs.
    """
    for trial in trials:
        scheduler.start(trial.number)
        if trial.number in horizon_free:
            _carry_over(trial, scheduler)
        else:
            _leave_behind(trial, scheduler)


def worth_another_start(left_behind: Sequence[Trial], reduction_factor: int) -> list[Trial]:
    """Of the trials that had come to the end of their horizon the best 1/η, at least one, the best first."""
    done = [trial for trial in left_behind if trial.state is TrialState.COMPLETE and trial.loss is not None]
    done.sort(key=lambda trial: (trial.loss, trial.number))
    return done[: max(1, len(done) // reduction_factor)]


def _carry_over(trial: Trial, scheduler: Scheduler) -> None:
    ended_early = trial.state is TrialState.COMPLETE and trial.resource < trial.horizon
    trial.horizon, trial.rungs, trial.judged = scheduler.max_resource, scheduler.rungs(trial.number), {}
    decision, stands_at = _replay(trial, scheduler)
    if trial.state is TrialState.FAILED:
        scheduler.on_failure(trial.number)
    elif trial.state is TrialState.PRUNED or ended_early:
        scheduler.on_finish(trial.number)
    elif decision is Decision.STOP:
        trial.become(Happening.SCHEDULER_STOPPED)
    elif decision is Decision.CONTINUE:
        trial.become(Happening.SUSPENDED, trial.on_hold)
    elif trial.state is TrialState.WAITING and trial.resource > stands_at:
        scheduler.promote(trial.number)  # it was under way to the next rung
    else:
        trial.become(Happening.SCHEDULER_PAUSED, trial.on_hold)


def _replay(trial: Trial, scheduler: Scheduler) -> tuple[Decision, int]:
    """Tell the scheduler what the trial reported; its last decision, and the last rung that was reached (0: none)."""
    decision, stands_at = Decision.CONTINUE, 0
    for resource, loss in sorted(trial.losses.items()):
        passed = [rung for rung in trial.rungs if stands_at < rung <= resource]
        if passed and decision is Decision.PAUSE:
            scheduler.promote(trial.number)
        trial.judged |= dict.fromkeys(passed, loss)
        decision = scheduler.on_report(trial.number, resource, loss)
        stands_at = passed[-1] if passed else stands_at
    return decision, stands_at


def _leave_behind(trial: Trial, scheduler: Scheduler) -> None:
    scheduler.on_finish(trial.number)
    if trial.state is TrialState.FAILED:  # where it failed is worth knowing under any horizon
        trial.rungs, trial.judged = scheduler.rungs(trial.number), {}
    elif not trial.ended:
        trial.become(Happening.SCHEDULER_STOPPED, f"its horizon was {trial.horizon}, and is longer now")
