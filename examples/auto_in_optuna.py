"""The sampler `auto` in a study of Optuna's own, with Optuna's pruner.

    python examples/auto_in_optuna.py [--trials N]

Optuna says which trials go on, the sampler learns from all of them: the pruned ones, too.
"""

import argparse

import optuna
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from tuner.search.optuna_sampler import AutoSampler

EPOCHS = 9


def objective(trial):
    inputs, labels = load_digits(return_X_y=True)
    train, val, train_labels, val_labels = train_test_split(inputs / 16, labels, stratify=labels, random_state=0)
    model = SGDClassifier(
        loss="log_loss",
        learning_rate="invscaling",
        eta0=trial.suggest_float("eta0", 1e-4, 10.0, log=True),
        power_t=trial.suggest_float("power_t", 0.0, 0.6),
        alpha=trial.suggest_float("alpha", 1e-7, 1e-2, log=True),
        random_state=0,
    )
    for epoch in range(1, EPOCHS + 1):
        model.partial_fit(train, train_labels, classes=range(10))
        val_loss = log_loss(val_labels, model.predict_proba(val))
        trial.report(val_loss, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned
    return val_loss


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=30)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        sampler=AutoSampler(seed=0, max_resource=EPOCHS),
        pruner=optuna.pruners.SuccessiveHalvingPruner(reduction_factor=3),
    )
    study.optimize(objective, n_trials=options.trials)
    n_pruned = sum(trial.state is optuna.trial.TrialState.PRUNED for trial in study.trials)
    print(f"best val_loss {study.best_value:.4f} of {len(study.trials)} trials, {n_pruned} of them pruned")
    print(f"trial {study.best_trial.number}: {study.best_params}")


if __name__ == "__main__":
    main()
