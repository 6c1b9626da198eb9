"""What a study's records mean: typed tables first, plots second. Reads the store only."""

from tuner.analysis.frames import reports_frame, steps_frame, trials_frame
from tuner.analysis.leaderboard import best_trial, counts, leaderboard
from tuner.analysis.view import StudyView

__all__ = ["StudyView", "best_trial", "counts", "leaderboard", "reports_frame", "steps_frame", "trials_frame"]
