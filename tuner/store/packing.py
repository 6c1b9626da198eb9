"""Reports as fixed-size records of numbers: what is read of a million reports without reading their bodies."""

from __future__ import annotations

import math
from collections.abc import Iterable
from struct import Struct

from tuner.records import Report
from tuner.store._values import ReportValues

_RECORD = Struct("<qdqqqd")
_COLUMNS = (
    ("number", "<i8"),
    ("time", "<f8"),
    ("trial", "<i8"),
    ("segment", "<i8"),
    ("resource", "<i8"),
    ("value", "<f8"),
)


def packed(number: int, time: float, report: Report, metric: str) -> bytes:
    """The record of a report, whose event has that number and time, with its value of `metric`."""
    value = report.metrics.get(metric, math.nan)
    return _RECORD.pack(number, time, report.trial, report.segment, report.resource, value)


def unpacked(records: Iterable[bytes], after: int) -> ReportValues:
    """Of records in the order of their numbers, joined or not, those above `after`. Raises ValueError for others."""
    import numpy as np

    table = np.frombuffer(b"".join(records), dtype=np.dtype(list(_COLUMNS)))
    table = table[np.searchsorted(table["number"], after, side="right") :]
    columns = {name: table[name].astype(kind[1:]) for name, kind in _COLUMNS}  # native, each in one piece
    for column in columns.values():
        column.setflags(write=False)
    return ReportValues(**columns)
