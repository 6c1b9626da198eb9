"""What ends a study before its budget is spent (`budget.until`), and what is saved by it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median

from tuner.control.trial import Trial
from tuner.records import TrialState
from tuner.spec import Budget, StudySpec

FEWEST_TRIALS = 20
FEWEST_COMPLETE = 5
"""What an expected improvement is told from, at least: trials tried, and trials that are complete."""
N_CURVES, N_REPORTS = 5, 6
"""The noise is that of the last reports of the best complete trials: so many of each."""


class Goals:
    """Has the study come to one of its goals? `met` says to which, in words, and stays so until an extension."""

    def __init__(self, spec: StudySpec) -> None:
        self._metric = spec.metric
        self._until = spec.budget.until
        self._any = spec.budget.until.model_dump() != {}
        self._trials: dict[int, Trial] = {}
        """Those that were tried: judged at a rung, or over."""
        self._best: dict[int, float] = {}
        """resource -> the lowest loss of a trial that was judged there."""
        self._counted_from = 0
        """How many had been tried at the last improvement, or extension."""
        self._look_at = FEWEST_TRIALS
        """How many must have been tried before the expected improvement is worked out again."""
        self._target_was_met = False
        self.met = ""

    def saw(self, trial: Trial) -> None:
        """A trial has changed."""
        if not self._any or not (trial.judged or trial.ended):
            return
        self._trials[trial.number] = trial
        if self._improves(trial):
            self._counted_from = len(self._trials)
        self.met = self.met or self._target(trial) or self._no_improvement() or self._nothing_to_expect()

    def lift(self) -> None:
        """The study is extended: a target that was met is none any more, and the rest counts from here."""
        if self._target_was_met:
            self._until = self._until.model_copy(update={"value": None})
        self._counted_from = len(self._trials)
        self._look_at = max(FEWEST_TRIALS, math.ceil(len(self._trials) * 3 / 2))
        self.met = ""

    def _improves(self, trial: Trial) -> bool:
        """Whether the trial is the best so far at a resource where it was judged."""
        better = {at: loss for at, loss in _judged(trial).items() if loss < self._best.get(at, math.inf)}
        self._best |= better
        return bool(better)

    def _target(self, trial: Trial) -> str:
        target, loss = self._until.value, trial.loss
        if target is None or loss is None or trial.state is not TrialState.COMPLETE or loss > self._metric.loss(target):
            return ""
        self._target_was_met = True
        return (
            f"trial {trial.number} has {self._metric.name} {self._metric.value_of(loss):.4g}, the goal was {target:g}"
        )

    def _no_improvement(self) -> str:
        patience = self._until.no_improvement
        if patience is None or len(self._trials) - self._counted_from < patience:
            return ""
        return f"no improvement in {patience} trials"

    def _nothing_to_expect(self) -> str:
        asked = self._until.expected_improvement
        if asked is None or len(self._trials) < self._look_at:
            return ""
        trials = [self._trials[number] for number in sorted(self._trials)]
        complete = [trial for trial in trials if trial.state is TrialState.COMPLETE]
        if len(complete) < FEWEST_COMPLETE:
            return ""
        self._look_at = math.ceil(len(trials) * 1.05)  # so that a long study does not work it out at every trial
        worst = max(_loss(trial) for trial in complete)
        losses = [_loss(trial) if trial.state is TrialState.COMPLETE else worst for trial in trials]
        gain, limit = expected_improvement(losses), noise(complete) if asked == "noise" else asked
        if gain >= limit:
            return ""
        little = f"{limit:.2g}, the noise" if asked == "noise" else f"{limit:g}"
        return f"half as many trials again are expected to improve {self._metric.name} by less than {little}"


def expected_improvement(losses: Sequence[float]) -> float:
    """An upper estimate of what half as many trials again would take off the lowest of n `losses`, given by trial.

    What the last m = 2n/3 did take off, or, if that is more, what m of them take off on average over all orders:
    Σ_i p_i (x_(i) - x_(1)), where p_i = C(n-i, n-m-1) / C(n, n-m) is the chance that the i-th lowest of all is the
    lowest of n - m. For independent trials the latter is unbiased for E[min of n-m] - E[min of n], and m trials more
    take off no more, as the expected minimum is convex in n; fewer take off less, which leaves a margin for looking
    again and again. The former counts because of samplers that learn.
    """
    n, m = len(losses), len(losses) * 2 // 3
    ordered = sorted(losses)
    chance, mean = (n - m) / n, 0.0
    for i in range(1, m + 1):
        chance *= (m - i + 1) / (n - i)
        mean += chance * (ordered[i] - ordered[0])
    return max(mean, min(losses[: n - m]) - ordered[0])


def noise(complete: Sequence[Trial]) -> float:
    """The standard deviation of single reports at the ends of the best curves, from third differences, which a smooth
    curve has next to none of: σ² = E[d²] / 20. 0 where no curve has four reports.

    It is what one run scatters from epoch to epoch: usually less than what another seed makes.
    """
    best = sorted(complete, key=lambda trial: (_loss(trial), trial.number))[:N_CURVES]
    scatters = [scatter for trial in best if (scatter := _scatter(trial.losses)) is not None]
    return median(scatters) if scatters else 0.0


def _scatter(losses: Mapping[int, float]) -> float | None:
    ends = [losses[resource] for resource in sorted(losses)[-N_REPORTS:]]
    thirds = [d - 3 * c + 3 * b - a for a, b, c, d in zip(ends, ends[1:], ends[2:], ends[3:], strict=False)]
    return math.sqrt(sum(third * third for third in thirds) / (20 * len(thirds))) if thirds else None


def _loss(trial: Trial) -> float:
    assert trial.loss is not None
    return trial.loss


def _judged(trial: Trial) -> Mapping[int, float]:
    if trial.state is TrialState.COMPLETE:  # by its objective's own patience, perhaps, between two rungs
        return {**trial.judged, trial.resource: _loss(trial)}
    return trial.judged


def told(why: str, budget: Budget, unit: str, n_trials: int, units: int, seconds: float) -> str:
    """The end of a study that met a goal, in words: `why`, and what of the budget is not spent."""
    if budget.trials is not None:
        left = budget.trials - n_trials
        if left <= 0:
            return why
        saved = f"{left} trials, about {left * units / n_trials:.0f} {unit}s, not spent"
        return f"stopped after {n_trials} of {budget.trials} trials: {why}; {saved}"
    saves = [f"{budget.epochs - units} of {budget.epochs} {unit}s"] if budget.epochs is not None else []
    if budget.minutes is not None:
        saves.append(f"{budget.minutes - seconds / 60:.3g} of {budget.minutes:g} min")
    return f"stopped after {n_trials} trials: {why}; {' and '.join(saves)} not spent"
