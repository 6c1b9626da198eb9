"""A plain function: the Branin function of two numbers, whose lowest value is 0.397887.

    python examples/plain_function.py [--trials N]

It reports nothing on the way, so there is nothing to stop early: what it returns counts.
"""

import argparse
import math

import tuner


def branin(config, trial):  # noqa: ARG001 - there is nothing to report on the way
    x, y = config["x"], config["y"]
    curve = y - 5.1 * x**2 / (4 * math.pi**2) + 5 * x / math.pi - 6
    return curve**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=100)
    options = parser.parse_args()
    study = tuner.run(
        branin,
        space={"x": tuner.Float(-5, 10), "y": tuner.Float(0, 15)},
        metric="value",
        scheduler=tuner.NoScheduler(max_resource=1),
        budget=tuner.Budget(trials=options.trials),
        executor="local",
    )
    best = study.best
    print(f"best value {best.value:.4f} at x={best.config['x']:.3f} y={best.config['y']:.3f} (trial {best.number})")
    print(f"{len(study.trials)} trials in {study.folder}")


if __name__ == "__main__":
    main()
