"""A PyTorch training loop of your own, with checkpoints: what to change so that it can be tuned.

    python examples/pytorch_loop.py [--trials N]

Three things: start where the trial starts, report after every epoch, and hand the state over with the report. ASHA then
pauses the trial at a rung and goes on from that state if the trial is among the best.
"""

import argparse

import torch
from torch import nn

import tuner


def waves(seed, n):
    """n points of sin(3x), with noise."""
    generator = torch.Generator().manual_seed(seed)
    x = 4 * torch.rand(n, 1, generator=generator) - 2
    return x, torch.sin(3 * x) + 0.1 * torch.randn(n, 1, generator=generator)


def objective(config, trial):
    torch.manual_seed(trial.seed)
    torch.set_num_threads(trial.threads)
    x, y = waves(0, 512)
    val_x, val_y = waves(1, 256)
    model = nn.Sequential(nn.Linear(1, config["width"]), nn.Tanh(), nn.Linear(config["width"], 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=config["lr"])
    if trial.checkpoint is not None:
        model.load_state_dict(trial.checkpoint["model"])
        optimizer.load_state_dict(trial.checkpoint["optimizer"])
    for epoch in range(trial.start + 1, trial.until + 1):
        order = torch.randperm(512, generator=torch.Generator().manual_seed(trial.seed + epoch))
        for rows in order.split(config["batch_size"]):
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            val_loss = nn.functional.mse_loss(model(val_x), val_y)
        state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
        trial.report(epoch, checkpoint=state, train_loss=loss.item(), val_loss=val_loss.item())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=12)
    options = parser.parse_args()
    study = tuner.run(
        objective,
        study="waves",
        space={
            "lr": tuner.Float(1e-4, 0.3, log=True),
            "batch_size": tuner.Choice((32, 64, 128)),
            "width": tuner.Int(8, 64, log=True),
        },
        metric="val_loss",
        scheduler=tuner.ASHA(max_resource=27),
        budget=tuner.Budget(trials=options.trials),
        executor="local",
    )
    best = study.best
    print(f"best val_loss {best.value:.4f} (the noise alone is 0.0100), after {best.resource} epochs")
    print(f"trial {best.number}, in {best.segments} segments: {dict(best.config)}")


if __name__ == "__main__":
    main()
