"""What dropout costs a training step: by place (tuner.training.dropout), torch's own, and none.

    python benchmarks/dropout_step.py [--rounds 15] [--samples 10000] [--batch 128] [--device cpu] [--record]

MNIST's MLP with dropout 0.2 behind both hidden layers, in the trainer. Contestants train epochs in turns in one
process, after two untimed ones each. On a GPU also with `cuda_graph`, and with `compile`.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that it runs where tuner is not installed

import torch
from our_epochs import OurEpochs
from record import Record, arguments, take_turns

from objectives.mnist import Mnist

RATE = 0.2
SPEEDS = {"cpu": {"": {}}, "cuda": {"": {}, ", cuda_graph": {"cuda_graph": True}, ", compile": {"compile": True}}}


def opened(task, options, dropout, *, places, **speed):
    """A run of the trainer; with `places` False its dropouts stay torch's."""
    config = {"batch_size": options.batch, "clip_norm": 1.0, "dropout": dropout, **speed}
    if places:
        return OurEpochs(task, config, device=options.device)
    with patch("tuner.training.run.placed_dropout", lambda model: model):
        return OurEpochs(task, config, device=options.device)


def milliseconds(run, device):
    """Of a step, an epoch's mean: on a CPU those of the one thread, which a busy machine disturbs less."""
    before = time.thread_time()
    wall = len(run.run.data.train) / run.epoch()
    spent = time.thread_time() - before if device == "cpu" else wall
    return 1e3 * spent / run.run.steps_per_epoch


def main():
    parser = arguments(__doc__, rounds=15)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    record = Record("dropout-step", "A training step with dropout", packages=["torch"])
    record.note(f"MNIST's MLP, batch {options.batch}, dropout {RATE} behind both hidden layers, on {options.device}.")
    for name, speed in SPEEDS[options.device].items():
        task = Mnist(options.samples)
        ways = {"by place": (RATE, True), "torch's": (RATE, False), "none": (0.0, True)}
        runs = {way: opened(task, options, rate, places=places, **speed) for way, (rate, places) in ways.items()}
        for run in runs.values():
            run.epoch()
            run.epoch()
        times = take_turns(
            {way: lambda run=run: milliseconds(run, options.device) for way, run in runs.items()}, options.rounds
        )
        clock = "CPU ms" if options.device == "cpu" else "ms"
        record.table(f"{clock} a step{name}", times, ours="by place", digits=3)
    record.publish(write=options.record)


if __name__ == "__main__":
    main()
