"""What can be seen of a classification's labels: their range, the classes that are missing, and the rarest."""

from __future__ import annotations

import torch
from torch import Tensor

from tuner.training.findings import Finding, Verdict

IGNORED = -100
"""What torch's cross-entropy leaves out, by default."""
RARE = 0.1
"""A class with less than this share of the commonest one's rows is rare."""


def look_at_labels(train: Tensor, validation: Tensor, n_classes: int | None, note: str) -> list[Finding]:
    """Three findings about targets (rows, ...); `note` is added to their evidence. Skipped without `n_classes`."""
    checks = ("labels", "classes in both splits", "balance of the classes")
    if n_classes is None:
        return [Finding(check, Verdict.SKIPPED, "the Task does not say n_classes") for check in checks]
    valid = _valid(checks[0], (train, validation), n_classes, note)
    if valid.verdict is Verdict.WRONG:
        return [valid, *(Finding(check, Verdict.SKIPPED, "the labels are wrong") for check in checks[1:])]
    ours, theirs = _counts(train, n_classes), _counts(validation, n_classes)
    return [valid, _missing(checks[1], ours, theirs, note), _balance(checks[2], ours, note)]


def _counts(targets: Tensor, n_classes: int) -> Tensor:
    return torch.bincount(targets[targets != IGNORED].long(), minlength=n_classes)


def _valid(check: str, sides: tuple[Tensor, Tensor], n_classes: int, note: str) -> Finding:
    for name, targets in zip(("train", "validation"), sides, strict=True):
        if targets.is_floating_point() or targets.is_complex() or targets.dtype == torch.bool:
            evidence = f"{name} has targets of {targets.dtype}{note}"
            return Finding(check, Verdict.WRONG, evidence, f"Give whole numbers of 0 to {n_classes - 1}, as int64.")
        wrong = targets[((targets < 0) | (targets >= n_classes)) & (targets != IGNORED)]
        if len(wrong):
            evidence = f"{len(wrong):,} of {name} are outside 0..{n_classes - 1}, such as {int(wrong[0])}{note}"
            return Finding(check, Verdict.WRONG, evidence, "Correct the labels, or the Task's n_classes.")
    n_ignored = sum(int((targets == IGNORED).sum()) for targets in sides)
    ignored = f", {n_ignored:,} ignored ({IGNORED})" if n_ignored else ""
    return Finding(check, Verdict.FINE, f"all are whole numbers of 0 to {n_classes - 1}{ignored}{note}")


def _missing(check: str, train: Tensor, validation: Tensor, note: str) -> Finding:
    untaught = ((train == 0) & (validation > 0)).nonzero().flatten().tolist()
    if untaught:
        evidence = f"train has no row of {_named(untaught)}, but validation has{note}"
        return Finding(check, Verdict.WRONG, evidence, "Split the rows by class: tuner.training.splits.stratified.")
    unjudged = ((train > 0) & (validation == 0)).nonzero().flatten().tolist()
    unseen = ((train == 0) & (validation == 0)).nonzero().flatten().tolist()
    if not (unjudged or unseen):
        return Finding(check, Verdict.FINE, f"all {len(train):,} are in both{note}")
    told = ((unjudged, "validation has no row of"), (unseen, "neither split has a row of"))
    evidence = "; ".join(f"{what} {_named(classes)}" for classes, what in told if classes)
    remedy = "Split the rows by class, with more of them in validation." if unjudged else "Correct n_classes."
    return Finding(check, Verdict.WARNING, evidence + note, remedy)


def _balance(check: str, counts: Tensor, note: str) -> Finding:
    present = counts[counts > 0]
    if len(present) == 0:
        return Finding(check, Verdict.SKIPPED, f"train has no label{note}")
    rarest, commonest = int(present.min()), int(present.max())
    evidence = f"{rarest:,} of the rarest in train, {commonest:,} of the commonest{note}"
    if rarest >= RARE * commonest:
        return Finding(check, Verdict.FINE, evidence)
    remedy = "Accuracy will hide the rare ones: weigh the loss, or choose by a metric that counts classes alike."
    return Finding(check, Verdict.WARNING, evidence, remedy)


def _named(classes: list[int]) -> str:
    shown = ", ".join(map(str, classes[:5])) + (", ..." if len(classes) > 5 else "")
    return f"{len(classes):,} classes ({shown})" if len(classes) > 1 else f"class {shown}"
