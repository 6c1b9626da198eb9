"""One MNIST epoch, batch 128, AdamW, clipping: our trainer against DataLoader loops; and what the dynamics cost.

    python benchmarks/trainer_epoch.py [--rounds 5] [--threads 1] [--batch 128] [--record]

The rivals are the usual loop (benchmarks/usual_loops.py): a Dataset read row by row, DataLoader(shuffle=True),
torch.optim.AdamW, clip_grad_norm_ and loss.item(). "transforms" keeps bytes and scales and normalises each image as it
is read, as torchvision's MNIST with ToTensor and Normalize does; "prepared" reads rows of a TensorDataset of finished
floats. All take turns in one process; times are wall seconds, and CPU seconds of the one thread, which a busy machine
disturbs less.

The dynamics are measured in turns, too: epochs of a run that measures and of one that does not follow each other, the
first of a pair now the one, now the other, and the median of the pairs' ratios counts.
"""

from __future__ import annotations

import statistics
import time

import torch
from our_epochs import OurEpochs
from record import Record, arguments
from torch.utils.data import TensorDataset
from usual_loops import CLIP, DECAY, LR, Transforming, loader_loop

from objectives.mnist import Mnist

CPU = torch.device("cpu")
OURS, TRANSFORMS, PREPARED = "trainer", "DataLoader, transforms", "DataLoader, prepared"
PAIRS = 4
"""Pairs of epochs for each round, of the comparison with and without measuring."""


def ours(options, *, clip=CLIP, measure=True):
    config = {"lr": LR, "weight_decay": DECAY, "clip_norm": clip, "batch_size": options.batch}
    return OurEpochs(Mnist(), config, measure=measure, threads=options.threads).epoch


def timed(function):
    """(wall, CPU) seconds of a call."""
    wall, cpu = time.perf_counter(), time.thread_time()
    function()
    return time.perf_counter() - wall, time.thread_time() - cpu


def compare_epochs(options):
    """{name: [(wall, cpu) of each round]}; an untimed round warms up."""
    task = Mnist()
    inputs, targets = task.data().train
    prepared = TensorDataset(task.prepare(inputs), targets)
    ways = {
        OURS: ours(options),
        TRANSFORMS: loader_loop(task.model({}), Transforming(inputs, targets), options.batch, CPU),
        PREPARED: loader_loop(task.model({}), prepared, options.batch, CPU),
    }
    times = {name: [] for name in ways}
    for number in range(options.rounds + 1):
        for name, run in ways.items():
            spent = timed(run)
            if number:
                times[name].append(spent)
    return times


def dynamics_cost(options, clip):
    """(CPU seconds of an epoch without measuring, what measuring adds to them as a share)."""
    runs = {measure: ours(options, clip=clip, measure=measure) for measure in (True, False)}
    bare, ratios = [], []
    for number in range(1 + PAIRS * options.rounds):
        seconds = {measure: timed(runs[measure])[1] for measure in sorted(runs, reverse=number % 2 == 1)}
        if number:
            bare.append(seconds[False])
            ratios.append(seconds[True] / seconds[False])
    return statistics.median(bare), statistics.median(ratios) - 1


def main():
    parser = arguments(__doc__, rounds=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=128)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    record = Record("trainer-epoch", "One MNIST epoch, our trainer against DataLoader loops", packages=("torch",))
    times = compare_epochs(options)
    record.note(f"Batch {options.batch}, {options.threads} thread(s), in turns in one process after an untimed round.")
    wall, cpu = ({name: [pair[clock] for pair in spent] for name, spent in times.items()} for clock in (0, 1))
    ratios = record.table("wall seconds", wall, ours=OURS, digits=2)
    record.table("CPU seconds of the main thread", cpu, ours=OURS, digits=2)
    for name in (TRANSFORMS, PREPARED):
        times_faster = 1 / ratios[name]
        met = times_faster >= 2
        record.target(f"2 times as fast as {name}", reached=f"{times_faster:.2f} times by wall time", met=met)
    for clip in (CLIP, None):
        seconds, share = dynamics_cost(options, clip)
        record.note(f"Without measuring, an epoch with clip_norm {clip} takes {seconds:.2f} s of CPU time.")
        reached = f"{100 * share:+.1f} %"
        record.target("measuring the dynamics adds at most 3 % to that", reached=reached, met=share <= 0.03)
    record.publish(write=options.record)


if __name__ == "__main__":
    main()
