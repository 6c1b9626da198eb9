"""The metric of a study over all of its reports, as columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@final
@dataclass(frozen=True, slots=True, eq=False)
class ReportValues:
    """Reports in the order they came, one an entry of each array; the arrays have one length, and are read-only.

    `number` is that of the report's event, `time` in seconds since the epoch, `value` that of the study's metric: NaN
    where it was NaN, or not reported.
    """

    number: NDArray[np.int64]
    time: NDArray[np.float64]
    trial: NDArray[np.int64]
    segment: NDArray[np.int64]
    resource: NDArray[np.int64]
    value: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.number)
