"""CurveTable: recorded learning curves of many configurations, from which a study can be replayed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

import numpy as np

from tuner.errors import UserMistake
from tuner.execution.simulated.curves import Curve
from tuner.execution.simulated.nearest import Neighbours
from tuner.records import Config
from tuner.space import SearchSpace
from tuner.spec import Metric


@dataclass(frozen=True)
class TableInfo:
    """What a table is of. `created` is an ISO 8601 time; `versions` name the packages that the curves hang on."""

    space: SearchSpace
    metric: Metric
    unit: str
    objective: str
    created: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    note: str = ""


@final
class CurveTable:
    """Configurations of one space and the curve of each: `configs` and `curves`, in one order. A `Curves`.

    Every curve has a report at least. One that is over, or ends in NaN, tells all of its training, however far a trial
    may go. Any other answers only for trials that go no farther than it was recorded, so that no trial goes on along
    another one's curve: of a study that stopped most of its trials early few rows can answer for a whole training, of
    one without a scheduler all.
    """

    def __init__(self, info: TableInfo, configs: Sequence[Config], curves: Sequence[Curve]) -> None:
        """Raises UserMistake for no curves at all, for configurations of another space, or for unequal metrics."""
        if not curves or len(configs) != len(curves) or not all(map(len, curves)):
            raise UserMistake(
                "a table needs configurations, and for each a curve of a report at least, "
                f"got {len(configs)} configurations and {len(curves)} curves"
            )
        self.info = info
        self.configs = tuple(configs)
        self.curves = tuple(curves)
        for config in self.configs:
            info.space.check(config)
        if any(tuple(curve.metrics) != self.metrics for curve in self.curves):
            raise UserMistake(f"every curve of a table must have the same metrics, here {', '.join(self.metrics)}")
        if info.metric.name not in self.metrics:
            raise UserMistake(f"the table has no metric {info.metric.name!r}, but {', '.join(self.metrics)}")
        self._reach = np.array([_reach(curve, info.metric) for curve in self.curves])
        self._neighbours = Neighbours(info.space, self.configs)

    @classmethod
    def load(cls, path: str | Path) -> CurveTable:
        """The table of a Parquet file that `save` wrote. Raises UserMistake if it is not there, or is no such table."""
        from tuner.execution.simulated.parquet import read_table

        return read_table(Path(path))

    def save(self, path: str | Path) -> None:
        """Write one Parquet file: a row per configuration and resource, with what `info` says in its metadata.

        Metrics and seconds keep the precision of their arrays: float32 makes a file of half the size.
        """
        from tuner.execution.simulated.parquet import write_table

        write_table(self, Path(path))

    def __len__(self) -> int:
        return len(self.curves)

    @property
    def unit(self) -> str:
        """What a unit of resource is: "epoch" or "step"."""
        return self.info.unit

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of the metrics that every report has."""
        return tuple(self.curves[0].metrics)

    @property
    def max_resource(self) -> int:
        """The resource that the longest curve reaches."""
        return max(curve.last for curve in self.curves)

    def rows_reaching(self, resource: int) -> int:
        """How many configurations can answer for a trial that may go as far as `resource`."""
        return int((self._reach >= resource).sum())

    def session(self) -> TableSession:
        """See Curves."""
        return TableSession(self, self._neighbours, self._reach)


def _reach(curve: Curve, metric: Metric) -> float:
    """The resource up to which the curve tells what a training does; infinity if that has ended there."""
    failed = not np.isfinite(curve.metrics[metric.name][-1])
    return np.inf if curve.over or failed else curve.last


@final
class TableSession:
    """A study's lookups: each trial gets the nearest row that goes far enough and that no other trial has; the nearest
    one, when all are taken. Of equally near rows the first.
    """

    def __init__(self, table: CurveTable, neighbours: Neighbours, reach: np.ndarray) -> None:
        self._table = table
        self._neighbours = neighbours
        self._reach = reach
        self._taken = np.zeros(len(table), dtype=bool)
        self.rows: dict[int, int] = {}
        """trial -> the row it got"""
        self.distances: dict[int, float] = {}
        """trial -> how far its row is from its configuration (see Neighbours)"""

    def curve(self, trial: int, config: Config, reach: int) -> Curve:
        """See CurvesSession."""
        row = self.rows.get(trial)
        if row is None or self._reach[row] < reach:
            row = self.rows[trial] = self._nearest(trial, config, reach)
        return self._table.curves[row]

    def _nearest(self, trial: int, config: Config, reach: int) -> int:
        squares = self._neighbours.squares(config)
        squares[self._reach < reach] = np.inf
        free = np.where(self._taken, np.inf, squares)
        row = int(np.argmin(free))
        if free[row] == np.inf:
            row = int(np.argmin(squares))
        if squares[row] == np.inf:
            raise UserMistake(
                f"no curve of the table goes as far as {self._table.unit} {reach}: the longest ends at "
                f"{self._table.max_resource}",
                hint="Lower scheduler.max_resource, or record a study whose trials went so far.",
            )
        self._taken[row] = True
        self.distances[trial] = float(np.sqrt(squares[row]))
        return row
