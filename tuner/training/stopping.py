"""When a trial has had enough: its own patience, and where it begins to overfit. Importing this loads no torch."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from tuner.training.settings import StoppingSettings


class Patience:
    """Counts reports in a row without a better val_loss: early stopping (Prechelt 1998; Goodfellow et al. 2016, 7.8).

    Better is lower than the best so far by more than `min_delta`; the first finite loss is better than none, and one
    that is not finite never is.
    """

    def __init__(self, settings: StoppingSettings) -> None:
        self._settings = settings
        self._best: float | None = None
        self._n_since = 0
        self.best_resource: int | None = None
        """Where val_loss was best; None as long as none was finite."""

    def update(self, resource: int, val_loss: float) -> None:
        """Take in the report at `resource`."""
        bar = math.inf if self._best is None else self._best - self._settings.min_delta
        if math.isfinite(val_loss) and val_loss < bar:
            self._best, self.best_resource, self._n_since = val_loss, resource, 0
        else:
            self._n_since += 1

    @property
    def spent(self) -> bool:
        """Whether the trial should end; never without a `patience`."""
        return self._settings.patience is not None and self._n_since >= self._settings.patience

    def state_dict(self) -> dict[str, Any]:
        """JSON values from which `load_state_dict` goes on."""
        return {"best": self._best, "best_resource": self.best_resource, "n_since": self._n_since}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Stand where `state_dict` was taken."""
        self._best, self.best_resource, self._n_since = state["best"], state["best_resource"], state["n_since"]


def overfitting_onset(
    resources: Sequence[float],
    train_losses: Sequence[float],
    val_losses: Sequence[float],
    n_above: int = 2,
    n_noise: float = 3.0,
) -> int | None:
    """The resource from which a trial overfits: where val_loss turned, if it rose for good while train loss fell.

    The sequences have a report at each place; train losses are the ones in evaluation mode. A report with a loss that
    is not finite is left out. Smoothed is by a running median over a tenth of the reports (three at least, fewer near
    the ends). The turning point is the lowest report in the window about the first minimum of the smoothed val_loss. It
    is told if

    - the last reports, `n_above` or half the median's window if that is more, come after it, and all their val_losses
      are above the smoothed minimum by more than `n_noise` times the noise; and
    - the median train loss of these is below the smoothed one at the turning point by more than its noise.

    Noise is the robust standard deviation of reports about a smooth curve, from second differences
    (median|v₋ - 2v + v₊| / (√6·0.6745), after Gasser, Sroka & Jennen-Steinmetz 1986). A val_loss that never rises
    between two reports has no onset. None, too, with fewer than five reports, on a plateau, when the train loss rises
    as well (that is divergence), or when val_loss has come down again.
    """
    reports = [
        report
        for report in zip(resources, train_losses, val_losses, strict=True)
        if math.isfinite(report[1]) and math.isfinite(report[2])
    ]
    if len(reports) < 5:
        return None
    train, val = [report[1] for report in reports], [report[2] for report in reports]
    half = max(3, len(reports) // 10) // 2
    smooth = _running_median(val, half)
    lowest = min(range(len(smooth)), key=smooth.__getitem__)
    turn = min(range(max(0, lowest - half), min(len(val), lowest + half + 1)), key=val.__getitem__)
    tail = slice(len(val) - max(n_above, half), None)
    if turn >= tail.start:
        return None
    rose = min(val[tail]) > smooth[lowest] + n_noise * _noise(val)
    fell = statistics.median(train[tail]) < _running_median(train, half)[turn] - _noise(train)
    return int(reports[turn][0]) if rose and fell else None


def _running_median(values: Sequence[float], half: int) -> list[float]:
    """The median of each value and `half` neighbours on either side.

    Near the ends there are as many on each side as the shorter has, so that a curve that only falls is left as it is.
    """
    last = len(values) - 1
    halves = [min(half, i, last - i) for i in range(len(values))]
    return [statistics.median(values[i - near : i + near + 1]) for i, near in enumerate(halves)]


def _noise(values: Sequence[float]) -> float:
    seconds = [abs(a - 2 * b + c) for a, b, c in zip(values, values[1:], values[2:], strict=False)]
    return statistics.median(seconds) / (math.sqrt(6) * 0.6745)
