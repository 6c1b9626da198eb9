"""The controller: pure logic between samplers, schedulers and what workers report."""

from tuner.control.controller import Changes, Nothing, StudyController
from tuner.control.fate import Fate, Happening, Lesson, fate

__all__ = ["Changes", "Fate", "Happening", "Lesson", "Nothing", "StudyController", "fate"]
