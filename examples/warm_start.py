"""What was learned once: priors, a study that remembers another one, and a goal that ends it early.

    python examples/warm_start.py [--trials N]

The first study tunes two axes of a synthetic training; the second one a third axis besides. It starts with the best
configuration of the first, searches around it as long as that pays, and ends when nothing gets better.
"""

import argparse

import tuner
from objectives.synthetic import curves


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=30)
    options = parser.parse_args()
    space = {
        "lr": tuner.Float(1e-5, 1.0, log=True, prior=3e-3, sure="low"),
        "weight_decay": tuner.Float(1e-6, 0.1, log=True),
    }
    common = {"sampler": "tpe", "metric": "val_loss", "scheduler": tuner.ASHA(max_resource=9), "executor": "local"}
    first = tuner.run(curves, study="first", space=space, budget=tuner.Budget(trials=options.trials), **common)
    print(f"first: best val_loss {first.best.value:.4f} at lr {first.best.config['lr']:.3g}")

    second = tuner.run(
        curves,
        study="second",
        space={**space, "speed": tuner.Float(0.1, 2.0)},
        warm_start=["first"],
        budget=tuner.Budget(trials=4 * options.trials, until={"no_improvement": options.trials}),
        **common,
    )
    start = second.trials[1].config
    print(f"second: after its prior it tried lr {start['lr']:.3g}, weight_decay {start['weight_decay']:.3g}")
    print(f"second: best val_loss {second.best.value:.4f} of {len(second.trials)} trials")
    print(f"second: {second.record.reason}")


if __name__ == "__main__":
    main()
