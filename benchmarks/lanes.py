"""Lanes on one GPU: a study of MNIST against plain Ray Tune, the steady state, and whether it is the same training.

    python benchmarks/lanes.py [--trials 8192] [--peer-trials 64] [--pairs 64] [--sampler random] [--record]

The MLP 784-128-10 with the five hyperparameters of search_spaces/mnist.yaml and promoting ASHA over 1, 3 and 9 epochs.
`--device cpu --trials 48 --samples 2000 --slots 16 --pairs 4 --peer-trials 6` tries the program without a GPU.
"""

from __future__ import annotations

import math
import os
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that it runs where tuner is not installed

import torch
from our_epochs import BenchTrial, trained
from programs import run_command, run_program
from record import Record, arguments

from objectives.mnist import Mnist
from tuner.analysis.timeline import timeline
from tuner.analysis.view import StudyView
from tuner.store import open_store
from tuner.training.lanes import Lane

PARAMETERS = 784 * 128 + 128 + 128 * 10 + 10
NUMBERS_MOVED = 10
"""Of a weight in a step of AdamW, 4 bytes each: it is read forward, its gradient is written, read for the norm and read
for the update, which reads and writes the weight and both moments.
"""
SIZES = (32, 64, 128, 256)
FIXED = {"optimizer": "adamw", "schedule": "cosine", "layers": 1, "width": 128}


def study(record, options):
    """`tune run` from its start to its end, and what its journal says of the time between."""
    with tempfile.TemporaryDirectory() as folder:
        sets = [
            f"objective=objectives.mnist:{'Mnist' if options.samples == 50_000 else 'Mnist10k'}",
            "fixed={optimizer: adamw, schedule: cosine, layers: 1, width: 128}",
            f"sampler.name={options.sampler}",
            "checkpoint.every=9",  # and at each rung
            *(["resources.gpus=0"] if options.device == "cpu" else []),
            f"resources.slots={options.slots}",
            f"parallel={options.parallel}",
        ]
        command = [sys.executable, "-m", "tuner.cli", "run", "search_spaces/mnist.yaml", "--executor", "lanes"]
        command += ["--json", "--trials", str(options.trials), *(part for text in sets for part in ("--set", text))]
        done = run_command(command, {**os.environ, "TUNER_HOME": folder})
        table = timeline(StudyView(open_store(f"sqlite:///{folder}/tuner.db", read_only=True), "mnist"))
    epochs = sum(trial["resource"] for trial in done["trials"])
    states = {state: n for state, n in done["counts"].items() if n}
    record.note(
        f"Study of {options.trials:,} trials: {done['process_seconds']:.1f} s from the command to its end, Ray's and "
        f"CUDA's start and compilation included; {epochs:,} epochs, {states}; best val_accuracy "
        f"{100 * done['best']['metrics']['val_accuracy']:.2f} %."
    )
    n_slots = options.slots * options.parallel
    full = table["start"].sort_values().iloc[min(n_slots, len(table)) - 1]
    last = table.loc[table["from"] == 0, "start"].max()
    busy = occupied(table, full, last, n_slots)
    inside = table[(table["end"] > full) & (table["end"] <= last)]
    rate = (inside["until"] - inside["from"]).sum() / max(1e-9, last - full)
    record.note(
        f"{options.parallel} lanes of {options.slots} slots, full after {full:.1f} s of running; the last new trial "
        f"started at {last:.1f} s; the study ran for {table['end'].max():.1f} s. In between {rate:,.0f} trial-epochs a "
        "second. A slot counts as busy as long as a segment is there for it, be it in line for a slot of its kind."
    )
    record.target(
        "slots busy, from the first full lane to the last new trial: 90 %",
        reached=f"{100 * busy:.1f} %",
        met=busy >= 0.9,
    )
    return done, rate


def occupied(table, first, last, n_slots):
    """The share of the slots for which a segment was there, from `first` to `last` [s]."""
    changes = sorted([*((time, 1) for time in table["start"]), *((time, -1) for time in table["end"])])
    seconds, n_open, before = 0.0, 0, first
    for time, change in changes:
        if time > before:
            seconds += (min(time, last) - before) * min(n_open, n_slots) if before < last else 0.0
            before = time
        n_open += change
    return seconds / max(1e-9, (last - first) * n_slots)


def against_ray(record, options, done):
    """Plain Ray Tune at its best packing, its rate measured without its start."""
    device = ["--device", options.device, "--samples", options.samples]
    peer = run_program("peers/ray_plain_gpu.py", "--trials", options.peer_trials, *device)
    ours, theirs = (
        3600 * n / seconds
        for n, seconds in ((options.trials, done["process_seconds"]), (peer["trials"], peer["seconds"]))
    )
    record.note(
        f"Plain Ray Tune, sixteen trials at a time on one GPU, {peer['trials']} trials: {peer['seconds']:.1f} s "
        f"without its start, {peer['epochs']} epochs, {peer['epochs'] / peer['seconds']:.2f} trial-epochs a second, "
        f"best val_accuracy {100 * peer['val_accuracy']:.2f} %; {theirs:,.0f} trials an hour, ours {ours:,.0f}."
    )
    record.target("100 times the trials an hour", reached=f"{ours / theirs:.0f} times", met=ours / theirs >= 100)
    return peer["epochs"] / peer["seconds"]


