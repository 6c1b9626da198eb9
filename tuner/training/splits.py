"""Splits as row numbers: for a task's `data`. Each is a tuple of disjoint int64 tensors (CPU) that cover all rows.

`shares` are the parts' shares of the rows, in the order of the parts: positive, and 1 together. A SpecError says which
share is impossible, a DataError why the rows cannot be divided so; no part is ever empty.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from tuner.errors import DataError, SpecError
from tuner.training.randomness import permutation

Rows = tuple[Tensor, ...]


def random(n: int, shares: Sequence[float], seed: int) -> Rows:
    """Rows 0..n-1 at random; a part is its share of them within one row. Within a part they ascend."""
    ends = [0, *_cuts(n, shares), n]
    order = permutation(n, seed, "split")
    parts = [order[start:end].sort().values for start, end in itertools.pairwise(ends)]
    return _none_empty(parts, shares)


def stratified(targets: Tensor, shares: Sequence[float], seed: int) -> Rows:
    """Rows at random, so that each part has its share of each class, within one row for two parts (k-1 rows for k).

    `targets`: whole numbers (rows,). A part's total is as near to its share. Within a part rows ascend.
    """
    if targets.ndim != 1 or targets.is_floating_point() or targets.is_complex():
        raise DataError(
            f"a stratified split takes one class number for each row, got {targets.dtype} of {tuple(targets.shape)}",
            hint="Give whole numbers; bin a target that is continuous, for example by torch.bucketize.",
        )
    _check(shares)
    classes, of = torch.unique(targets.cpu(), return_inverse=True)
    # Rows of a class stand together, classes and rows in a random order; from such a row of rows every 1/share-th is
    # taken. A stretch of c rows then gives c·share within one, wherever it begins: for each class, and for all.
    shuffled = permutation(len(of), seed, "split")
    places = permutation(len(classes), seed, "split classes")[of]
    left = shuffled[places[shuffled].argsort(stable=True)]
    parts, rest = [], 1.0
    for share in shares[:-1]:
        taken = torch.floor(torch.arange(len(left) + 1, dtype=torch.float64) * (share / rest) + 0.5 + 1e-9).diff() > 0
        parts.append(left[taken].sort().values)
        left, rest = left[~taken], rest - share
    return _none_empty([*parts, left.sort().values], shares)


def grouped(groups: Tensor, shares: Sequence[float], seed: int) -> Rows:
    """Rows so that no group is in two parts: for rows of one patient, speaker or document.

    `groups`: whole numbers (rows,). Groups go, the largest first and equal ones at random, each to the part that lacks
    most rows of its share; when only as many groups are left as parts are empty, each of these gets one. Within a part
    rows ascend.
    """
    if groups.ndim != 1 or groups.is_floating_point() or groups.is_complex():
        raise DataError(
            f"a grouped split takes one group number for each row, got {groups.dtype} of {tuple(groups.shape)}",
            hint="Give whole numbers, equal for rows that belong together.",
        )
    _check(shares)
    names, of, sizes = torch.unique(groups.cpu(), return_inverse=True, return_counts=True)
    if len(names) < len(shares):
        raise DataError(
            f"{len(names)} groups cannot be divided into {len(shares)} parts",
            hint="A part takes one group at least: split by something finer, or into fewer parts.",
        )
    shuffled = permutation(len(names), seed, "split groups")
    order = shuffled[sizes[shuffled].argsort(descending=True, stable=True)].tolist()
    part_of = torch.empty(len(names), dtype=torch.int64)
    n_rows, n_groups = [0] * len(shares), [0] * len(shares)
    for n_placed, group in enumerate(order):
        empty = [part for part, n in enumerate(n_groups) if n == 0]
        open_parts = empty if len(order) - n_placed == len(empty) else range(len(shares))
        part = max(open_parts, key=lambda part: shares[part] * len(of) - n_rows[part])
        part_of[group] = part
        n_rows[part] += int(sizes[group])
        n_groups[part] += 1
    return tuple((part_of[of] == part).nonzero().flatten() for part in range(len(shares)))


def in_time_order(times: Tensor, shares: Sequence[float]) -> Rows:
    """The earliest rows first: no row of a part is earlier than any of the part before. Within a part, by time.

    `times`: numbers (rows,). Rows of equal time stay together: a cut that falls among them moves to the nearer end of
    their run (the earlier one, if both are as near), which may leave a part none: that is a DataError.
    """
    if times.ndim != 1 or times.is_complex() or (times.is_floating_point() and bool(times.isnan().any())):
        raise DataError(
            f"a split in time order takes one time for each row, none of them NaN, got {times.dtype} of "
            f"{tuple(times.shape)}",
            hint="Give a number for each row, such as seconds.",
        )
    ordered = times.cpu().sort(stable=True)
    new = torch.ones(len(times) + 1, dtype=torch.bool)  # where a run begins; the end counts as one
    new[1:-1] = ordered.values.diff() != 0
    starts = new.nonzero().flatten()
    ends = [0, *(_nearest(starts, cut) for cut in _cuts(len(times), shares)), len(times)]
    parts = [ordered.indices[start:end] for start, end in itertools.pairwise(ends)]
    return _none_empty(parts, shares, because=f", having {len(starts) - 1:,} different times")


def _nearest(starts: Tensor, cut: int) -> int:
    return int(starts[(starts - cut).abs().argmin()])


def _cuts(n: int, shares: Sequence[float]) -> list[int]:
    """Where each part but the last ends, of n rows."""
    _check(shares)
    return [math.floor(math.fsum(shares[: i + 1]) * n + 0.5) for i in range(len(shares) - 1)]


def _check(shares: Sequence[float]) -> None:
    sound = all(math.isfinite(share) and share > 0 for share in shares)
    if not sound or not math.isclose(math.fsum(shares), 1, abs_tol=1e-6):
        raise SpecError(
            f"must be positive and 1 together, got {', '.join(map(str, shares))}",
            path="shares",
            hint="For example: 0.8, 0.2.",
        )


def _none_empty(parts: Sequence[Tensor], shares: Sequence[float], because: str = "") -> Rows:
    n_rows = sum(map(len, parts))
    for number, (part, share) in enumerate(zip(parts, shares, strict=True), 1):
        if len(part) == 0:
            raise DataError(
                f"part {number}, a share of {share}, would be empty: there are {n_rows:,} rows{because}",
                hint="Give it a larger share, or more rows.",
            )
    return tuple(parts)
