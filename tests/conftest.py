"""Puts Hypothesis on a clock that a busy machine can keep."""

import os

from hypothesis import settings

# In CI the same examples every time; elsewhere new ones, which is how they find things.
settings.register_profile("tuner", deadline=None, max_examples=60, derandomize=bool(os.environ.get("CI")))
settings.load_profile("tuner")
