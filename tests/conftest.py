"""Puts Hypothesis on a clock that a busy machine can keep, and lends every test the databases and an object store."""

import os
import signal

from databases import postgres_server, postgres_url, store_url  # noqa: F401 (fixtures)
from hypothesis import settings
from s3_server import given_s3_url, s3, s3_url  # noqa: F401 (fixtures)

# In CI the same examples every time; elsewhere new ones, which is how they find things.
settings.register_profile("tuner", deadline=None, max_examples=60, derandomize=bool(os.environ.get("CI")))
settings.load_profile("tuner")

# A shell's background job ignores Ctrl-C, and so would all that the tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
