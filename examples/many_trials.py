"""A study of thousands of trials, many of them at a time in one program: lanes.

    python examples/many_trials.py [--trials N]     # 4,096 on a GPU; without one, 24 of a smaller task

Random search and ASHA over the learning rate, batch size, weight decay, warm-up and clip norm of the MNIST MLP. Slots
that ASHA frees are refilled at once; each trial is the one that `executor: ray` would train, curves and all.
"""

import argparse

import torch

import tuner
from objectives.digits import Digits
from objectives.mnist import Mnist

SPACE = {
    "lr": tuner.Float(1e-4, 1e-1, log=True, prior=1e-3),
    "batch_size": tuner.Choice([64, 128]),
    "weight_decay": tuner.Float(1e-6, 0.1, log=True),
    "warmup": tuner.Float(0.0, 0.3),
    "clip_norm": tuner.Float(0.1, 10.0, log=True, none=True),
}


def main():
    on_gpu = torch.cuda.is_available()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=4096 if on_gpu else 24)
    options = parser.parse_args()
    study = tuner.run(
        Mnist() if on_gpu else Digits(),
        study="many-trials",
        space=SPACE,
        fixed={"optimizer": "adamw", "schedule": "cosine", "layers": 1, "width": 128 if on_gpu else 32},
        metric="val_loss",
        sampler="random",
        scheduler=tuner.ASHA(max_resource=9),
        budget=tuner.Budget(trials=options.trials),
        resources=tuner.Resources(slots="auto" if on_gpu else 16),
        checkpoint=tuner.CheckpointPolicy(every=9),  # and at each rung
        executor="lanes",
    )
    frame = study.trials_frame()
    print(f"{len(frame):,} trials, {int(frame['resource'].sum()):,} epochs")
    print(f"best val_loss {study.best.value:.4f} by {dict(study.best.config)}")


if __name__ == "__main__":
    main()
