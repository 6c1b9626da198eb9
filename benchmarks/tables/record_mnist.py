"""Record mnist.parquet: full learning curves of thousands of configurations of search_spaces/mnist.yaml.

    python benchmarks/tables/record_mnist.py record FOLDER [--seconds 240] [--device cuda]   # where the GPU is
    python benchmarks/tables/record_mnist.py write FOLDER                                    # anywhere: the table

`record` first trains a few configurations alone, by the trainer, and takes the seconds of each epoch: those are what
an epoch of this batch size costs in the table. Then it trains configurations in stacks (stacked.py), in rounds of one
stack for each batch size, until there are `--configs` or the next round would not end in time. The configurations of a
batch size are a scrambled Sobol sequence over the other axes, so that whatever is done covers the space evenly.
`write` makes the table of it, and says how close the stacks come to the trials that were trained alone.

`--device cpu --samples 500 --width 8 --configs 32 --solo 1` tries the program without a GPU.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.extend(str(Path(__file__).resolve().parents[up]) for up in (1, 2))  # where tuner is not installed, too

import numpy as np
import torch
from our_epochs import BenchTrial
from scipy.stats import qmc
from stacked import METRICS, Stack

from objectives.mnist import N_TRAIN, Mnist
from tuner.errors import TrialFailed
from tuner.execution.simulated import Curve, CurveTable, TableInfo
from tuner.seeds import derive_seed
from tuner.spec import load_spec
from tuner.training import train

FOLDER = Path(__file__).resolve().parent
SPEC = load_spec(FOLDER.parents[1] / "search_spaces" / "mnist.yaml")
HORIZON = SPEC.scheduler.max_resource
BATCH_SIZES = SPEC.space["batch_size"].values
SEED = 0
GUESSING = 2.3
"""About ln 10, the loss of guessing among ten digits."""
TABLE = FOLDER / "mnist.parquet"


def configurations(batch_size: int, n: int) -> list[dict]:
    """The first `n` configurations with this batch size."""
    others = [name for name in SPEC.space if name != "batch_size"]
    rng = np.random.default_rng(derive_seed(SEED, "table", batch_size))
    points = qmc.Sobol(len(others), scramble=True, seed=rng).random_base2((n - 1).bit_length())[:n]
    units = [dict(zip(others, np.minimum(point, 1 - 2**-53).tolist(), strict=True)) for point in points]
    fixed = SPEC.space["batch_size"].to_unit(batch_size)
    configs = [SPEC.space.from_unit([unit.get(name, fixed) for name in SPEC.space]) for unit in units]
    return [{**SPEC.fixed, **config} for config in configs]


def seeds(batch_size: int, n: int) -> list[int]:
    """Of the trials of `configurations`."""
    return [derive_seed(SEED, "trial", batch_size, number) for number in range(n)]


def alone(task: Mnist, batch_size: int, n: int, device: str) -> dict[str, np.ndarray]:
    """The first `n` configurations, each trained by the trainer: METRICS and the seconds of each epoch (n, HORIZON)."""
    curves = {name: np.full((n, HORIZON), np.nan) for name in (*METRICS, "seconds")}
    for number, (config, seed) in enumerate(zip(configurations(batch_size, n), seeds(batch_size, n), strict=True)):
        trial = BenchTrial(HORIZON, device=device, seed=seed)
        started = time.perf_counter()
        try:
            train(task, config, trial)
        except TrialFailed as failure:
            print(f"alone: batch {batch_size}, {number}: {failure}", flush=True)
        curves["seconds"][number, : len(trial.stamps)] = np.diff([started, *trial.stamps])
        for epoch, report in enumerate(trial.reports):
            for name in METRICS:
                curves[name][number, epoch] = report[name]
    return curves


def stacked(task: Mnist, batch_size: int, first: int, n: int, options: argparse.Namespace) -> dict[str, np.ndarray]:
    """Configurations `first` to `first + n` of this batch size in one stack: METRICS (n, HORIZON)."""
    configs, trial_seeds = configurations(batch_size, first + n)[first:], seeds(batch_size, first + n)[first:]
    stack = Stack(task, configs, trial_seeds, horizon=HORIZON, device=options.device, fast=options.fast)
    epochs = list(stack.train(HORIZON))
    return {name: torch.stack([epoch[name] for epoch in epochs], dim=1).numpy() for name in METRICS}


def record(options: argparse.Namespace) -> None:
    """All of it, saved as it goes: alone.npz, and a stacked-BATCH.npz for each batch size."""
    started = time.monotonic()
    options.folder.mkdir(parents=True, exist_ok=True)
    task = Mnist(train_samples=options.samples)
    where = torch.cuda.get_device_name() if options.device == "cuda" else "CPU"
    about = {
        "device": where,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "date": time.strftime("%F"),
    }
    (options.folder / "about.json").write_text(json.dumps(about))

    train(task, configurations(BATCH_SIZES[0], 1)[0], BenchTrial(1, device=options.device))  # loads data and libraries
    kept: dict[str, np.ndarray] = {}
    for batch_size in BATCH_SIZES:
        curves = alone(task, batch_size, options.solo, options.device)
        kept |= {f"{name}-{batch_size}": values for name, values in curves.items()}
        np.savez(options.folder / "alone.npz", **kept)
        seconds = np.nanmedian(curves["seconds"], axis=0).round(4).tolist()
        print(f"alone: batch {batch_size}: seconds of an epoch {seconds}, at {elapsed(started)}", flush=True)

    done: dict[int, list[dict[str, np.ndarray]]] = {batch_size: [] for batch_size in BATCH_SIZES}
    for first in rounds(options, started):
        for batch_size in BATCH_SIZES:
            begun = time.monotonic()
            done[batch_size].append(stacked(task, batch_size, first, options.width, options))
            whole = {name: np.concatenate([part[name] for part in done[batch_size]]) for name in METRICS}
            configs = [json.dumps(config) for config in configurations(batch_size, first + options.width)]
            np.savez(options.folder / f"stacked-{batch_size}.npz", configs=configs, **whole)
            rate = options.width * HORIZON / (time.monotonic() - begun)
            best, median = np.nanmin(whole["val_loss"][:, -1]), np.nanmedian(whole["val_loss"][:, -1])
            print(
                f"stacked: batch {batch_size}, from {first}: {rate:.1f} trial-epochs/s; val_loss best {best:.4f}, "
                f"median {median:.4f}, at {elapsed(started)}",
                flush=True,
            )


def rounds(options: argparse.Namespace, started: float) -> Iterator[int]:
    """The first configuration of each round; ends where the next one would, as long as the last, end too late."""
    longest = 0.0
    for first in range(0, options.configs // len(BATCH_SIZES), options.width):
        begun = time.monotonic()
        if begun - started + longest > options.seconds:
            print(f"out of time before configuration {first} of each batch size", flush=True)
            return
        yield first
        longest = max(longest, time.monotonic() - begun)


def elapsed(started: float) -> str:
    return f"{time.monotonic() - started:.1f} s"


def write(folder: Path) -> None:
    """Make the table, a curve of each batch size in turn, and say how it comes out."""
    about = json.loads((folder / "about.json").read_text())
    with np.load(folder / "alone.npz") as file:
        solo = dict(file)
    rows: list[tuple[int, dict, Curve]] = []
    for batch_size in BATCH_SIZES:
        with np.load(folder / f"stacked-{batch_size}.npz") as file:
            configs, metrics = (
                [json.loads(config) for config in file["configs"]],
                {name: file[name] for name in METRICS},
            )
        print_closeness(batch_size, solo, metrics)
        seconds = np.nanmedian(solo[f"seconds-{batch_size}"], axis=0).astype(np.float32)
        for number, config in enumerate(configs):
            curve = {name: values[number].astype(np.float32) for name, values in metrics.items()}
            rows.append((number, config, Curve(np.arange(1, HORIZON + 1), curve, seconds)))
    rows.sort(key=lambda row: row[0])
    info = TableInfo(
        space=SPEC.space,
        metric=SPEC.metric,
        unit=SPEC.scheduler.unit,
        objective=SPEC.objective,
        created=about["date"],
        versions={"python": about["python"], "torch": about["torch"]},
        note=f"{about['device']}. Trained in stacks; the seconds of an epoch are the median of trials trained alone.",
    )
    CurveTable(info, [config for _, config, _ in rows], [curve for _, _, curve in rows]).save(TABLE)
    print(f"{TABLE.name}: {len(rows)} configurations, {TABLE.stat().st_size:,} bytes")
    print_outcome([curve for _, _, curve in rows])


def print_outcome(curves: list[Curve]) -> None:
    """What the configurations come to at the end."""
    losses = np.array([curve.metrics["val_loss"][-1] for curve in curves])
    best = max(curve.metrics["val_accuracy"][-1] for curve in curves)
    print(f"val_loss best {np.nanmin(losses):.4f}, median {np.nanmedian(losses):.4f}; val_accuracy best {best:.4f}")
    guessing = (losses > GUESSING).mean()
    print(f"failed {np.isnan(losses).mean():.1%}; no better than guessing (val_loss above {GUESSING}) {guessing:.1%}")


def print_closeness(batch_size: int, solo: dict[str, np.ndarray], metrics: dict[str, np.ndarray]) -> None:
    """Trials that were trained alone beside their slots of the stack, at the first and the last epoch."""
    for name in ("val_loss", "val_accuracy"):
        for number, curve in enumerate(solo[f"{name}-{batch_size}"]):
            pairs = [f"{curve[epoch]:.4f} and {metrics[name][number, epoch]:.4f}" for epoch in (0, -1)]
            print(f"batch {batch_size}, {number}: {name} alone and in the stack: {pairs[0]}; at the end {pairs[1]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("record", "write"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=240, help="no round begins that would end later (240)")
    parser.add_argument("--configs", type=int, default=4096, help="at most so many (4096)")
    parser.add_argument("--width", type=int, default=256, help="models in a stack (256)")
    parser.add_argument("--solo", type=int, default=3, help="trials of each batch size that are trained alone (3)")
    parser.add_argument("--samples", type=int, default=N_TRAIN, help=f"training images ({N_TRAIN})")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--plain", dest="fast", action="store_false", help="compile nothing, record no CUDA graph")
    options = parser.parse_args()
    options.fast &= options.device == "cuda"
    record(options) if options.action == "record" else write(options.folder)


if __name__ == "__main__":
    main()
