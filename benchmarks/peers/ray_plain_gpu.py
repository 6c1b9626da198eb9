"""A plain Ray Tune script that shares one GPU: MNIST, 784-128-10, random search and ASHA. Prints JSON.

    python benchmarks/peers/ray_plain_gpu.py [--trials 64] [--epochs 9] [--share 0.0625] [--device cuda]

As fast as plain Tune was found to be: sixteen trials at a time, each with a sixteenth of the GPU, actors reused, the
data on the device as normalised floats, batches gathered there, nothing brought to the host within an epoch, no
checkpoints. `seconds` is from the start of the first trial to the end of the last, without Ray's own start.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # so that it runs where tuner is not installed

import ray
import torch
from ray import tune
from ray.tune.schedulers import AsyncHyperBandScheduler
from ray_plain_mnist import outcome, warmup_cosine
from torch import nn

from objectives.data.mnist import training_images

N_VALIDATION = 10_000
SPACE = {
    "lr": tune.loguniform(1e-5, 1.0),
    "batch_size": tune.choice([32, 64, 128, 256]),
    "weight_decay": tune.loguniform(1e-6, 0.1),
    "warmup": tune.uniform(0.0, 0.3),
    "clip_norm": tune.choice([None, *(10 ** (k / 10) for k in range(-10, 11))]),
}
_on_device = {}


def load(device):
    """(inputs, targets) for training and for validation; once in an actor's life."""
    if device not in _on_device:
        images, labels = (torch.from_numpy(array) for array in training_images())
        pixels = images.flatten(1).to(device).float() / 255
        pixels = (pixels - pixels[:-N_VALIDATION].mean()) / pixels[:-N_VALIDATION].std()
        _on_device[device] = pixels, labels.long().to(device)
    return _on_device[device]


def train(config, epochs, device, samples):
    began = time.time()
    torch.set_num_threads(1)
    inputs, targets = load(device)
    held_out = inputs[-N_VALIDATION:], targets[-N_VALIDATION:]
    inputs, targets = inputs[:samples], targets[:samples]
    model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10)).to(device)
    kind = {"fused": True} if device == "cuda" else {}
    optimizer = torch.optim.AdamW(model.parameters(), lr=config["lr"], weight_decay=config["weight_decay"], **kind)
    size = config["batch_size"]
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, warmup_cosine(config["warmup"], epochs * math.ceil(samples / size))
    )
    for _ in range(epochs):
        for rows in torch.randperm(samples, device=device).split(size):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs[rows]), targets[rows]).backward()
            if config["clip_norm"]:
                nn.utils.clip_grad_norm_(model.parameters(), config["clip_norm"])
            optimizer.step()
            schedule.step()
        with torch.no_grad():
            outputs = model(held_out[0])
            loss = nn.functional.cross_entropy(outputs, held_out[1]).item()
            accuracy = (outputs.argmax(1) == held_out[1]).double().mean().item()
        tune.report({"val_loss": loss, "val_accuracy": accuracy, "began": began, "ended": time.time()})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=9)
    parser.add_argument("--share", type=float, default=1 / 16, help="of the GPU, for each trial")
    parser.add_argument("--samples", type=int, default=50_000)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    options = parser.parse_args()
    ray.init(include_dashboard=False, log_to_driver=False)
    trainable = tune.with_parameters(train, epochs=options.epochs, device=options.device, samples=options.samples)
    gpus = {"gpu": options.share} if options.device == "cuda" else {}
    with tempfile.TemporaryDirectory() as folder:
        results = tune.Tuner(
            tune.with_resources(trainable, {"cpu": 1, **gpus}),
            param_space=SPACE,
            tune_config=tune.TuneConfig(
                metric="val_loss",
                mode="min",
                num_samples=options.trials,
                scheduler=AsyncHyperBandScheduler(max_t=options.epochs, grace_period=1, reduction_factor=3),
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(name="mnist", storage_path=folder, verbose=0),
        ).fit()
    metrics = [result.metrics for result in results]
    seconds = max(each["ended"] for each in metrics) - min(each["began"] for each in metrics)
    print(json.dumps({**outcome(results), "seconds": seconds}))


if __name__ == "__main__":
    main()
