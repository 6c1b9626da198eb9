"""A plain Ray Tune script: MNIST with a DataLoader loop, OptunaSearch (TPE) and ASHA. Prints JSON.

    python benchmarks/peers/ray_plain_mnist.py [--trials 64] [--epochs 9] [--reuse-actors]

What one writes after reading Tune's documentation: the data goes into the object store once (`tune.with_parameters`), a
trial has one CPU and one thread, and everything else is as Tune has it by default, but for `--reuse-actors`. The same
images, splits, network, search space and first configuration as search_spaces/mnist.yaml with 10,000 training samples.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile

import numpy as np
import torch
from ray import tune
from ray.tune.schedulers import AsyncHyperBandScheduler
from ray.tune.search.optuna import OptunaSearch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from objectives.data.mnist import training_images

N_TRAIN, N_VALIDATION = 10_000, 10_000


def search_space(trial):
    trial.suggest_float("lr", 1e-5, 1.0, log=True)
    trial.suggest_categorical("batch_size", [32, 64, 128, 256])
    trial.suggest_float("weight_decay", 1e-6, 0.1, log=True)
    trial.suggest_float("warmup", 0.0, 0.3)
    if trial.suggest_categorical("clip", [True, False]):
        trial.suggest_float("clip_norm", 0.1, 10.0, log=True)


def load_data():
    """Normalised floats and labels, for training and for validation, as NumPy arrays."""
    images, labels = training_images()
    pixels = images.reshape(len(images), -1).astype(np.float32) / 255
    train, validation = slice(0, N_TRAIN), slice(-N_VALIDATION, None)
    mean, std = pixels[train].mean(), pixels[train].std()
    pixels = (pixels - mean) / std
    labels = labels.astype(np.int64)
    return pixels[train], labels[train], pixels[validation], labels[validation]


def train(config, data, epochs):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    tensors = [torch.from_numpy(array.copy()) for array in data]
    loader = DataLoader(TensorDataset(*tensors[:2]), batch_size=config["batch_size"], shuffle=True)
    validation = DataLoader(TensorDataset(*tensors[2:]), batch_size=1000)

    model = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = torch.optim.AdamW(model.parameters(), lr=config["lr"], weight_decay=config["weight_decay"])
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, warmup_cosine(config["warmup"], epochs * len(loader)))
    for epoch in range(1, epochs + 1):
        model.train()
        for inputs, targets in loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(inputs), targets)
            loss.backward()
            if config.get("clip_norm"):
                nn.utils.clip_grad_norm_(model.parameters(), config["clip_norm"])
            optimizer.step()
            schedule.step()
        tune.report({"epoch": epoch, **evaluate(model, validation)})


def warmup_cosine(warmup, total_steps):
    """The factor of the learning rate at each step."""
    n_warm = round(warmup * total_steps)

    def factor(step):
        if step < n_warm:
            return (step + 1) / (n_warm + 1)
        return (1 + math.cos(math.pi * (step - n_warm) / max(1, total_steps - n_warm))) / 2

    return factor


@torch.no_grad()
def evaluate(model, loader):
    model.eval()
    loss = correct = count = 0
    for inputs, targets in loader:
        outputs = model(inputs)
        loss += nn.functional.cross_entropy(outputs, targets, reduction="sum").item()
        correct += (outputs.argmax(1) == targets).sum().item()
        count += len(targets)
    return {"val_loss": loss / count, "val_accuracy": correct / count}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=9)
    parser.add_argument("--reuse-actors", action="store_true")
    options = parser.parse_args()
    prior = {"lr": 1e-3, "batch_size": 128, "weight_decay": 3e-4, "warmup": 0.15, "clip": True, "clip_norm": 1.0}
    with tempfile.TemporaryDirectory() as folder:
        trainable = tune.with_parameters(train, data=load_data(), epochs=options.epochs)
        results = tune.Tuner(
            tune.with_resources(trainable, {"cpu": 1}),
            tune_config=tune.TuneConfig(
                metric="val_loss",
                mode="min",
                num_samples=options.trials,
                search_alg=OptunaSearch(
                    search_space, metric="val_loss", mode="min", points_to_evaluate=[prior], seed=1
                ),
                scheduler=AsyncHyperBandScheduler(max_t=options.epochs, grace_period=1, reduction_factor=3),
                **({"reuse_actors": True} if options.reuse_actors else {}),
            ),
            run_config=tune.RunConfig(name="mnist", storage_path=folder),
        ).fit()
    print(json.dumps(outcome(results)))


def outcome(results):
    """What the benchmark compares; trials that diverged have no finite loss and are never the best."""
    assert not results.errors
    finite = [result.metrics for result in results if math.isfinite(result.metrics["val_loss"])]
    best = min(finite, key=lambda metrics: metrics["val_loss"])
    epochs = sum(result.metrics["training_iteration"] for result in results)
    return {"trials": len(results), "epochs": epochs, "val_accuracy": best["val_accuracy"]}


if __name__ == "__main__":
    main()
