"""A study of 64 MNIST trials on 10,000 samples: `tune run` against a plain Ray Tune script with a DataLoader loop.

    python benchmarks/mnist_study.py [--rounds 3] [--trials 64] [--record]

Ours is search_spaces/mnist.yaml with 10,000 training samples: once with ASHA's type stop, which is the rule of the
plain script, and once with type promote, as the file has it. All have one CPU and one thread a trial, on all cores.
"""

from __future__ import annotations

import functools
import os
import sys
import tempfile

from programs import run_command, run_program
from record import Record, arguments, take_turns

STOP, PROMOTE = "ours, tune run, type stop", "ours, tune run, type promote"
DEFAULTS, REUSED = "plain script, defaults", "plain script, reuse_actors"

COUNTED = """\
Each turn is a fresh process with a Ray of its own; the time is the whole process' wall time: imports, Ray's start,
data, {trials} trials, the end. All read the same 10,000 + 10,000 images from a local cache, search the same space from
the same first configuration, and use ASHA (1, 9, η = 3). Beyond the plain script, ours measures the training loss in
evaluation mode on 10,000 samples and gradient norms each epoch, writes a checkpoint each epoch, and commits everything
to its store. The accuracy is that of the trial with the best last validation loss; of ours, among those at the highest
resource. How long trials are depends on which ones a search meets, so epochs are told as well."""


def main() -> None:
    parser = arguments(__doc__, rounds=3)
    parser.add_argument("--trials", type=int, default=64, help="of each (64)")
    options = parser.parse_args()
    record = Record("mnist-study", "A study of MNIST, 10,000 samples", packages=("ray", "optuna", "torch"))
    plain = functools.partial(run_program, "peers/ray_plain_mnist.py", "--trials", options.trials)
    results = take_turns(
        {
            STOP: lambda: ours("stop", options.trials),
            REUSED: lambda: plain("--reuse-actors"),
            DEFAULTS: plain,
            PROMOTE: lambda: ours("promote", options.trials),
        },
        options.rounds,
    )
    record.note(COUNTED.format(trials=options.trials))
    walls = column(results, "process_seconds")
    ratios = record.table("wall seconds", walls, ours=STOP)
    epochs = column(results, "epochs")
    record.table("epochs trained", epochs, digits=0)
    record.table("epochs per wall second", {name: divided(epochs[name], walls[name]) for name in results}, ours=STOP)
    record.table("best validation accuracy, %", column(results, "val_accuracy", 100), digits=2)
    for name, wanted, met in (
        (DEFAULTS, "at most 1/3 of", ratios[DEFAULTS] <= 1 / 3),
        (REUSED, "less than that of", ratios[REUSED] < 1),
    ):
        record.target(f"wall time of type stop {wanted} {name}", reached=f"{ratios[name]:.2f} of it", met=met)
    record.publish(write=options.record)


def ours(asha_type: str, trials: int) -> dict[str, float]:
    """`tune run`, in a store and a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        sets = ["objective=objectives.mnist:Mnist10k", f"scheduler.type={asha_type}"]
        command = [sys.executable, "-m", "tuner.cli", "run", "search_spaces/mnist.yaml", "--executor", "ray", "--json"]
        command += ["--trials", str(trials), *(part for text in sets for part in ("--set", text))]
        done = run_command(command, {**os.environ, "TUNER_HOME": folder})
    return {
        "process_seconds": done["process_seconds"],
        "epochs": sum(trial["resource"] for trial in done["trials"]),
        "val_accuracy": done["best"]["metrics"]["val_accuracy"],
    }


def column(results: dict[str, list[dict[str, float]]], key: str, factor: float = 1) -> dict[str, list[float]]:
    return {name: [factor * turn[key] for turn in turns] for name, turns in results.items()}


def divided(numbers: list[float], by: list[float]) -> list[float]:
    return [number / other for number, other in zip(numbers, by, strict=True)]


if __name__ == "__main__":
    main()
