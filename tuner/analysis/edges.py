"""Whether the best trials crowd at an edge of the space, beyond which something better may lie."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from tuner.analysis.comparable import comparable
from tuner.analysis.positions import OFF, axis_positions, positions, text
from tuner.analysis.view import StudyView
from tuner.space import Choice, Float, Int

ZONE: Final = 0.1
"""The outermost share of an axis, in its own scale, that counts as its edge."""
FEWEST: Final = 20
"""With fewer trials that have the axis nothing is said of it."""
LEVEL: Final = 0.05
"""How often chance alone may find an edge in a study, over all its axes."""

COLUMNS: Final = ("axis", "edge", "bound", "best", "there", "expected", "p_place", "p_trend", "found", "sentence")


def edges(study: StudyView, level: int | None) -> pd.DataFrame:
    """Per axis of numbers and edge of it, whether the best tenth of the trials (5 at least) crowds there.

    An edge is found where all of this holds: half of the best or more lie in its zone; more of them than evenly spread
    ones would (binomial test); and on the half of the axis beside it the losses fall towards it (Spearman's rank
    correlation), which chance does not do even where the sampler itself went there. Both tests are one-sided, at LEVEL
    shared over all axes and edges (Bonferroni).

    Columns: axis; edge (lower, upper); bound, the axis' value there; best, how many of the best have the axis; there,
    how many of them lie in the zone; expected, how many evenly spread ones would; p_place, p_trend (NaN where it cannot
    be tested); found; sentence, what was found and what to try, "" otherwise. Without the axes of which nothing is
    said.
    """
    judged = comparable(study, level)
    judged = judged[np.isfinite(judged["loss"])]
    placed = positions([study.trials[number] for number in judged.index], study.spec.space)
    numeric = {name: axis for name, axis in study.spec.space.items() if not isinstance(axis, Choice)}
    level_each = LEVEL / max(2 * len(numeric), 1)
    rows = []
    for name, axis in numeric.items():
        place = placed[name].to_numpy()
        there = ~np.isnan(place) & (place != OFF)
        if there.sum() < FEWEST or axis.low == axis.high:
            continue
        loss = judged["loss"].to_numpy()[there]
        rows += [_edge(name, axis, upper, place[there], loss, level_each) for upper in (False, True)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _edge(
    name: str, axis: Float | Int, upper: bool, place: NDArray[np.float64], loss: NDArray[np.float64], level: float
) -> tuple[object, ...]:
    """A row of the table."""
    distance = 1 - place if upper else place
    n_best = max(5, round(0.1 * len(loss)))
    best = np.argsort(loss, kind="stable")[:n_best]
    count = int((distance <= ZONE)[best].sum())
    share = _share(axis, upper)
    p_place = float(stats.binom.sf(count - 1, n_best, share))
    beside = distance <= 0.5
    p_trend = _trend(distance[beside], loss[beside])
    found = bool(2 * count >= n_best and p_place < level and p_trend < level)
    bound = axis.high if upper else axis.low
    edge = "upper" if upper else "lower"
    sentence = _sentence(name, axis, edge, bound, count, n_best, n_best * share) if found else ""
    return (name, edge, float(bound), n_best, count, n_best * share, p_place, p_trend, found, sentence)


def _share(axis: Float | Int, upper: bool) -> float:
    """The share of random values that lie in the zone: a tenth, but for axes of few values."""
    values = [axis.from_unit((index + 0.5) / 400) for index in range(400)]
    place = axis_positions(axis, [value for value in values if value is not None])
    return float(np.mean((1 - place if upper else place) <= ZONE))


def _trend(distance: NDArray[np.float64], loss: NDArray[np.float64]) -> float:
    """The one-sided p-value of losses that fall towards the edge; NaN with fewer than 8, or where nothing varies."""
    if len(loss) < 8 or np.ptp(distance) == 0 or np.ptp(loss) == 0:
        return float("nan")
    return float(stats.spearmanr(distance, loss, alternative="greater").pvalue)


def _sentence(name: str, axis: Float | Int, edge: str, bound: float, count: int, n_best: int, expected: float) -> str:
    wider = f"above {text(bound)}" if edge == "upper" else f"below {text(bound)}"
    word = "high" if edge == "upper" else "low"
    scale = " (in the logarithm)" if axis.log else ""
    return (
        f"{count} of the {n_best} best trials lie at the {edge} edge of {name}, in the outermost tenth of its "
        f"range{scale}, where {expected:.3g} would by chance, and losses fall towards it. "
        f"Try a wider range, with {word} {wider}, if {name} may take such values."
    )
