"""Optuna alone: no-op trials of 5 reports into its SQLite storage, TPE and successive halving. Prints JSON.

    python benchmarks/peers/optuna_plain.py [--trials N]

`seconds` is `create_study` and the loop over its trials, in one process.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time

import optuna


def objective(trial: optuna.Trial) -> float:
    lr = trial.suggest_float("lr", 1e-5, 1.0, log=True)
    momentum = trial.suggest_float("momentum", 0.0, 0.99)
    layers = trial.suggest_int("layers", 1, 4)
    batch_size = trial.suggest_categorical("batch_size", [32, 64, 128, 256])
    loss = math.inf
    for epoch in range(1, 6):
        loss = (math.log10(lr) + 3) ** 2 + momentum + layers / batch_size + 1 / epoch
        trial.report(loss, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned
    return loss


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        study = optuna.create_study(
            storage=f"sqlite:///{folder}/optuna.db",
            sampler=optuna.samplers.TPESampler(seed=1),
            pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3),
        )
        study.optimize(objective, n_trials=options.trials)
        seconds = time.perf_counter() - start
        reports = sum(len(trial.intermediate_values) for trial in study.trials)
    print(json.dumps({"seconds": seconds, "trials": len(study.trials), "reports": reports}))


if __name__ == "__main__":
    main()
