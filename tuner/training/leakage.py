"""What can be seen of a task's data before anything is trained: leaks between the splits, labels, and inputs.

A pair of tensors is looked at whole, a Dataset by a sample of its rows, and the evidence says so. Equal is equal byte
for byte: near-duplicates, and rows of one person on both sides, are not found (`splits.grouped` keeps these together).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from tuner.errors import DataError
from tuner.training.findings import Finding, Verdict
from tuner.training.labels import look_at_labels
from tuner.training.randomness import permutation
from tuner.training.task import Splits, Task

SAMPLE = 2000
"""Rows of a Dataset that are loaded."""
PREPARED = 10_000
"""Rows that are prepared, to look at their scale."""
FEW = 8
"""Rows without which a standard error says little."""
MANY = 0.01
"""The share of duplicates from which they are no accident."""


@dataclass(frozen=True)
class Seen:
    """The rows of one split that were looked at; `note` says of how many, where they are a sample."""

    name: str
    inputs: Tensor
    targets: Tensor
    note: str = ""


def find_leaks(splits: Splits, task: Task) -> list[Finding]:
    """Look at all that is said above, and tell what was found, one Finding for each question.

    `splits` is what `task.data()` gave. Raises DataError if a row of a Dataset is no pair of equally shaped tensors.
    """
    train, validation = _see("train", splits.train), _see("validation", splits.validation)
    measured = [validation, *(_see(name, pair) for name, pair in splits.also.items())]
    known = Counter(_contents(train.inputs))
    return [
        *(_shared(train, known, other) for other in measured),
        _repeated(train, known),
        *look_at_labels(train.targets, validation.targets, task.n_classes, train.note + validation.note),
        _not_finite([train, *measured]),
        _constant_columns(train),
        *_scales(task, train, validation),
    ]


def _see(name: str, rows: Any) -> Seen:
    if not isinstance(rows, Dataset):
        return _some(Seen(name, rows[0].cpu(), rows[1].cpu()))
    n = len(rows)  # type: ignore[arg-type]  # a map-style Dataset has a length
    chosen = permutation(n, 0, "leakage", name)[:SAMPLE].sort().values.tolist()
    try:
        inputs, targets = default_collate([rows[row] for row in chosen])
    except (IndexError, TypeError, ValueError, RuntimeError) as error:  # an empty Dataset has no first row
        raise DataError(
            f"the rows of the {name} Dataset do not make a batch: {error}",
            hint="Each must be a pair (input, target) of the same shapes and types.",
        ) from None
    note = f" ({len(chosen):,} of {n:,} rows of {name} looked at)" if len(chosen) < n else ""
    return _some(Seen(name, torch.as_tensor(inputs), torch.as_tensor(targets), note))


def _some(seen: Seen) -> Seen:
    if len(seen.inputs) == 0 or len(seen.inputs) != len(seen.targets):
        raise DataError(
            f"the {seen.name} split has {len(seen.inputs):,} inputs and {len(seen.targets):,} targets",
            hint="Task.data() must give as many targets as inputs, and at least one of each.",
        )
    return seen


def _contents(rows: Tensor) -> list[bytes]:
    """A digest of each row's bytes (BLAKE2b, 128 bits: no two rows of any data set share one by chance)."""
    flat = rows.detach().contiguous().reshape(len(rows), -1)
    return [hashlib.blake2b(row.data, digest_size=16).digest() for row in flat.view(torch.uint8).numpy()]


def _shared(train: Seen, known: Counter[bytes], other: Seen) -> Finding:
    check = f"rows of {other.name} that are in train, too"
    n, n_all = sum(content in known for content in _contents(other.inputs)), len(other.inputs)
    evidence = f"{n:,} of {n_all:,} ({n / n_all:.2%}){train.note}{other.note}"
    if n == 0:
        return Finding(check, Verdict.FINE, evidence)
    verdict = Verdict.WRONG if n / n_all >= MANY else Verdict.WARNING
    return Finding(check, verdict, evidence, f"Keep equal rows on one side: what {other.name} says is too good.")


def _repeated(train: Seen, known: Counter[bytes]) -> Finding:
    check = "rows that train has more than once"
    n, n_all = len(train.inputs) - len(known), len(train.inputs)
    evidence = f"{n:,} of {n_all:,} repeat another ({n / n_all:.2%}){train.note}"
    if n / n_all < MANY:
        return Finding(check, Verdict.FINE, evidence)
    return Finding(check, Verdict.WARNING, evidence, "Remove them, unless they are meant to weigh more.")


