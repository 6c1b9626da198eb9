"""Segments on workers, over the time that the study was running."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from tuner.analysis.clock import Clock
from tuner.analysis.view import StudyView
from tuner.records import SegmentEnded, SegmentIssued

MOST: Final = 2000
"""So many bars a picture holds."""

COLUMNS: Final = ("worker", "trial", "segment", "start", "end", "from", "until", "ending")


def timeline(study: StudyView) -> pd.DataFrame:
    """One row per segment, in the order in which they were issued.

    Columns: worker, trial, segment, start and end (seconds of running since the study began), from and until
    (resource), ending: what the journal says of its end (failed, lost, interrupted, ..), "running" where it goes on,
    else "decided", which is how most of them end: with the decision on their last report. `end` is the time of that
    report, or the last that was heard of the study.
    """
    clock = study.clock
    issued = [(entry.time, entry.event) for entry in study.happenings if isinstance(entry.event, SegmentIssued)]
    if not issued:
        return pd.DataFrame({name: [] for name in COLUMNS})
    rows = [
        (event.worker or "worker", event.segment.trial, event.segment.index, event.segment.start, event.segment.until)
        for _, event in issued
    ]
    table = pd.DataFrame(rows, columns=["worker", "trial", "segment", "from", "until"])
    table["start"] = clock.at([time for time, _ in issued])
    table = table.join(_last_words(study, clock), on=["trial", "segment"])
    return _with_ends(table, study, clock)[list(COLUMNS)]


def workers(table: pd.DataFrame) -> pd.DataFrame:
    """One row per worker of the table that `timeline` gives, in the order of their first segments.

    Columns: worker, n_segments, busy [s] (with one segment, or with several at once), there [s] (from the start of its
    first segment to the end of the last segment of any worker), idle (1 - busy / there, in 0..1).
    """
    over = table["end"].max() if len(table) else 0.0
    table = table.sort_values("start", kind="stable")
    before = table.groupby("worker")["end"].transform(lambda ends: ends.cummax().shift())
    busy = (table["end"] - np.fmax(table["start"], before)).clip(lower=0.0)
    found = (
        table.assign(busy=busy)
        .groupby("worker", sort=False)
        .agg(n_segments=("trial", "size"), busy=("busy", "sum"), there=("start", "min"))
        .reset_index()
    )
    found["there"] = over - found["there"]
    idle = (1 - found["busy"] / found["there"].where(found["there"] > 0)).clip(0.0, 1.0)
    return found.assign(idle=idle.astype(float))


def merged(table: pd.DataFrame, most: int = MOST) -> tuple[pd.DataFrame, float]:
    """The table that `timeline` gives with `most` rows at the most (a worker keeps one), and the seconds up to which
    gaps were closed.

    Where there are more, segments that follow each other on a worker with no longer a gap than that become one row,
    with the first's start and the last's end; what did not simply end stays on its own while there is room. Columns as
    of `timeline`, and n_segments.
    """
    table = table.assign(n_segments=1)
    if len(table) <= most:
        return table, 0.0
    table = table.sort_values(["worker", "start"], kind="stable", ignore_index=True)
    span = float(table["end"].max() - table["start"].min())
    gap = span / most / 4
    while True:
        for apart in (True, False):
            closed = _closed(table, gap, apart=apart)
            if len(closed) <= most or gap > span:
                return closed, gap
        gap *= 2


def _closed(table: pd.DataFrame, gap: float, *, apart: bool) -> pd.DataFrame:
    follows = (table["worker"] == table["worker"].shift()) & (table["start"] - table["end"].shift() <= gap)
    if apart:
        plain = table["ending"] == "decided"
        follows &= plain & plain.shift(fill_value=False)
    firsts = {name: (name, "first") for name in ("worker", "trial", "segment", "start", "from", "until", "ending")}
    runs = table.groupby((~follows).cumsum())
    return runs.agg(**firsts, end=("end", "max"), n_segments=("n_segments", "sum")).reset_index(drop=True)


def _last_words(study: StudyView, clock: Clock) -> pd.DataFrame:
    """By (trial, segment): `heard` (seconds, of its last report), `ended` (seconds) and `ending`, if it has them."""
    values = study.values
    by = pd.MultiIndex.from_arrays([values.trial, values.segment], names=["trial", "segment"])
    heard = pd.Series(clock.at(values.time), index=by, name="heard")
    heard = heard[~by.duplicated(keep="last")]
    ends = [(entry.time, entry.event.end) for entry in study.happenings if isinstance(entry.event, SegmentEnded)]
    index = pd.MultiIndex.from_tuples([(end.trial, end.segment) for _, end in ends], names=["trial", "segment"])
    ended = pd.DataFrame({"ended": clock.at([time for time, _ in ends])}, index=index if ends else by[:0])
    ended["ending"] = pd.Series([end.ending.value for _, end in ends], index=ended.index, dtype=object)
    return ended[~ended.index.duplicated()].join(heard, how="outer")


def _with_ends(table: pd.DataFrame, study: StudyView, clock: Clock) -> pd.DataFrame:
    """A segment that the journal does not end is over with its last report, unless its trial has it now."""
    newest = {trial.number: trial.segments - 1 for trial in study.trials if trial.state.value == "running"}
    now = table["trial"].map(newest) == table["segment"]
    running = now & table["ended"].isna()
    end = table["ended"].fillna(table["heard"]).where(~running, clock.total).fillna(table["start"])
    ending = table["ending"].where(table["ending"].notna(), np.where(running, "running", "decided"))
    return table.assign(end=np.maximum(end, table["start"]), ending=ending)
