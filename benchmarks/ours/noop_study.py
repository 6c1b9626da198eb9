"""Ours: a study of no-op trials of 5 reports, ASHA (type stop) and TPE, through one executor. Prints JSON.

    python benchmarks/ours/noop_study.py --executor local|ray [--trials N] [--parallel W] [--profile]

`seconds` is `tuner.run(...)`, whole: the SQLite store made and migrated, the workers started, the last event committed.
With Ray it starts after `ray.init`. `--profile` tells on stderr where the driver's own thread spent it.
"""

from __future__ import annotations

import argparse
import contextlib
import cProfile
import importlib
import json
import math
import pstats
import sys
import tempfile
import time

import tuner
from tuner import api
from tuner.search import tpe  # noqa: F401 - loaded late otherwise: the peers import Optuna before their clock runs

SPACE = {
    "lr": tuner.Float(1e-5, 1.0, log=True),
    "momentum": tuner.Float(0.0, 0.99),
    "layers": tuner.Int(1, 4),
    "batch_size": tuner.Choice([32, 64, 128, 256]),
}


def objective(config, trial):
    for epoch in range(trial.start + 1, trial.until + 1):
        loss = (math.log10(config["lr"]) + 3) ** 2 + config["momentum"] + config["layers"] / config["batch_size"]
        trial.report(epoch, loss=loss + 1 / epoch)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--executor", choices=("local", "ray"), required=True)
    parser.add_argument("--trials", type=int, default=512)
    parser.add_argument("--parallel", type=int, default=1)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    if options.executor == "ray":
        start_ray(options.parallel)
    with tempfile.TemporaryDirectory() as folder:
        profile = cProfile.Profile() if options.profile else None
        start = time.perf_counter()
        with profile or contextlib.nullcontext():
            study = run(options, folder)
        seconds = time.perf_counter() - start
        result = {"seconds": seconds, "trials": len(study.trials), "reports": len(study.reports())}
    if profile:
        stats = pstats.Stats(profile, stream=sys.stderr)
        stats.sort_stats("tottime").print_stats(30).sort_stats("cumtime").print_stats(60)
    print(json.dumps(result))


def run(options, folder):
    """The study; what `seconds` measures."""
    return api.run(
        objective,
        study="noop",
        space=SPACE,
        metric="loss",
        sampler="tpe",
        scheduler=tuner.ASHA(type="stop", min_resource=1, max_resource=5, reduction_factor=3),
        budget=tuner.Budget(trials=options.trials),
        executor=options.executor,
        parallel=options.parallel,
        store=f"{folder}/tuner.db",
        storage=folder,
    )


def start_ray(cpus):
    """Ray and all imports, before the clock runs, as with the peers; its package sets Ray's environment first."""
    importlib.import_module("tuner.execution.ray.executor")
    ray = importlib.import_module("ray")
    ray.init(num_cpus=cpus, include_dashboard=False, log_to_driver=False)


if __name__ == "__main__":
    main()
