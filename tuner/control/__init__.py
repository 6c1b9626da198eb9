"""The controller: pure logic between samplers, schedulers and what workers report."""

from tuner.control.controller import Changes, Nothing, StudyController
from tuner.control.fate import Fate, Happening, Lesson, fate
from tuner.control.kept import best_of
from tuner.control.ledger import first_configs

__all__ = ["Changes", "Fate", "Happening", "Lesson", "Nothing", "StudyController", "best_of", "fate", "first_configs"]
