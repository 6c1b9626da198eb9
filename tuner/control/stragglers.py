"""Who is silent for too long, while others have nothing to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from tuner.control.trial import Trial

FEWEST = 3
"""Trials that have reported, before anybody is said to be slow."""


def straggler(running: Iterable[Trial], trials: Sequence[Trial], elapsed: float, factor: float) -> int | None:
    """The running trial that is silent for the longest, against what is usual, if for more than `factor` times that.

    Usual is the median of the trials' seconds between reports, or the trial's own if it is quicker. None too if it is
    run twice already. `elapsed` are the study's seconds.
    """
    gaps = {trial.number: trial.seconds / len(trial.losses) for trial in trials if trial.losses}
    if len(gaps) < FEWEST:
        return None
    usual = median(gaps.values())
    waited = [
        ((elapsed - trial.heard_at) / max(min(usual, gaps.get(trial.number, usual)), 1e-9), -trial.number)
        for trial in running
        if trial.rival is None
    ]
    longest, number = max(waited, default=(0.0, 0))
    return -number if longest > factor else None
