"""A Task of your own: which of two rings does a noisy point of the plane belong to?

    python examples/task.py [--trials N]

The trainer reads lr, batch_size, weight_decay, warmup and clip_norm from a configuration; width is the model's.
"""

import argparse

import torch
from torch import nn

import tuner


class Rings(tuner.Task):
    """Points around circles of radius 1 (class 0) and 2 (class 1); 1,500 train, 500 choose."""

    wants_gpu = False

    def data(self):
        generator = torch.Generator().manual_seed(0)
        targets = torch.randint(2, (2_000,), generator=generator)
        angles = 2 * torch.pi * torch.rand(2_000, generator=generator)
        radii = 1 + targets + 0.25 * torch.randn(2_000, generator=generator)
        inputs = torch.stack([radii * angles.cos(), radii * angles.sin()], dim=1)
        return tuner.Splits(train=(inputs[:1_500], targets[:1_500]), validation=(inputs[1_500:], targets[1_500:]))

    def model(self, config):
        return nn.Sequential(nn.Linear(2, config["width"]), nn.ReLU(), nn.Linear(config["width"], 2))

    def loss(self, outputs, targets):
        return nn.functional.cross_entropy(outputs, targets)

    def metrics(self, outputs, targets):
        return {"accuracy": (outputs.argmax(1) == targets).double().mean()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=12)
    options = parser.parse_args()
    study = tuner.run(
        Rings(),
        space={
            "lr": tuner.Float(1e-4, 1.0, log=True),
            "batch_size": tuner.Choice((32, 64, 128)),
            "width": tuner.Int(4, 64, log=True),
            "clip_norm": tuner.Float(0.1, 10.0, log=True, none=True),
        },
        fixed={"optimizer": "adamw", "schedule": "cosine", "warmup": 0.1},
        metric="val_loss",
        scheduler=tuner.ASHA(max_resource=9),
        budget=tuner.Budget(trials=options.trials),
        executor="local",
    )
    best = study.best
    print(f"best val_loss {best.value:.4f}, val_accuracy {best.metrics['val_accuracy']:.3f}, gap {best.gap:+.4f}")
    print(f"trial {best.number}: {dict(best.config)}")
    columns = ["train_loss", "val_loss", "gap", "grad_norm_p90", "clip_rate", "update_ratio"]
    print(study.reports_frame(best.number)[columns].round(4).to_string())


if __name__ == "__main__":
    main()
