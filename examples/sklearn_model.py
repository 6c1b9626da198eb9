"""A scikit-learn model, tuned by a plain function: a linear classifier of the 8 x 8 digits, one partial_fit an epoch.

    python examples/sklearn_model.py [--trials N]

Any model with partial_fit (or warm_start) goes this way. Its checkpoint is the model, pickled: a checkpoint holds
numbers, arrays and bytes, and is never unpickled on its own; these bytes are the trial's own, so the objective opens
them.
"""

import argparse
import pickle

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

import tuner


def digits():
    """Training and validation digits, pixels from 0 to 1. The other 360 images are for the end, and not touched."""
    inputs, labels = load_digits(return_X_y=True)
    rest, _, rest_labels, _ = train_test_split(inputs / 16, labels, test_size=360, stratify=labels, random_state=0)
    return train_test_split(rest, rest_labels, test_size=360, stratify=rest_labels, random_state=0)


def objective(config, trial):
    train, val, train_labels, val_labels = digits()
    if trial.checkpoint is None:
        model = SGDClassifier(loss="log_loss", learning_rate="invscaling", shuffle=False, **config)
    else:
        model = pickle.loads(trial.checkpoint["model"])
    for epoch in range(trial.start + 1, trial.until + 1):
        order = np.random.default_rng([trial.seed, epoch]).permutation(
            len(train)
        )  # the epoch's own, also after a pause
        model.partial_fit(train[order], train_labels[order], classes=range(10))
        trial.report(
            epoch,
            checkpoint={"model": pickle.dumps(model)},
            train_loss=log_loss(train_labels, model.predict_proba(train)),
            val_loss=log_loss(val_labels, model.predict_proba(val)),
            val_accuracy=model.score(val, val_labels),
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=24)
    options = parser.parse_args()
    study = tuner.run(
        objective,
        study="linear_digits",
        space={
            "eta0": tuner.Float(1e-4, 10.0, log=True),
            "power_t": tuner.Float(0.0, 0.6),
            "alpha": tuner.Float(1e-7, 1e-2, log=True),
            "penalty": tuner.Choice(("l2", "l1", "elasticnet")),
        },
        metric="val_loss",
        scheduler=tuner.ASHA(max_resource=27),
        budget=tuner.Budget(trials=options.trials),
        executor="local",
    )
    best = study.best
    print(
        f"best val_loss {best.value:.4f}, val_accuracy {best.metrics['val_accuracy']:.4f}, in {best.segments} segments"
    )
    print(f"trial {best.number}: {dict(best.config)}")


if __name__ == "__main__":
    main()
