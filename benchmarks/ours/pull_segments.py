"""Ours: no-op segments pulled by the Ray executor's workers, with no controller and no store behind. Prints JSON.

    python benchmarks/ours/pull_segments.py [--segments N] [--cpus 2]

`seconds` begins after `ray.init` and ends when the workers were sent home; `steady_seconds` begins with the first pull.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import tuner.execution.ray  # noqa: F401 - before Ray, whose environment it sets

import ray  # isort: skip

from tuner.control import Nothing
from tuner.execution import Job
from tuner.execution.ray.executor import RayTuneExecutor
from tuner.records import Decision, Segment, SegmentEnd


def objective(config, trial):
    trial.report(1, loss=config["lr"])


class Feeder:
    """A Driver that hands out a number of segments and agrees to everything."""

    def __init__(self, n_segments):
        self.left = self.open = n_segments
        self.n_segments = n_segments
        self.first_pull = None

    def pull(self, workers):
        self.first_pull = self.first_pull or time.perf_counter()
        n_given = min(len(workers), self.left)
        first = self.n_segments - self.left
        self.left -= n_given
        if n_given:
            return [Segment(first + n, 0, 0, 1, {"lr": 1e-3}, seed=first + n, horizon=1) for n in range(n_given)]
        return Nothing.WAIT if self.open else Nothing.DONE

    def push(self, messages):
        self.open -= sum(isinstance(message, SegmentEnd) for message in messages)
        return [Decision.CONTINUE] * len(messages)

    def tick(self):
        """Nothing is due."""

    def overdue(self):
        """Nobody steers."""
        return ()

    def commit(self):
        """Nothing is kept."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--segments", type=int, default=2000)
    parser.add_argument("--cpus", type=int, default=2)
    options = parser.parse_args()
    ray.init(num_cpus=options.cpus, include_dashboard=False, log_to_driver=False)
    with tempfile.TemporaryDirectory() as folder:
        feeder = Feeder(options.segments)
        job = Job("segments", objective, "loss", Path(folder), parallel=options.cpus)
        start = time.perf_counter()
        RayTuneExecutor().run(job, feeder)
        end = time.perf_counter()
    assert feeder.open == 0
    steady = end - feeder.first_pull
    print(json.dumps({"seconds": end - start, "segments": options.segments, "steady_seconds": steady}))


if __name__ == "__main__":
    main()
