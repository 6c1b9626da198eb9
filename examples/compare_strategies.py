"""Which search method suits a problem? Record its curves once, then compare methods on them in seconds.

    python examples/compare_strategies.py [--trials N] [--repeats R]

The problem is one in closed form (objectives/synthetic.py), so that recording it takes seconds too. For one
of your own: `tune run` with a random sampler and no scheduler, `tune record`, `tune compare --replay`.
"""

import argparse

import tuner
from objectives.synthetic import curves
from tuner.home import home
from tuner.workflows.comparing import compare
from tuner.workflows.recording import record

SPACE = {
    "lr": tuner.Float(1e-5, 1.0, log=True),
    "weight_decay": tuner.Float(1e-6, 0.1, log=True),
    "speed": tuner.Float(0.1, 2.0),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=300, help="configurations to record")
    parser.add_argument("--repeats", type=int, default=10)
    options = parser.parse_args()

    # Random and not stopped early: curves from everywhere, to the end. Methods find nothing that is not recorded.
    study = tuner.run(
        curves,
        space=SPACE,
        fixed={"noise": 0.01},
        metric="val_loss",
        sampler="random",
        scheduler=tuner.NoScheduler(max_resource=9),
        budget=tuner.Budget(trials=options.trials),
        checkpoint=tuner.CheckpointPolicy(every=9),
        executor="local",
    )
    path = home() / "curves.parquet"
    if not path.exists():
        print(f"recorded {len(record(study, path))} configurations")

    # At the budget of 24 full trainings each, on eight simulated workers.
    comparison = compare(
        study.spec.model_copy(update={"study": "strategies", "budget": tuner.Budget(trials=24)}),
        ["grid", "random", "tpe", "asha+tpe"],
        options.repeats,
        replay=path,
    )
    print(comparison.table()[["method", "value", "value_low", "value_high", "rank"]].to_string(index=False))
    print(comparison.verdict)


if __name__ == "__main__":
    main()
