"""A model of the losses over two axes, to draw beneath the trials: and whether it explains anything.

A Gaussian process with a squared-exponential kernel and noise (Rasmussen and Williams 2006, §2.2) on the ranks of the
losses, over the two axes alone: what the other axes do is noise to it. Its quality is R² of leave-one-out predictions,
which have a closed form (§5.4.2), and which choose the kernel's widths and the noise.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from tuner.analysis.comparable import comparable
from tuner.analysis.positions import OFF, positions
from tuner.analysis.view import StudyView
from tuner.search.levels import thin
from tuner.space import Choice

MOST: Final = 200
"""The model is fitted to so many trials: the best ones, and the others evenly thinned."""
FEWEST: Final = 20
GRID: Final = 41
"""Points along an axis of numbers."""
SUPPORT: Final = 0.3
"""Where the trials near by explain less than this share of what may vary, the surface is left blank."""

_WIDTHS: Final = (0.2, 0.5, 1.2)
_NOISES: Final = (0.1, 0.3, 1.0)


@dataclass(frozen=True, slots=True)
class Surface:
    """`points`: the trials drawn, columns trial, x, y (positions), value, rank (0 the best, 1 the worst).

    `grid`: columns x, y (positions), rank (expected; NaN where no trial is near); empty where the model explains too
    little. `r2`: its quality, NaN where there was too little to fit; `needed`: what it must be above to be shown, which
    chance alone is for one pair in twenty or fewer. `fitted`: to how many trials; `left_out`: how many lack one of the
    axes, or have it off.
    """

    points: pd.DataFrame
    grid: pd.DataFrame
    r2: float
    needed: float
    fitted: int
    left_out: int


def surface(study: StudyView, x: str, y: str, level: int | None) -> Surface:
    """The trials that can be compared at `level` over axes `x` and `y`, and the model of their ranks."""
    judged = comparable(study, level)
    placed = positions([study.trials[number] for number in judged.index], study.spec.space)
    there = (placed[[x, y]].notna() & (placed[[x, y]] != OFF)).all(axis=1)
    points = pd.DataFrame({"x": placed[x], "y": placed[y], "value": judged["value"], "rank": judged["rank"]})[there]
    points = points.sort_values("rank", kind="stable").iloc[thin(len(points), MOST // 4, MOST)].reset_index()
    left_out = int((~there).sum())
    needed = 0.03 + 7 / max(len(points), 1)
    empty = pd.DataFrame({name: pd.Series(dtype=float) for name in ("x", "y", "rank")})
    if len(points) < FEWEST or points["rank"].nunique() < 2 or (points[["x", "y"]].nunique() < 2).any():
        return Surface(points, empty, float("nan"), needed, len(points), left_out)
    lists = [isinstance(study.spec.space[name], Choice) for name in (x, y)]
    at = [points["x"].to_numpy(), points["y"].to_numpy()]
    rank = points["rank"].to_numpy()
    with threadpool_limits(1):  # so small matrices are quicker on one thread
        r2, width, noise = _fit(at, lists, rank)
    if r2 <= needed:
        return Surface(points, empty, r2, needed, len(points), left_out)
    along = [
        np.arange(places.max() + 1) if is_list else np.linspace(0.0, 1.0, GRID)
        for places, is_list in zip(at, lists, strict=True)
    ]
    mesh = [axis.ravel() for axis in np.meshgrid(*along)]
    expected = _predict(at, lists, rank, mesh, width, noise)
    return Surface(
        points, pd.DataFrame({"x": mesh[0], "y": mesh[1], "rank": expected}), r2, needed, len(points), left_out
    )


_Places = list[NDArray[np.float64]]


def _kernel(a: _Places, b: _Places, lists: list[bool], width: tuple[float, float]) -> NDArray[np.float64]:
    """Of two points; different values of a choice are all alike, at the distance of one width."""
    squared = np.zeros((len(a[0]), len(b[0])))
    for one, other, is_list, scale in zip(a, b, lists, width, strict=True):
        apart = one[:, None] - other[None, :]
        squared += (apart != 0) / (2 * scale) if is_list else (apart / scale) ** 2
    found: NDArray[np.float64] = np.exp(-squared / 2)
    return found


def _fit(at: _Places, lists: list[bool], rank: NDArray[np.float64]) -> tuple[float, tuple[float, float], float]:
    """The best R² of leave-one-out predictions, and the widths and noise (as a share of the signal) that give it."""
    centred = rank - rank.mean()
    total = float(((rank - (rank.sum() - rank) / (len(rank) - 1)) ** 2).sum())
    best = (-np.inf, (1.0, 1.0), 1.0)
    for width in itertools.product(_WIDTHS, _WIDTHS):
        values, vectors = np.linalg.eigh(_kernel(at, at, lists, width))
        turned, squares = vectors.T @ centred, vectors**2
        for noise in _NOISES:
            missed = (vectors @ (turned / (values + noise))) / (squares @ (1 / (values + noise)))
            best = max(best, (1 - float((missed**2).sum()) / total, width, noise))
    return best


def _predict(
    at: _Places,
    lists: list[bool],
    rank: NDArray[np.float64],
    mesh: _Places,
    width: tuple[float, float],
    noise: float,
) -> NDArray[np.float64]:
    inverse = np.linalg.inv(_kernel(at, at, lists, width) + noise * np.eye(len(rank)))
    near = _kernel(mesh, at, lists, width)
    support = np.einsum("ij,jk,ik->i", near, inverse, near, optimize=True)
    expected = rank.mean() + near @ (inverse @ (rank - rank.mean()))
    found: NDArray[np.float64] = np.where(support < SUPPORT, np.nan, np.clip(expected, 0.0, 1.0))
    return found
