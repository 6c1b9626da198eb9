"""One Tune trial per segment, as lean as Tune gets: no searcher, no scheduler, no loggers, reused actors. Prints JSON.

    python benchmarks/peers/ray_trial_per_segment.py [--segments N] [--cpus 2]

`seconds` begins after `ray.init` and ends with `Tuner.fit`.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time

os.environ |= {
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",
}

import ray
from ray import tune


def segment(config):
    tune.report({"loss": config["lr"]})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--segments", type=int, default=300)
    parser.add_argument("--cpus", type=int, default=2)
    options = parser.parse_args()
    ray.init(num_cpus=options.cpus, include_dashboard=False, log_to_driver=False)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        results = tune.Tuner(
            segment,
            param_space={"lr": tune.loguniform(1e-5, 1.0)},
            tune_config=tune.TuneConfig(num_samples=options.segments, reuse_actors=True),
            run_config=tune.RunConfig(name="segments", storage_path=folder, verbose=0),
        ).fit()
        seconds = time.perf_counter() - start
    assert len(results) == options.segments
    assert not results.errors
    print(json.dumps({"seconds": seconds, "segments": options.segments}))


if __name__ == "__main__":
    main()
