"""A plain Ray Tune script: no-op trials of 5 reports, OptunaSearch (TPE) and ASHA. Prints JSON.

    python benchmarks/peers/ray_plain.py [--trials N] [--cpus 2] [--reuse-actors]

Tune's defaults, but for `--reuse-actors`. `seconds` begins after `ray.init` and ends with `Tuner.fit`.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time

import ray
from ray import tune
from ray.tune.schedulers import AsyncHyperBandScheduler
from ray.tune.search.optuna import OptunaSearch

SPACE = {
    "lr": tune.loguniform(1e-5, 1.0),
    "momentum": tune.uniform(0.0, 0.99),
    "layers": tune.randint(1, 5),
    "batch_size": tune.choice([32, 64, 128, 256]),
}


def objective(config):
    for epoch in range(1, 6):
        loss = (math.log10(config["lr"]) + 3) ** 2 + config["momentum"] + config["layers"] / config["batch_size"]
        tune.report({"loss": loss + 1 / epoch})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=32)
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("--reuse-actors", action="store_true")
    options = parser.parse_args()
    ray.init(num_cpus=options.cpus, include_dashboard=False, log_to_driver=False)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        tuner = tune.Tuner(
            objective,
            param_space=SPACE,
            tune_config=tune.TuneConfig(
                metric="loss",
                mode="min",
                num_samples=options.trials,
                search_alg=OptunaSearch(seed=1),  # its default sampler is TPE
                scheduler=AsyncHyperBandScheduler(max_t=5, grace_period=1, reduction_factor=3),
                **({"reuse_actors": True} if options.reuse_actors else {}),
            ),
            run_config=tune.RunConfig(name="noop", storage_path=folder),
        )
        results = tuner.fit()
        seconds = time.perf_counter() - start
    reports = sum(result.metrics["training_iteration"] for result in results)
    assert not results.errors
    print(json.dumps({"seconds": seconds, "trials": len(results), "reports": reports}))


if __name__ == "__main__":
    main()
