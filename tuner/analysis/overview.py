"""All studies of a store at a glance, and its comparisons."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import numpy as np
import pandas as pd

from tuner.analysis.compared import comparisons_of
from tuner.analysis.comparison.incumbent import best_at_highest
from tuner.analysis.comparison.trace import Floats
from tuner.analysis.progress import Progress, progress
from tuner.analysis.view import extended
from tuner.records import Ticked, TrialState
from tuner.store import JournalEntry, PostedCommand, StudyOutline, StudyRecord, StudyStore

POINTS = 60
"""Of a sparkline, at the most."""

LONGEST_TICK = 60.0
"""Seconds of running that may lie behind a study's last tick; they come every few."""

UNREADABLE = "unreadable"
"""The state of what cannot be read."""


def studies_table(
    outlines: Iterable[StudyOutline], runs: Collection[str] = (), known: Mapping[str, Progress] | None = None
) -> pd.DataFrame:
    """One row per study, in the order of the outlines.

    Columns: study, state ("unreadable" where its record cannot be read), share (of the budget that is spent, in 0..1),
    best (of the metric), metric, curve (the best so far over its trials by number, a list of POINTS values at the
    most), seconds_left (NaN while unknown), trials, a column with the number of trials in each TrialState, owner (who
    writes it: process and host), updated (UTC), run (whether it is one of the `runs` of a comparison), message (why it
    ended, or cannot be read). `known` is the progress of studies that have not ended.
    """
    rows = [_row(outline, outline.name in runs, (known or {}).get(outline.name)) for outline in outlines]
    table = pd.DataFrame(rows, columns=list(_row_kinds())).astype(_row_kinds())
    return table.assign(updated=pd.to_datetime(table["updated"], unit="s", utc=True).dt.round("s"))


def outline_progress(
    outline: StudyOutline, ticks: Iterable[JournalEntry], commands: Iterable[PostedCommand]
) -> Progress:
    """The progress of a study of which no more is read: its ticks say how long it ran, in all its sessions. What its
    failed trials spent is left out. Raises ValueError if its spec cannot be read.
    """
    if outline.spec is None:
        raise ValueError(f"the spec of study {outline.name} cannot be read")
    seconds, since = 0.0, outline.created
    for entry in ticks:
        if isinstance(entry.event, Ticked):
            seconds, since = entry.event.seconds, entry.time
    if outline.holder is not None:  # what came since the last tick; no more, as it may have been in another session
        seconds += min(max(outline.updated - since, 0.0), LONGEST_TICK)
    units = sum(resource for _, resource, _ in outline.values)
    return progress(_record(outline), extended(outline.spec.budget, commands), units, seconds)


def comparisons_table(store: StudyStore) -> pd.DataFrame:
    """One row per comparison, the newest first; those that cannot be read come last.

    Columns: comparison, state ("unreadable" where it cannot be read), methods (as text), repeats, n_done and n_runs (of
    its runs), metric, created (UTC), message (why it cannot be read).
    """
    found, unreadable = comparisons_of(store)
    rows: list[tuple[object, ...]] = []
    for comparison in found:
        plan, counts = comparison.plan, (comparison.n_done, comparison.n_runs)
        about = (plan.spec.metric.name, comparison.record.created, "")
        rows.append((plan.name, comparison.state, ", ".join(plan.methods), plan.repeats, *counts, *about))
    rows += [(name, UNREADABLE, "", None, None, None, "", None, why) for name, why in unreadable.items()]
    names = ["comparison", "state", "methods", "repeats", "n_done", "n_runs", "metric", "created", "message"]
    table = pd.DataFrame(rows, columns=names).astype(dict.fromkeys(("repeats", "n_done", "n_runs"), "Int64"))
    return table.assign(created=pd.to_datetime(table["created"].astype(float), unit="s", utc=True).dt.round("s"))


def matching(table: pd.DataFrame, text: str = "", states: Collection[str] = ()) -> pd.DataFrame:
    """The rows in one of `states` (none: any) whose study, metric, owner or message has every word of `text`."""
    there = table["state"].isin(list(states)) if states else pd.Series(True, index=table.index)
    searched = (table["study"] + " " + table["metric"] + " " + table["owner"] + " " + table["message"]).str.lower()
    for word in text.lower().split():
        there &= searched.str.contains(word, regex=False)
    return table[there]


def _row_kinds() -> dict[str, str]:
    before = {"study": "str", "state": "str", "share": "float64", "best": "float64", "metric": "str", "curve": "object"}
    counts = dict.fromkeys(("trials", *(state.value for state in TrialState)), "int64")
    after = {"owner": "str", "updated": "float64", "run": "bool", "message": "str"}
    return before | {"seconds_left": "float64"} | counts | after


def _row(outline: StudyOutline, run: bool, known: Progress | None) -> dict[str, object]:
    left = None if known is None else known.seconds_left
    share = 1.0 if outline.state.ended else known.share if known else np.nan
    curve = _curve(outline)
    holder = outline.holder
    return {
        "study": outline.name,
        "state": UNREADABLE if outline.error else outline.state.value,
        "share": share,
        "best": curve[-1] if curve.size else np.nan,
        "metric": outline.spec.metric.name if outline.spec else "",
        "curve": _thin(curve).tolist(),
        "seconds_left": np.nan if left is None or outline.state.ended else left,
        "trials": sum(outline.counts.values()),
        **{state.value: _count(outline, state) for state in TrialState},
        "owner": f"process {holder.pid} on {holder.host}" if holder else "",
        "updated": outline.updated,
        "run": run,
        "message": outline.error or outline.reason,
    }


def _count(outline: StudyOutline, state: TrialState) -> int:
    """Trials in a state; where nobody runs the study any more, none is told as running: it waits to go on."""
    if outline.holder is None and state is TrialState.RUNNING:
        return 0
    adrift = outline.counts.get(TrialState.RUNNING, 0) if outline.holder is None and state is TrialState.WAITING else 0
    return outline.counts.get(state, 0) + adrift


def _curve(outline: StudyOutline) -> Floats:
    """The best so far over trials by number, in the metric's own sense; empty without a finite value or a spec."""
    if outline.spec is None or not outline.values:
        return np.zeros(0)
    resource = np.array([resource for _, resource, _ in outline.values], dtype=np.int64)
    value = np.array([value for _, _, value in outline.values], dtype=np.float64)
    sign = outline.spec.metric.loss(1.0)
    losses = np.where(np.isfinite(value), sign * value, np.inf)
    curve = best_at_highest(losses, resource)
    found: Floats = sign * curve[np.isfinite(curve)]
    return found


def _thin(curve: Floats) -> Floats:
    if curve.size <= POINTS:
        return curve
    picked: Floats = curve[np.linspace(0, curve.size - 1, POINTS).round().astype(int)]
    return picked


def _record(outline: StudyOutline) -> StudyRecord:
    assert outline.spec is not None
    return StudyRecord(
        outline.name,
        outline.spec,
        outline.state,
        outline.reason,
        outline.created,
        outline.updated,
        outline.events,
        outline.commands,
        outline.holder,
    )
