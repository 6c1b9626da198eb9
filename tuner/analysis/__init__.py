"""What a study's records mean: typed tables first, plots second. Reads the store only."""

from tuner.analysis.frames import reports_frame, steps_frame, trials_frame
from tuner.analysis.leaderboard import best_trial, counts, leaderboard

__all__ = ["best_trial", "counts", "leaderboard", "reports_frame", "steps_frame", "trials_frame"]
