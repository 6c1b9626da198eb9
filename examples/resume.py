"""A study that is stopped, goes on as if nothing had happened, and is extended.

    python examples/resume.py [--trials N]

The stop is a KeyboardInterrupt, as Ctrl-C would be; `kill -9` leaves the same study behind.
"""

import argparse

import tuner


def objective(config, trial):
    height = trial.checkpoint["height"] if trial.checkpoint else 1.0
    for epoch in range(trial.start + 1, trial.until + 1):
        height *= 1 - config["speed"]
        trial.report(epoch, checkpoint={"height": height}, loss=height + config["speed"] ** 2)


def ctrl_c_after(n_epochs):
    """A watch: it is told of every commit, and presses Ctrl-C once `n_epochs` were trained in all."""

    def watch(controller):
        if controller.units >= n_epochs:
            raise KeyboardInterrupt

    return watch


def start(name, n_trials, **more):
    return tuner.run(
        objective,
        study=name,
        space={"speed": tuner.Float(0.01, 0.9)},
        metric="loss",
        scheduler=tuner.ASHA(max_resource=9),
        budget=tuner.Budget(trials=n_trials),
        executor="local",
        **more,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=20)
    n_trials = parser.parse_args().trials

    try:
        start("stopped", n_trials, watch=ctrl_c_after(n_trials))
    except KeyboardInterrupt:
        found = tuner.study("stopped")
        print(f"stopped: {found.state}, {len(found.trials)} trials, {len(found.reports())} reports kept")

    found = tuner.resume("stopped", objective)
    print(f"resumed: {found.state}, {len(found.trials)} trials, best loss {found.best.value:.4f}")

    whole = start("whole", n_trials)
    same = [(t.config, t.state, t.value) for t in found.trials] == [(t.config, t.state, t.value) for t in whole.trials]
    print(f"the same trials as in a study that was never stopped: {same}")

    found = tuner.resume("stopped", objective, trials=2 * n_trials)
    print(f"extended: {found.state}, {len(found.trials)} trials, best loss {found.best.value:.4f}")


if __name__ == "__main__":
    main()
