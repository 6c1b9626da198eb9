"""Learning curves in closed form, with a known optimum: no data and no torch.

    val_loss(e) = FLOOR + BOWL·((log10 lr/LR)² + (log10 weight_decay/DECAY)²) + HASTE·speed + e^-speed (+ noise)

A power law (Hestness et al. 2017) that descends to a floor. The floor is a bowl in `lr` and `weight_decay`, lowest at
(LR, DECAY) at every epoch. `speed` is what makes early stopping hard: quick curves lead early and end higher, so the
curves of two speeds cross, and the best speed depends on the epoch e: where HASTE = ln e · e^-speed, the
derivative is 0, at speed*(e) = ln(ln e / HASTE) / ln e. With one speed for all, no two curves cross.

Name `objectives.synthetic:curves` in a spec. A configuration gives `lr` and `weight_decay`, and may give `speed` (0.5)
and `noise` (0): the standard deviation of a Gaussian that is a function of (trial's seed, epoch).
"""

from __future__ import annotations

import math

import numpy as np

from tuner.errors import CheckpointError, SpecError, shown
from tuner.objective import TrialHandle
from tuner.records import Config
from tuner.seeds import derive_seed

LR, DECAY, SPEED = 1e-2, 1e-4, 0.5
FLOOR, BOWL, HASTE = 0.1, 0.05, 0.1


def curves(config: Config, trial: TrialHandle) -> None:
    """The objective: report `val_loss` and `train_loss` (the curve without noise) at each epoch. Raises SpecError."""
    if trial.start and (trial.checkpoint or {}).get("epoch") != trial.start:
        raise CheckpointError(f"going on after epoch {trial.start} takes its checkpoint, got {shown(trial.checkpoint)}")
    for epoch in range(trial.start + 1, trial.until + 1):
        loss = expected_loss(config, epoch)
        observed = loss + _number(config, "noise", 0.0) * _standard_normal(trial.seed, epoch)
        trial.report(epoch, checkpoint={"epoch": epoch}, val_loss=observed, train_loss=loss)


def expected_loss(config: Config, epoch: int) -> float:
    """The curve of `config` at `epoch` (from 1), without noise."""
    lr, decay = _positive(config, "lr"), _positive(config, "weight_decay")
    speed = _positive(config, "speed", SPEED)
    bowl = math.log10(lr / LR) ** 2 + math.log10(decay / DECAY) ** 2
    return float(FLOOR + BOWL * bowl + HASTE * speed + epoch**-speed)


def optimum(epoch: int) -> dict[str, float]:
    """The configuration whose curve is lowest at `epoch` (from 2: at the first, slower is better without end)."""
    if epoch < 2:
        raise ValueError(f"there is an optimum from epoch 2 on, got {epoch}")
    return {"lr": LR, "weight_decay": DECAY, "speed": math.log(math.log(epoch) / HASTE) / math.log(epoch)}


def _standard_normal(seed: int, epoch: int) -> float:
    return float(np.random.default_rng(derive_seed(seed, "synthetic noise", epoch)).standard_normal())


def _positive(config: Config, name: str, default: float | None = None) -> float:
    value = _number(config, name, default)
    if value == 0:
        raise SpecError(f"must be above 0, got {shown(config[name])}", path=name, hint="Its logarithm is taken.")
    return value


def _number(config: Config, name: str, default: float | None) -> float:
    """A finite number of at least 0."""
    value = config.get(name, default)
    if value is None and default is None:
        raise SpecError("is missing", path=name, hint="The synthetic curves take lr and weight_decay.")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise SpecError(f"must be a number of at least 0, got {shown(value)}", path=name)
    return float(value)
