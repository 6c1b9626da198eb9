"""A probe: whether labels can be predicted from inputs at all, by ridge regression."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tuner.training.findings import Finding, Verdict

N_FEATURES = 256
"""Random ReLU features beside the inputs (Rahimi & Recht 2008): much that is not linear in the inputs is so in them."""
RIDGE = 1.0
TRAIN_SHARE = 0.7
CHECK = "labels and inputs"
REMEDY = "Were inputs or labels shuffled on their own? Or nothing simple tells them: then all is well."


@torch.no_grad()
def probe(inputs: Tensor, targets: Tensor, n_classes: int | None) -> Finding:
    """Fit ridge regression on a part of the rows (rows, ...), and see whether it beats chance on the others.

    Classes: accuracy against the share of the commonest class, by more than three standard errors. Numbers: R² above
    three standard errors of 0.
    """
    if not inputs.is_floating_point() or targets.ndim > 2 or len(inputs) < 50:
        return Finding(CHECK, Verdict.SKIPPED, f"inputs of {inputs.dtype}, targets {tuple(targets.shape)}")
    features = _features(inputs.flatten(1).float())
    n = int(TRAIN_SHARE * len(features))
    if n_classes is not None and targets.ndim == 1 and not targets.is_floating_point():
        wanted = torch.nn.functional.one_hot(targets.clamp(0, n_classes - 1), n_classes).float()
        guesses = _fitted(features, wanted, n).argmax(1)
        accuracy = (guesses == targets[n:]).float().mean().item()
        chance = torch.bincount(targets[n:].clamp(min=0)).max().item() / len(guesses)
        error = math.sqrt(chance * (1 - chance) / len(guesses))
        evidence = (
            f"a ridge probe is right on {accuracy:.1%} of {len(guesses)} rows, the commonest class on {chance:.1%}"
        )
        return _verdict(accuracy > chance + 3 * error, evidence)
    wanted = targets.reshape(len(targets), -1).float()
    residual = wanted[n:] - _fitted(features, wanted, n)
    r2 = 1 - (residual.square().sum() / (wanted[n:] - wanted[:n].mean(0)).square().sum()).item()
    return _verdict(r2 > 3 / math.sqrt(len(residual)), f"a ridge probe explains {r2:.1%} of the variance")


def _verdict(beats_chance: bool, evidence: str) -> Finding:
    return Finding(CHECK, Verdict.FINE, evidence) if beats_chance else Finding(CHECK, Verdict.WARNING, evidence, REMEDY)


def _features(inputs: Tensor) -> Tensor:
    scaled = (inputs - inputs.mean(0)) / (inputs.std(0) + 1e-6)
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(scaled.shape[1], N_FEATURES, generator=generator).to(scaled.device)
    hidden = torch.relu(scaled @ directions / math.sqrt(scaled.shape[1]) + torch.linspace(-1, 1, N_FEATURES).to(scaled))
    return torch.cat([scaled, hidden, torch.ones_like(scaled[:, :1])], 1)


def _fitted(features: Tensor, wanted: Tensor, n: int) -> Tensor:
    """Predictions for the rows from `n` on, by a fit on those before; in the dual form where rows are fewer."""
    x, y = features[:n].double(), wanted[:n].double()
    ridge = RIDGE * x.shape[1]
    kernel = x @ x.T + ridge * torch.eye(n, dtype=x.dtype, device=x.device)
    weights: Tensor = x.T @ torch.linalg.solve(kernel, y)
    return (features[n:].double() @ weights).float()
