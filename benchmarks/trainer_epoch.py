"""One MNIST epoch, batch 128, AdamW, clipping: our trainer against DataLoader loops; and what the dynamics cost.

    python benchmarks/trainer_epoch.py [--rounds 5] [--threads 1] [--batch 128] [--record]

The rivals are the usual loop: a Dataset read row by row, DataLoader(shuffle=True), torch.optim.AdamW,
clip_grad_norm_ and loss.item(). "transforms" keeps bytes and scales and normalises each image as it is read, as
torchvision's MNIST with ToTensor and Normalize does; "prepared" reads rows of a TensorDataset of finished floats.
All take turns in one process; times are wall seconds, and CPU seconds of the one thread, which a busy machine disturbs
less.

The dynamics are measured step by step: steps with and without measuring take turns, and their medians are compared,
with the sampled steps (update ratio) and the reduction at the epoch's end counted in.
"""

from __future__ import annotations

import dataclasses
import statistics
import time

import torch
from record import Record, arguments
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from objectives.mnist import MEAN, STD, Mnist
from tuner.training import TrainerSettings
from tuner.training.data import device_data, epoch_batches
from tuner.training.dynamics import NORM_EVERY, RATIO_EVERY, Dynamics
from tuner.training.optimizer import Optimizer
from tuner.training.trainer import _Job, train_epoch, train_step

CPU = torch.device("cpu")
LR, DECAY, CLIP = 1e-3, 0.01, 1.0
OURS, TRANSFORMS, PREPARED = "trainer", "DataLoader, transforms", "DataLoader, prepared"


class Transforming(Dataset):
    """Bytes, made into a normalised float tensor when a row is read."""

    def __init__(self, inputs, targets):
        self.inputs, self.targets = inputs, targets

    def __len__(self):
        return len(self.inputs)

    def __getitem__(self, row):
        image = self.inputs[row].float().div(255)
        return (image - MEAN / 255) / (STD / 255), self.targets[row]


def usual_epoch(model, optimizer, loader):
    """The loop as it is usually written."""
    model.train()
    total = 0.0
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(inputs), targets)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        total += loss.item() * len(inputs)
    return total / len(loader.dataset)


def usual(dataset, batch):
    model = Mnist().model({})
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=DECAY)
    loader = DataLoader(dataset, batch_size=batch, shuffle=True)
    return lambda _: usual_epoch(model, optimizer, loader)


def our_job(batch, clip=CLIP, horizon=10**6):
    task, model = Mnist(), Mnist().model({})
    settings = TrainerSettings(lr=LR, weight_decay=DECAY, clip_norm=clip, batch_size=batch)
    return _Job(task, settings, 0, CPU, device_data(task, CPU), model, Optimizer(model, settings), horizon, True)


def timed(function, *arguments):
    wall, cpu = time.perf_counter(), time.thread_time()
    function(*arguments)
    return time.perf_counter() - wall, time.thread_time() - cpu


def compare_epochs(batch, rounds):
    """{name: [(wall, cpu) of each round]}; an untimed round warms up."""
    (inputs, targets), _ = Mnist().data()
    job = our_job(batch)
    prepared = Mnist().prepare(inputs)
    ways = {
        OURS: lambda epoch: train_epoch(job, epoch),
        TRANSFORMS: usual(Transforming(inputs, targets), batch),
        PREPARED: usual(TensorDataset(prepared, targets), batch),
    }
    times = {name: [] for name in ways}
    for epoch in range(rounds + 1):
        for name, run in ways.items():
            spent = timed(run, epoch + 1)
            if epoch:
                times[name].append(spent)
    return times


def dynamics_cost(batch, clip, epochs=4):
    """(plain step in µs, what measuring adds to it as a share), from medians of steps that take turns."""
    job = our_job(batch, clip)
    bare = dataclasses.replace(job, measure=False)
    n_steps = job.steps_per_epoch
    kinds = {"plain": (bare, 0), "measured": (job, 0), "sampled": (job, n_steps - 1)}  # what to run, as which step
    turns = ["plain", "measured", "plain", "measured", "measured", "plain", "sampled"]
    times = {kind: [] for kind in kinds}
    for epoch in range(1, epochs + 1):
        rates, dynamics = job.learning_rates(epoch), Dynamics()
        for step, rows in enumerate(epoch_batches(job.data.train, batch, 0, epoch)):
            kind = turns[step % len(turns)]
            run, as_step = kinds[kind]
            times[kind].append(timed(train_step, run, as_step, rows, rates[step], dynamics)[1])
    plain, measured, sampled = (statistics.median(times[kind]) for kind in kinds)
    n_norms = n_steps if clip else -(-n_steps // NORM_EVERY)
    summary = statistics.median(timed(filled(n_steps, n_norms).summary, clip)[1] for _ in range(20))
    bare_summary = statistics.median(timed(filled(n_steps, 0).summary, clip)[1] for _ in range(20))
    n_sampled = n_steps // RATIO_EVERY + 1
    extra = (measured - plain) * n_norms + (sampled - measured) * n_sampled + summary - bare_summary
    return plain * 1e6, extra / (plain * n_steps)


def filled(n_steps, n_norms):
    values = [torch.tensor(float(i)) for i in range(n_steps)]
    vectors = {step: torch.rand(6) for step in range(n_norms)}
    return Dynamics(values, [128] * n_steps, vectors, values[:13] if n_norms else [])


def main():
    parser = arguments(__doc__, rounds=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=128)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    record = Record("trainer-epoch", "One MNIST epoch, our trainer against DataLoader loops", packages=("torch",))
    times = compare_epochs(options.batch, options.rounds)
    record.note(f"Batch {options.batch}, {options.threads} thread(s), in turns in one process after an untimed round.")
    wall, cpu = ({name: [pair[clock] for pair in spent] for name, spent in times.items()} for clock in (0, 1))
    ratios = record.table("wall seconds", wall, ours=OURS, digits=2)
    record.table("CPU seconds of the main thread", cpu, ours=OURS, digits=2)
    for name in (TRANSFORMS, PREPARED):
        times_faster = 1 / ratios[name]
        met = times_faster >= 2
        record.target(f"2 times as fast as {name}", reached=f"{times_faster:.2f} times by wall time", met=met)
    for clip in (CLIP, None):
        step, share = dynamics_cost(options.batch, clip)
        record.note(f"A step with clip_norm {clip} takes {step:.0f} µs of CPU time.")
        reached = f"{100 * share:+.1f} %"
        record.target("measuring the dynamics adds at most 3 % to that", reached=reached, met=share <= 0.03)
    record.publish(write=options.record)


if __name__ == "__main__":
    main()
