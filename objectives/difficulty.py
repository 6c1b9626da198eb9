"""How hard a labelled row is to learn, for a curriculum: its distance to the mean of its class."""

from __future__ import annotations

import torch
from torch import Tensor


def distance_to_class_mean(inputs: Tensor, targets: Tensor, n_classes: int) -> Tensor:
    """‖xᵢ - mean{xⱼ : yⱼ = yᵢ}‖₂ for each row of `inputs` (rows, ...), with `targets` (rows,) in 0..n_classes-1.

    In the inputs' own unit (of bytes: 0 to 255 a pixel); float32 (rows,). A class without rows is nobody's.
    """
    rows = inputs.flatten(1).float()
    members = torch.bincount(targets, minlength=n_classes).clamp(min=1)
    sums = torch.zeros(n_classes, rows.shape[1], device=rows.device).index_add_(0, targets, rows)
    means = sums / members[:, None]
    distances: Tensor = torch.linalg.vector_norm(rows - means[targets], dim=1)
    return distances
