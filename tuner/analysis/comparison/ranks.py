"""Ranks of methods over blocks: runs of one problem and repeat, which had the same seed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from scipy import stats

from tuner.analysis.comparison.trace import Floats


def blocks(incumbents: pd.DataFrame, budget: float, value: str = "loss") -> pd.DataFrame:
    """One row per (problem, repeat) in which every method was run, one column per method, at one budget.

    `value` is the column to take: loss, or regret where problems of different scales are to be compared by size.
    A run without an incumbent yet is +inf, as one whose trials all failed: behind all others, level with each other.
    """
    at = incumbents[incumbents["budget"] == budget]
    counted = at.set_index(["problem", "repeat", "method"])[value].astype(np.float64).fillna(np.inf)
    return counted.unstack("method").dropna()


def average_ranks(table: pd.DataFrame) -> pd.Series[float]:
    """The mean rank of each method over the blocks, best first; 1 is best, ties share the mean of their ranks."""
    ranks = stats.rankdata(table.to_numpy(), axis=1)
    return pd.Series(ranks.mean(axis=0), index=table.columns, name="rank").sort_values(kind="stable")


@dataclass(frozen=True)
class Friedman:
    """Whether the methods' ranks differ at all."""

    chi_square: float
    f: float
    p_value: float
    n_blocks: int
    n_methods: int


def friedman(table: pd.DataFrame) -> Friedman:
    """Friedman's test with the correction for ties, in the F form of Iman and Davenport (1980).

    F = (n-1) χ² / (n (k-1) - χ²) with (k-1, (k-1)(n-1)) degrees of freedom. Where all blocks agree F is infinite; p is
    never told as less than k!^(1-n), the chance that n orders of k methods agree. With one block or one method p is 1.
    """
    n, k = table.shape
    if n < 2 or k < 2:
        return Friedman(0.0, 0.0, 1.0, n, k)
    ranks = stats.rankdata(table.to_numpy(), axis=1)
    between = float(((ranks.sum(axis=0) - n * (k + 1) / 2) ** 2).sum())
    within = float((ranks**2).sum()) - n * k * (k + 1) ** 2 / 4
    chi_square = (k - 1) * between / within if within > 0 else 0.0
    left = n * (k - 1) - chi_square
    f = (n - 1) * chi_square / left if left > 1e-9 else math.inf
    least = math.exp((1 - n) * math.lgamma(k + 1))
    p_value = max(float(stats.f.sf(f, k - 1, (k - 1) * (n - 1))), least)
    return Friedman(chi_square, f, p_value, n, k)


@cache
def critical_difference(n_methods: int, n_blocks: int, alpha: float = 0.05) -> float:
    """Nemenyi's: average ranks that are closer cannot be told apart. q_α √(k(k+1)/(6n)), q_α = the studentized
    range's quantile / √2 (Demšar 2006, eq. 5 and table 5a).
    """
    q = float(stats.studentized_range.ppf(1 - alpha, n_methods, np.inf)) / math.sqrt(2)
    return q * math.sqrt(n_methods * (n_methods + 1) / (6 * n_blocks))


def indistinguishable(ranks: pd.Series[float], difference: float) -> list[tuple[str, ...]]:
    """The largest groups of two or more methods whose average ranks lie within the critical difference, best first."""
    ordered = ranks.sort_values(kind="stable")
    values, names = ordered.to_numpy(), [str(name) for name in ordered.index]
    ends = np.searchsorted(values, values + difference, side="left")
    return [tuple(names[i:end]) for i, end in enumerate(ends) if end - i > 1 and (i == 0 or end > ends[i - 1])]


def paired_differences(table: pd.DataFrame, one: str, other: str) -> Floats:
    """`other` minus `one`, block by block: above 0 where `one` is better; 0 where neither has an incumbent."""
    with np.errstate(invalid="ignore"):
        found = table[other].to_numpy(dtype=np.float64) - table[one].to_numpy(dtype=np.float64)
    return np.where(np.isnan(found), 0.0, found)
