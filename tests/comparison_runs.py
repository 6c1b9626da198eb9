"""Traces and runs for the tests of a comparison."""

import numpy as np

from tuner.analysis.comparison import Run, Trace


def full_trainings(losses, max_resource=1):
    """A trace of one full training after another: trial i reports once, after i + 1 trials."""
    n = len(losses)
    count = np.arange(1, n + 1)
    return Trace(count * 10.0, count * max_resource, count, count - 1, np.full(n, max_resource), losses, max_resource)


def random_search(method, repeat, scale, seed, n=16, problem="default"):
    """Best of n exponential losses: after n trials the incumbent's mean is scale / n."""
    rng = np.random.default_rng([seed, repeat])
    return Run(method, repeat, full_trainings(rng.exponential(scale, n)), problem)
