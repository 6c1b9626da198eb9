"""Puts Hypothesis on a clock that a busy machine can keep."""

from hypothesis import settings

settings.register_profile("tuner", deadline=None, max_examples=60)
settings.load_profile("tuner")
