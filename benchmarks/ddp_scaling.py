"""One trial on one GPU and on several: samples a second of the MNIST CNN by our trainer.

    python benchmarks/ddp_scaling.py [--ranks 2] [--per-gpu 8192] [--epochs 8] [--rounds 3] [--record]

Each rank has the same work: the batch grows with the ranks (weak scaling). Counted is the median over a trial's epochs
after the first, from its reports, so neither start-up nor evaluation. `--device cpu --samples 2000 --per-gpu 128
--epochs 3 --rounds 1` tries the program without GPUs.
"""

from __future__ import annotations

import statistics
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that it runs where tuner is not installed

import torch
from our_epochs import trained
from record import Record, arguments, take_turns

from objectives.mnist import Mnist

GOAL = 0.9
"""The share of perfect scaling that is asked for: 1.8 times for 2."""


def samples_per_second(options, ranks):
    """Of one trial on so many ranks."""
    config = {"model": "cnn", "width": options.width, "batch_size": options.per_gpu * ranks, "ranks": ranks}
    gpus = ranks if options.device == "cuda" else 0
    task = Mnist(train_samples=options.samples)
    trial = trained(task, config, options.epochs, device=options.device, gpus=gpus, threads=ranks)
    return statistics.median(report["samples_per_second"] for report in trial.reports[1:])


def main():
    parser = arguments(__doc__, rounds=3)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--per-gpu", type=int, default=8192, help="samples of a batch on each rank (8192)")
    parser.add_argument("--width", type=int, default=64, help="channels of the CNN's first stage (64)")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--samples", type=int, default=50_000, help="training images (50000)")
    options = parser.parse_args()
    if options.ranks < 2 or options.epochs < 2:
        parser.error("--ranks and --epochs must be at least 2")
    if options.device == "cuda" and torch.cuda.device_count() < options.ranks:
        parser.error(f"torch finds {torch.cuda.device_count()} GPUs, {options.ranks} are needed; or try --device cpu")
    record = Record("ddp-scaling", "One trial on several GPUs", packages=("torch",))
    where = torch.cuda.get_device_name() if options.device == "cuda" else "CPU: a trial run of the program"
    record.note(
        f"{where}. MNIST's CNN, width {options.width}, {options.per_gpu} samples a batch and rank, "
        f"{options.samples:,} samples an epoch; trials in turns, each the median of its epochs after the first."
    )
    names = {1: "1 rank", options.ranks: f"{options.ranks} ranks"}
    rates = take_turns({name: partial(samples_per_second, options, n) for n, name in names.items()}, options.rounds)
    several = names[options.ranks]
    factor = record.table("samples a second", rates, ours=several, digits=0)[names[1]]
    goal = GOAL * options.ranks
    record.target(f"{several} {goal:.1f} times as fast as one", reached=f"{factor:.2f} times", met=factor >= goal)
    record.publish(write=options.record)


if __name__ == "__main__":
    main()
