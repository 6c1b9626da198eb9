"""How the space was sampled: how evenly along each axis, where the largest hole is, what was never tried."""

from __future__ import annotations

import itertools
import math
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tuner.analysis.leaderboard import best_trial
from tuner.analysis.positions import OFF, positions, text, value_at
from tuner.analysis.view import StudyView
from tuner.space import Axis, Choice, Float, Int

BINS: Final = 20
"""An axis of numbers is cut into so many equal parts, in its own scale."""


def coverage(study: StudyView) -> pd.DataFrame:
    """How the trials, of whatever state, lie on each axis.

    One row per axis of the space. Columns: axis; trials, how many have it; off, in how many it is off; values, how many
    different ones; evenness, the effective number of parts that were sampled over the number of parts, exp(entropy)
    over BINS parts or the values there are (1 is even; evenly random trials come near it once there are some for each
    part); hole_from, hole_to, the values around the largest stretch without a trial, as text ("" for a choice, and for
    an axis of BINS numbers at most); hole, its share of the axis in its own scale, in 0..1; hole_chance, how often
    evenly random trials leave one as large (NaN for axes of steps and choices); untried, the values of such axes, and
    "off", that no trial had.
    """
    placed = positions(study.trials, study.spec.space)
    rows = [_row(name, axis, placed[name].to_numpy()) for name, axis in study.spec.space.items()]
    return pd.DataFrame(rows, columns=list(_COLUMNS))


_COLUMNS: Final = (
    "axis", "trials", "off", "values", "evenness", "hole_from", "hole_to", "hole", "hole_chance", "untried",
)  # fmt: skip


def samples(study: StudyView) -> pd.DataFrame:
    """How many trials lie in each part of each axis. One row per (axis, part). Columns: axis; start, end (where the
    part lies, 0..1 of the axis, choices and "off" being parts as the others); label (its values, as text); trials;
    density (trials over what an even spread would give it: 1 is even, 0 untried).
    """
    placed = positions(study.trials, study.spec.space)
    rows: list[tuple[object, ...]] = []
    for name, axis in study.spec.space.items():
        labels, counts = _parts(axis, placed[name].to_numpy())
        n_parts, total = len(labels), max(int(counts.sum()), 1)
        rows += [
            (name, index / n_parts, (index + 1) / n_parts, label, int(count), float(count) * n_parts / total)
            for index, (label, count) in enumerate(zip(labels, counts, strict=True))
        ]
    return pd.DataFrame(rows, columns=["axis", "start", "end", "label", "trials", "density"])


def branches(study: StudyView) -> pd.DataFrame:
    """The conditions of the space and whether their branches were tried. One row per (axis with conditions, name it
    depends on, value of that which switches it on). Columns: axis, depends_on, value (text), trials (that have the axis
    through this value), best (their best value, NaN without one).
    """
    rows: list[tuple[object, ...]] = []
    for name, axis in study.spec.space.items():
        for parent, allowed in (axis.when or {}).items():
            for value in allowed:
                trials = [
                    trial for trial in study.trials if name in trial.config and _same(trial.config.get(parent), value)
                ]
                best = best_trial(trials, study.spec.metric)
                found = math.nan if best is None or best.value is None else best.value
                rows.append((name, parent, text(value), len(trials), found))
    return pd.DataFrame(rows, columns=["axis", "depends_on", "value", "trials", "best"])


def _same(a: object, b: object) -> bool:
    return isinstance(a, bool) == isinstance(b, bool) and a == b


def _row(name: str, axis: Axis, places: NDArray[np.float64]) -> tuple[object, ...]:
    there = places[~np.isnan(places)]
    labels, counts = _parts(axis, places)
    evenness = _perplexity(counts) / len(counts) if counts.sum() else math.nan
    off = int((there == OFF).sum())
    head = (name, len(there), off, len(np.unique(there)), evenness)
    if isinstance(axis, Choice) or _listed(axis):
        untried = [label for label, count in zip(labels, counts, strict=True) if not count]
        return (*head, "", "", math.nan, math.nan, ", ".join(untried))
    numbers = np.sort(there[there != OFF])
    edges = np.concatenate([[0.0], numbers, [1.0]])
    widths = np.diff(edges)
    at = int(widths.argmax())
    chance = _chance(float(widths[at]), len(numbers)) if isinstance(axis, Float) and axis.step is None else math.nan
    ends = (text(_shown(axis, float(edges[at]))), text(_shown(axis, float(edges[at + 1]))))
    return (*head, *ends, float(widths[at]), chance, "off" if axis.none and not off else "")


def _listed(axis: Float | Int) -> bool:
    """Whether an axis of numbers has so few that each is a part of its own."""
    size = axis.cardinality()
    return size is not None and size - axis.none <= BINS


def _shown(axis: Axis, place: float) -> float | int:
    value = value_at(axis, place)
    assert isinstance(value, int | float)
    return value if isinstance(axis, Float) else round(value)


def _chance(width: float, n: int) -> float:
    """How often the largest gap of n uniform points, the ends included, is this wide: the union bound over n + 1 gaps
    made a probability (Poisson approximation of Stevens 1939).
    """
    return 1.0 if n == 0 else -math.expm1(-(n + 1) * (1 - width) ** n)


def _parts(axis: Axis, places: NDArray[np.float64]) -> tuple[list[str], NDArray[np.int64]]:
    """The parts of an axis as text, and how many trials lie in each."""
    there = places[~np.isnan(places)]
    if isinstance(axis, Choice):
        return [text(value) for value in axis.values], np.bincount(there.astype(np.int64), minlength=len(axis.values))
    numbers = there[there != OFF]
    if _listed(axis):
        whole = range(axis.low, axis.high + 1, axis.step) if isinstance(axis, Int) else axis.grid(BINS)
        values = [value for value in whole if value is not None]
        labels = [text(value) for value in values]
        cells = np.rint(numbers * (len(values) - 1)).astype(np.int64) if not axis.log else _nearest(axis, numbers)
        counts = np.bincount(np.clip(cells, 0, len(values) - 1), minlength=len(values))
    else:
        ends = [text(_shown(axis, index / BINS)) for index in range(BINS + 1)]
        labels = [f"{low} to {high}" for low, high in itertools.pairwise(ends)]
        counts = np.bincount(np.clip((numbers * BINS).astype(np.int64), 0, BINS - 1), minlength=BINS)
    if axis.none:
        return ["off", *labels], np.concatenate([[int((there == OFF).sum())], counts])
    return labels, counts


def _nearest(axis: Axis, numbers: NDArray[np.float64]) -> NDArray[np.int64]:
    """The index of each value of a log axis of few whole numbers."""
    assert not isinstance(axis, Choice)
    found = [
        round(float(value) - axis.low) if isinstance(value := value_at(axis, place), int | float) else 0
        for place in numbers.tolist()
    ]
    return np.array(found, dtype=np.int64)


def _perplexity(counts: NDArray[np.int64]) -> float:
    """exp(entropy): how many parts equally full would be as spread out."""
    shares = counts[counts > 0] / counts.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))
