"""The trainer on a GPU: its speed against plain torch, what the dynamics cost, number types, the recorded step.

    python benchmarks/trainer_gpu.py [--rounds 3] [--samples 50000] [--batch 128] [--record]

MNIST by the multilayer perceptron and by the CNN. Contestants train epochs in turns in one process, after one untimed
epoch each; nobody's evaluation is counted. `--device cpu --rounds 1 --samples 2000` tries the program without a GPU.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that it runs where tuner is not installed

import torch
from our_epochs import OurEpochs, trained
from record import Record, arguments, take_turns
from usual_loops import CLIP, DECAY, LR, Transforming, device_loop, loader_loop

from objectives.mnist import Mnist

MODELS = ("mlp", "cnn")
OURS, EAGER, LOADER, WORKERS, DEVICE = (
    "trainer, cuda_graph",
    "trainer, eager",
    "DataLoader, 0 workers",
    "DataLoader, 4 workers",
    "tensors on the device",
)
TARGETS = {"mlp": {LOADER: 20, DEVICE: 3}, "cnn": {}}
SEEDS = (0, 1, 2)
PRECISION_EPOCHS, DYNAMICS_EPOCHS, CURVE_EPOCHS = 5, 20, 3


def configuration(model, options, **settings):
    base = {"model": model, "batch_size": options.batch, "lr": LR, "weight_decay": DECAY, "clip_norm": CLIP}
    return {**base, "cuda_graph": options.device == "cuda", **settings}


def speed(record, task, model, options):
    """Samples a second of everyone, ratios and targets."""
    device, config = torch.device(options.device), configuration(model, options)
    inputs, targets = task.data().train
    dataset = Transforming(inputs, targets)

    def new():
        return task.model(config)

    contestants = {
        OURS: OurEpochs(task, config, device=options.device).epoch,
        EAGER: OurEpochs(task, config | {"cuda_graph": False}, device=options.device).epoch,
        LOADER: loader_loop(new(), dataset, options.batch, device),
        WORKERS: loader_loop(new(), dataset, options.batch, device, workers=4),
        DEVICE: device_loop(new(), task.prepare(inputs), targets, options.batch, device),
    }
    for run in contestants.values():
        run()  # starts workers, records graphs
    rates = take_turns(contestants, options.rounds)
    ratios = record.table(f"{model}: samples a second", rates, ours=OURS, digits=0)
    for name, factor in TARGETS[model].items():
        reached = f"{ratios[name]:.1f} times"
        record.target(f"{model}: {factor} times as fast as {name}", reached=reached, met=ratios[name] >= factor)


def dynamics(record, task, model, options, clip):
    """What measuring adds to an epoch: runs with and without take turns."""
    config = configuration(model, options, clip_norm=clip)
    runs = {measure: OurEpochs(task, config, device=options.device, measure=measure) for measure in (True, False)}
    epochs = options.rounds if options.device == "cpu" else DYNAMICS_EPOCHS
    seconds = {measure: [] for measure in runs}
    for number in range(1 + epochs):
        for measure, run in sorted(runs.items(), reverse=number % 2 == 1):
            rate = run.epoch()
            if number:
                seconds[measure].append(options.samples / rate)
    measured, bare = (statistics.median(seconds[measure]) for measure in (True, False))
    share = measured / bare - 1
    reached = f"{100 * share:+.1f} % of {1e3 * bare:.1f} ms, medians of {epochs} epochs each, in turns"
    record.target(
        f"{model}, clip_norm {clip}: dynamics add at most 3 % to an epoch", reached=reached, met=share <= 0.03
    )


def precision(record, task, model, options):
    """Validation accuracy in each number type, after the same few epochs from the same seeds."""
    kinds = [kind for kind in ("fp32", "tf32", "bf16", "fp16") if kind != "tf32" or options.device == "cuda"]
    seeds, epochs = (SEEDS, PRECISION_EPOCHS) if options.device == "cuda" else (SEEDS[:1], 1)
    percent = {}
    for kind in kinds:
        config = configuration(model, options, precision=kind, schedule="linear")
        runs = [trained(task, config, epochs, device=options.device, seed=seed) for seed in seeds]
        percent[kind] = [100 * run.reports[-1]["val_accuracy"] for run in runs]
        print(f"{model} {kind}: {percent[kind]}", file=sys.stderr, flush=True)
    record.table(f"{model}: validation accuracy in % after {epochs} epochs", percent, digits=2)
    means = {kind: statistics.mean(values) for kind, values in percent.items()}
    for kind in kinds[1:]:
        off = means[kind] - means["fp32"]
        record.target(
            f"{model}, {kind}: the mean of {len(seeds)} seeds within 0.2 points of fp32's",
            reached=f"{off:+.2f} points",
            met=abs(off) <= 0.2,
        )


def same_curve(record, task, model, options):
    """Whether recording the step changes what it computes: by more than two eager runs differ (cudnn's do)."""
    graphed, eager, again = (
        trained(task, configuration(model, options, cuda_graph=graph), CURVE_EPOCHS, device=options.device)
        for graph in (True, False, False)
    )
    off, spread = largest_difference(graphed, eager), largest_difference(eager, again)
    record.target(
        f"{model}: with cuda_graph and without, {CURVE_EPOCHS} epochs have the same val_loss, as two eager runs have",
        reached=f"largest difference {off:.2g}; of two eager runs {spread:.2g}",
        met=off <= max(3 * spread, 1e-6),
    )


def largest_difference(one, other):
    """Of val_loss, over the reports."""
    pairs = zip(one.reports, other.reports, strict=True)
    return max(abs(a["val_loss"] - b["val_loss"]) for a, b in pairs)


def main():
    parser = arguments(__doc__, rounds=3)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--samples", type=int, default=50_000, help="training images (50000)")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch finds no CUDA GPU; run it where there is one, or try it with --device cpu --samples 2000")
    if options.device == "cpu":
        torch.set_num_threads(1)  # as our trials have: the rates then compare at least roughly
    record = Record("trainer-gpu", "The trainer on a GPU", packages=("torch", "numpy"))
    where = torch.cuda.get_device_name() if options.device == "cuda" else "CPU, no graph: a trial run of the program"
    record.note(
        f"{where}. MNIST, {options.samples:,} samples an epoch, batch {options.batch}, AdamW, clip_norm {CLIP}. "
        "The DataLoader reads row by row and normalises each; ours and the tensors on the device gather batches there."
    )
    task = Mnist(train_samples=options.samples)
    for model in MODELS:
        speed(record, task, model, options)
    for model in MODELS:
        for clip in (CLIP, None):
            dynamics(record, task, model, options, clip)
    for model in MODELS:
        precision(record, task, model, options)
        same_curve(record, task, model, options)
    record.publish(write=options.record)


if __name__ == "__main__":
    main()