def floor(record, rate):
    """What memory allows: bytes that the updates must move, over the bandwidth of a large copy."""
    source = torch.empty(1 << 30, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    target.copy_(source)
    begin.record()
    for _ in range(20):
        target.copy_(source)
    end.record()
    torch.cuda.synchronize()
    bandwidth = 20 * 2 * source.numel() / (begin.elapsed_time(end) / 1e3)
    steps = statistics.mean(math.ceil(50_000 / size) for size in SIZES)
    possible = bandwidth / (steps * PARAMETERS * NUMBERS_MOVED * 4)
    record.note(
        f"A copy moves {bandwidth / 1e12:.2f} TB/s. A step moves {NUMBERS_MOVED} numbers of 4 bytes for each of "
        f"{PARAMETERS:,} weights, an epoch has {steps:.0f} steps in the mean over the batch sizes: at most "
        f"{possible:,.0f} trial-epochs a second."
    )
    record.target("500 trial-epochs a second", reached=f"{rate:,.0f}", met=rate >= 500)
    record.target("half of what memory allows", reached=f"{100 * rate / possible:.0f} %", met=rate >= possible / 2)


def same_training(record, options):
    """Final accuracies of the same configurations in a lane and alone, in pairs."""
    task, epochs = Mnist(train_samples=min(10_000, options.samples)), 3
    generator = torch.Generator().manual_seed(0)
    draws = torch.rand((options.pairs, 3), generator=generator, dtype=torch.float64).tolist()
    configs = [
        {
            **FIXED,
            "batch_size": 64,
            "lr": 10 ** (-4 + 2 * a),
            "weight_decay": 10 ** (-5 + 4 * b),
            "clip_norm": 10 ** (2 * c - 1),
        }
        for a, b, c in draws
    ]
    segments = [BenchTrial(epochs, device=options.device, seed=seed) for seed in range(options.pairs)]
    lane = Lane(task, options.pairs, options.device)
    for config, segment in zip(configs, segments, strict=True):
        lane.place(config, segment)
    while lane.n_aboard:
        lane.run_to_boundary()
    alone = [
        trained(task, {**config, "cuda_graph": True}, epochs, device=options.device, seed=seed).reports[-1]
        for seed, config in enumerate(configs)
    ]
    differences = [
        100 * (s.reports[-1]["val_accuracy"] - one["val_accuracy"]) for s, one in zip(segments, alone, strict=True)
    ]
    losses = [abs(s.reports[-1]["val_loss"] / one["val_loss"] - 1) for s, one in zip(segments, alone, strict=True)]
    mean = statistics.mean(differences)
    error = statistics.stdev(differences) / math.sqrt(len(differences))
    record.note(
        f"{options.pairs} configurations, {epochs} epochs of {task.train_samples:,} images, in a lane and alone with "
        f"the same seed: val_loss differs by {statistics.median(losses):.1e} of itself in the median, by "
        f"{max(losses):.1e} at most."
    )
    record.target(
        "final accuracy the same: the mean paired difference within two standard errors of 0",
        reached=f"{mean:+.4f} points, standard error {error:.4f}",
        met=abs(mean) <= max(2 * error, 1e-9),
    )


def main() -> None:
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--trials", type=int, default=8192, help="of the study (8192)")
    parser.add_argument("--peer-trials", type=int, default=64, help="of plain Ray Tune (64)")
    parser.add_argument("--pairs", type=int, default=64, help="configurations trained both ways (64)")
    parser.add_argument("--sampler", default="random", help="of the study (random)")
    parser.add_argument("--slots", type=int, default=1024, help="of a lane (1024)")
    parser.add_argument("--parallel", type=int, default=2, help="lanes (2)")
    parser.add_argument("--samples", type=int, default=50_000, choices=(50_000, 10_000, 2_000), help="training images")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    options = parser.parse_args()
    record = Record("lanes", "Lanes on one GPU", packages=("torch", "numpy"))
    where = torch.cuda.get_device_name() if options.device == "cuda" else "CPU: a trial run of the program"
    record.note(f"{where}. MNIST, 784-128-10, {options.samples:,} images an epoch, sampler {options.sampler}.")
    done, rate = study(record, options)
    print(record.so_far(), file=sys.stderr, flush=True)
    if options.peer_trials:
        against_ray(record, options, done)
        print(record.so_far(), file=sys.stderr, flush=True)
    if options.device == "cuda":
        floor(record, rate)
    if options.pairs:
        same_training(record, options)
    record.publish(write=options.record)


if __name__ == "__main__":
    main()
