"""The objective of the fault campaigns: synthetic curves, slowed down, whose state cannot be guessed from the epoch.

Each epoch adds to a sum and mixes an array; both are in the checkpoint and in the metrics, so that a trial that went on
from anything but its own last state shows it in every later report.
"""

from __future__ import annotations

import time

import numpy as np
from fault_writes import Saboteur

from objectives.synthetic import expected_loss
from tuner.objective import TrialHandle
from tuner.records import Config

SIZE = 500
CHECKPOINT_BYTES = 8 * SIZE
SABOTEUR = Saboteur()


def curve(config: Config, trial: TrialHandle) -> None:
    """Report `val_loss`, `total` and `mixed` at each epoch, after `pause` seconds."""
    state = trial.checkpoint or {"epoch": 0, "total": 0.0, "array": np.random.default_rng(trial.seed).random(SIZE)}
    assert state["epoch"] == trial.start
    total, array = state["total"], state["array"]
    for epoch in range(trial.start + 1, trial.until + 1):
        time.sleep(float(config["pause"] or 0.0))
        loss = expected_loss(config, epoch)
        total += loss / 3
        array = np.roll(array, 1) * 0.9 + loss / 7
        kept = {"epoch": epoch, "total": total, "array": array}
        SABOTEUR.before_report(CHECKPOINT_BYTES)
        trial.report(epoch, checkpoint=kept, val_loss=loss, total=total, mixed=float(array.sum()))
