"""MNIST from Python: `tune run search_spaces/mnist.yaml`, in small.

    python examples/mnist.py [--trials N] [--epochs N] [--all]

A few trials on the first 10,000 training images, one after the other; `--all` takes 50,000 images, and Ray with a
worker per core. The data is fetched once, and checked.
"""

import argparse

import tuner
from objectives.mnist import Mnist, Mnist10k


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=6)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--all", action="store_true", help="all training images, on Ray")
    options = parser.parse_args()
    study = tuner.run(
        Mnist() if options.all else Mnist10k(),
        space={
            "lr": tuner.Float(1e-5, 1.0, log=True, prior=1e-3),
            "batch_size": tuner.Choice((32, 64, 128, 256)),
            "weight_decay": tuner.Float(1e-6, 0.1, log=True),
            "warmup": tuner.Float(0.0, 0.3),
            "clip_norm": tuner.Float(0.1, 10.0, log=True, none=True),
        },
        fixed={"optimizer": "adamw", "schedule": "cosine"},
        metric="val_loss",
        scheduler=tuner.ASHA(max_resource=options.epochs),
        budget=tuner.Budget(trials=options.trials),
        executor="ray" if options.all else "local",
    )
    best = study.best
    print(study.trials_frame()[["state", "value", "resource", "config.lr", "config.batch_size"]].to_string())
    print(f"best val_loss {best.value:.4f}, val_accuracy {best.metrics['val_accuracy']:.4f} (trial {best.number})")


if __name__ == "__main__":
    main()
