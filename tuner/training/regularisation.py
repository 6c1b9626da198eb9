"""What acts on the training loss alone: mixup and label smoothing. Evaluation is never mixed nor smoothed."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Gamma

from tuner.errors import SpecError
from tuner.training.settings import RegularisationSettings
from tuner.training.task import Task


class Mixed(NamedTuple):
    """A training batch after mixup: `inputs` (rows, ...), the rows' own `targets`, and their partners' targets.

    `share` (λ, a scalar of float32) is how much of a row is its own. `partners` and `share` are None without mixup.
    """

    inputs: Tensor
    targets: Tensor
    partners: Tensor | None = None
    share: Tensor | None = None

    def split(self, size: int) -> list[Mixed]:
        """The batch in parts of at most `size` rows, without copying: a row's partner may lie in another part."""
        inputs, targets = torch.split(self.inputs, size), torch.split(self.targets, size)
        if self.partners is None:
            return [Mixed(*part) for part in zip(inputs, targets, strict=True)]
        parts = zip(inputs, targets, torch.split(self.partners, size), strict=True)
        return [Mixed(*part, self.share) for part in parts]


def check_regularisation(task: Task, settings: RegularisationSettings) -> None:
    """Raise SpecError where the settings ask for what the task does not have: classes to spread a label over."""
    if settings.label_smoothing and task.n_classes is None:
        raise SpecError(
            f"{type(task).__name__} says of no classes that its loss is a cross-entropy over them, "
            f"got {settings.label_smoothing}",
            path="label_smoothing",
            hint="Set n_classes in the Task, if it classifies; otherwise leave label_smoothing at 0.",
        )


def mix(inputs: Tensor, targets: Tensor, alpha: float) -> Mixed:
    """Mixup (Zhang et al. 2018): each row becomes λ·row + (1-λ)·partner, partners being a permutation of the batch.

    One λ ~ Beta(α, α) for the batch, as in the authors' program; α = 0 is off. Draws from the default generator of
    the inputs' device, without waiting for it. Raises SpecError for inputs that are not floats, such as tokens.
    """
    if alpha == 0:
        return Mixed(inputs, targets)
    if not inputs.is_floating_point():
        raise SpecError(
            f"inputs of {inputs.dtype} have no weighted mean, got {alpha}",
            path="mixup",
            hint="Set mixup: 0, or let the Task's prepare turn inputs into floats.",
        )
    share = _beta(alpha, inputs.device)
    # Keys to sort by, because randperm of a GPU cannot be recorded for every size. A tie harms nothing.
    partners = torch.rand(len(inputs), device=inputs.device).argsort(stable=True)
    mixed = inputs * share + inputs.index_select(0, partners) * (1 - share)
    return Mixed(mixed, targets, targets.index_select(0, partners), share)


def _beta(alpha: float, device: torch.device) -> Tensor:
    """A draw from Beta(α, α): a scalar of float32 on `device`.

    Of X, Y ~ Gamma(α), X / (X + Y), with Gamma(α) = Gamma(α+1)·U^(1/α) in logarithms (Marsaglia & Tsang 2000, section
    6): for a small α both X and Y are below any float.
    """
    alpha = max(alpha, 1e-6)  # as good as 0, where every λ is 0 or 1, and keeps log(u)/α finite
    ones = torch.ones(2, dtype=torch.float64, device=device)
    larger = Gamma(ones * (alpha + 1), ones, validate_args=False).sample()
    uniform = 1 - torch.rand(2, dtype=torch.float64, device=device)  # in (0, 1]
    logs = larger.log() + uniform.log() / alpha
    return torch.sigmoid(logs[0] - logs[1]).float()


def training_loss(task: Task, outputs: Tensor, mixed: Mixed, label_smoothing: float) -> Tensor:
    """The loss that is trained on: λ·loss(targets) + (1-λ)·loss(partners), each smoothed; a scalar with a gradient.

    Smoothing (Szegedy et al. 2016, section 7): (1-ε)·loss + ε·mean over the classes of -log p, as torch's cross_entropy
    has it where the task's loss is the plain one. `outputs` (rows, n_classes, ...) are logits; targets outside the
    classes (such as torch's ignore_index) are left out of the mean. Raises SpecError if outputs have another shape.
    """
    uniform = _uniform_cross_entropy(task, outputs) if label_smoothing else None
    loss = _smoothed(task, outputs, mixed.targets, uniform, label_smoothing)
    if mixed.partners is None or mixed.share is None:
        return loss
    return mixed.share * loss + (1 - mixed.share) * _smoothed(task, outputs, mixed.partners, uniform, label_smoothing)


def smoothed_loss(task: Task, outputs: Tensor, targets: Tensor, epsilon: float | Tensor) -> Tensor:
    """The smoothed loss of a batch that is not mixed; `epsilon` may be a tensor, as where slots have one each."""
    return _smoothed(task, outputs, targets, _uniform_cross_entropy(task, outputs), epsilon)


def _uniform_cross_entropy(task: Task, outputs: Tensor) -> Tensor:
    """The mean over the classes of -log p: (rows, ...)."""
    if outputs.ndim < 2 or outputs.shape[1] != task.n_classes:
        raise SpecError(
            f"takes outputs (rows, {task.n_classes}, ...), but the model's are {tuple(outputs.shape)}",
            path="label_smoothing",
            hint="Correct the Task's n_classes or its forward, or set label_smoothing: 0.",
        )
    wide = torch.float32 if outputs.dtype in (torch.float16, torch.bfloat16) else outputs.dtype
    return -torch.log_softmax(outputs, 1, dtype=wide).mean(1)


def _smoothed(task: Task, outputs: Tensor, targets: Tensor, uniform: Tensor | None, epsilon: float | Tensor) -> Tensor:
    loss = task.loss(outputs, targets)
    if uniform is None or task.n_classes is None:
        return loss
    counted = (targets >= 0) & (targets < task.n_classes)
    spread = uniform.masked_fill(~counted, 0.0).sum() / counted.sum()
    return (1 - epsilon) * loss + epsilon * spread