def _not_finite(seen: list[Seen]) -> Finding:
    check = "NaN and infinite numbers"
    counts = {
        f"{n:,} rows of {split.name}'s {what}{split.note}": n
        for split in seen
        for what, tensor in (("inputs", split.inputs), ("targets", split.targets))
        if (n := int((~tensor.isfinite()).reshape(len(tensor), -1).any(1).sum()))
    }
    if not counts:
        return Finding(check, Verdict.FINE, f"none{seen[0].note}{seen[1].note}")
    return Finding(check, Verdict.WRONG, ", ".join(counts), "Remove these rows, or fill in what is missing.")


def _constant_columns(train: Seen) -> Finding:
    check = "inputs that are the same in all rows of train"
    flat = train.inputs.reshape(len(train.inputs), -1)
    n, n_all = int((flat == flat[0]).all(0).sum()), flat.shape[1]
    evidence = f"{n:,} of {n_all:,}{train.note}"
    if n == n_all:
        return Finding(check, Verdict.WRONG, evidence, "There is nothing to learn from: look at how data is read.")
    if n > n_all / 2:
        return Finding(check, Verdict.WARNING, evidence, "They say nothing: remove them, or look at how data is read.")
    return Finding(check, Verdict.FINE, evidence)


def _scales(task: Task, train: Seen, validation: Seen) -> list[Finding]:
    """Whether prepared inputs are about normal, and whether both splits are prepared alike."""
    checks = ("scale of the prepared inputs", "train and validation are prepared alike")
    ours, theirs = (_prepared(task, split) for split in (train, validation))
    if not ours.is_floating_point():
        return [Finding(check, Verdict.SKIPPED, f"inputs of {ours.dtype} have no scale") for check in checks]
    if not bool(ours.isfinite().all() and theirs.isfinite().all()):
        return [Finding(check, Verdict.SKIPPED, "prepared inputs are not finite") for check in checks]
    return [_normalised(checks[0], ours, train.note), _alike(checks[1], ours, theirs, train.note + validation.note)]


def _prepared(task: Task, split: Seen) -> Tensor:
    """Rows as the model takes them, flat: (rows, numbers); float64 if they are floats."""
    rows = permutation(len(split.inputs), 0, "leakage", "prepared")[:PREPARED]
    with torch.no_grad():
        prepared = task.prepare(split.inputs[rows]).cpu()
    prepared = prepared.reshape(len(rows), -1)
    return prepared.double() if prepared.is_floating_point() else prepared


def _normalised(check: str, rows: Tensor, note: str) -> Finding:
    mean, std = rows.mean().item(), rows.std(correction=0).item()
    evidence = f"mean {mean:.3g}, standard deviation {std:.3g}{note}"
    if abs(mean) <= 0.5 and 0.5 <= std <= 2:
        return Finding(check, Verdict.FINE, evidence)
    remedy = "Inputs are not normalised: subtract train's mean and divide by its deviation, in the Task's prepare."
    return Finding(check, Verdict.WARNING, evidence, remedy)


def _alike(check: str, ours: Tensor, theirs: Tensor, note: str) -> Finding:
    """Whether means and mean squares of the rows differ: by more than five standard errors, and visibly."""
    std = ours.std(correction=0).item()
    apart = [
        _differ(ours.mean(1), theirs.mean(1), at_least=0.1 * std),
        _differ(ours.square().mean(1), theirs.square().mean(1), at_least=0.2 * ours.square().mean().item()),
    ]
    evidence = (
        f"mean {ours.mean().item():.3g} and {theirs.mean().item():.3g}, "
        f"standard deviation {std:.3g} and {theirs.std(correction=0).item():.3g}{note}"
    )
    if not any(apart):
        return Finding(check, Verdict.FINE, evidence)
    remedy = "Prepare both with train's statistics; if they are, the splits come from different data."
    return Finding(check, Verdict.WARNING, evidence, remedy)


def _differ(ours: Tensor, theirs: Tensor, at_least: float) -> bool:
    """Welch's statistic above 5, and a difference of more than `at_least`; not told of fewer than FEW rows."""
    if min(len(ours), len(theirs)) < FEW:
        return False
    apart = (ours.mean() - theirs.mean()).abs().item()
    squared_error = sum(float(side.var(correction=0)) / (len(side) - 1) for side in (ours, theirs))
    return apart > at_least and apart > 5 * squared_error**0.5
