"""What a configuration's training reports, known beforehand: a curve, and where curves come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from tuner.records import Config


@dataclass(frozen=True, eq=False)
class Curve:
    """The reports of one configuration's training, from its start: arrays of one length, a report each.

    `resources` rise from 1 on (1, 2, .. where every unit is reported); `metrics` are the values reported there, NaN
    where one is missing or a training has failed; `seconds` is what each stretch between two reports took. `over` says
    that the training ended there by itself, as with a patience of its own; otherwise nothing more is known of it.
    """

    resources: NDArray[np.int64]
    metrics: Mapping[str, NDArray[np.floating]]
    seconds: NDArray[np.floating]
    over: bool = False

    def __post_init__(self) -> None:
        n = len(self.resources)
        if n and (self.resources[0] < 1 or (np.diff(self.resources) < 1).any()):
            raise ValueError(f"resources must rise from 1 on, got {self.resources}")
        if any(len(values) != n for values in (*self.metrics.values(), self.seconds)):
            raise ValueError(f"{n} resources need as many seconds and values of each metric")
        if not (np.isfinite(self.seconds).all() and (self.seconds >= 0).all()):
            raise ValueError(f"seconds must be finite and not negative, got {self.seconds}")

    def __len__(self) -> int:
        return len(self.resources)

    @property
    def last(self) -> int:
        """The last resource reported, or 0."""
        return int(self.resources[-1]) if len(self) else 0


def curve_of_units(metrics: Mapping[str, NDArray[np.floating]], seconds: float | NDArray[np.floating] = 1.0) -> Curve:
    """A curve that reports at every unit 1, 2, ..; each takes `seconds`, or as long as its place in that array says."""
    n = len(next(iter(metrics.values())))
    return Curve(np.arange(1, n + 1), metrics, np.broadcast_to(np.asarray(seconds, dtype=float), (n,)))


class CurvesSession(Protocol):
    """What one study is answered with. It may remember: a row that one trial got is not given to another."""

    def curve(self, trial: int, config: Config, reach: int) -> Curve:
        """The curve of a trial, for as far as `reach` (a resource): the same one whenever it is asked for.

        Deterministic in the calls so far. Raises UserMistake if there is none that goes so far.
        """
        ...


@runtime_checkable
class Curves(Protocol):
    """A source of curves, such as a table or a surrogate: an objective that need not be trained."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of the metrics that every report has."""
        ...

    @property
    def unit(self) -> str:
        """What a unit of resource is: "epoch" or "step"."""
        ...

    @property
    def max_resource(self) -> int:
        """The resource that the longest curve reaches."""
        ...

    def session(self) -> CurvesSession:
        """Start afresh, for one study."""
        ...
