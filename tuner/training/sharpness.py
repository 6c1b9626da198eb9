"""How sharp a minimum is: the loss's rise within a relative distance, and the largest eigenvalue of its Hessian.

Both are of the mean loss over given examples (at most the first MAX_ROWS) in evaluation mode: dropout is off and batch
statistics are the running ones. The model is left as it was, its gradients included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from tuner.errors import TrialFailed
from tuner.failures import out_of_memory
from tuner.seeds import derive_seed
from tuner.training.examples import Examples
from tuner.training.task import Task

MAX_ROWS = 5000
"""Rows that are looked at: the mean over so many hardly differs from that over all, at two passes each time."""

Parameters = list[nn.Parameter]
BatchLoss = Callable[[Examples], Tensor]


class Rows(Protocol):
    """Examples that can be had batch by batch, as an EvaluationSet's."""

    def batches(self, size: int) -> Iterator[Examples]:
        """All rows in their order, `size` at a time."""
        ...


def sharpness(task: Task, model: nn.Module, examples: Rows, radius: float, batch: int = 1000) -> Tensor:
    """L(w + ε) - L(w), a float64 scalar on the device: the rise of the loss by an adversarial step of relative size.

    For each trained tensor i, ε_i = radius · ‖w_i‖ · g_i / ‖g_i‖ with g the gradient of L at w. That is the step that
    raises the linearised loss most under ‖ε_i‖ ≤ radius · ‖w_i‖, the ascent step of SAM (Foret et al. 2021, eq. 2) in
    one ball per tensor instead of one over all weights. SAM's measure changes when a layer is scaled and the next one
    scaled back, which changes no output; ASAM (Kwon et al. 2021) measures each weight by its own size against that,
    and this each tensor by its norm, which also does away with it and lets no single large weight take all. A tensor
    that is zero, or has no gradient, stays.

    The loss of `batch` rows is computed at a time. The weights are put back bit for bit.
    """
    parts = _first_rows(examples, batch)
    with _evaluating(task, model) as (parameters, loss_of), torch.enable_grad():
        loss, gradients = _loss_and_gradients(loss_of, parameters, parts)
        before = [parameter.detach().clone() for parameter in parameters]
        try:
            with torch.no_grad():
                for parameter, gradient in zip(parameters, gradients, strict=True):
                    parameter.add_(_ascent(parameter, gradient, radius))
                return _mean_loss(loss_of, parts) - loss
        finally:
            with torch.no_grad():
                for parameter, value in zip(parameters, before, strict=True):
                    parameter.copy_(value)


def top_hessian_eigenvalue(
    task: Task, model: nn.Module, examples: Rows, *, iterations: int = 30, batch: int = 1000, seed: int = 0
) -> Tensor:
    """The eigenvalue of the loss's Hessian over the trained weights that is largest in absolute value, with its sign.

    A float64 scalar on the device, by power iteration (v ← Hv / ‖Hv‖, then λ = vᵀHv) from a random vector that belongs
    to `seed`. Hv comes from differentiating twice (Pearlmutter 1994), `batch` rows at a time, so that the Hessian is
    never held. The error falls with (λ₂ / λ₁)^(2 · iterations); where two are equal but for their signs, the result
    lies between them.

    Raises TrialFailed where a part of the model cannot be differentiated twice. Attention is computed by its plain
    formula, and RNNs without cudnn, for which it can.
    """
    parts = _first_rows(examples, batch)
    with _evaluating(task, model, twice=True) as (parameters, loss_of), torch.enable_grad():
        generator = torch.Generator().manual_seed(derive_seed(seed, "hessian"))
        vector = _normalised(
            [torch.randn(p.shape, generator=generator, dtype=p.dtype).to(p.device) for p in parameters]
        )
        for _ in range(iterations - 1):
            vector = _normalised(_hessian_times(vector, loss_of, parameters, parts))
        return _dot(vector, _hessian_times(vector, loss_of, parameters, parts))


def _first_rows(examples: Rows, batch: int) -> list[Examples]:
    """What is looked at, loaded once."""
    parts: list[Examples] = []
    n_rows = 0
    for part in examples.batches(batch):
        parts.append(Examples(part.inputs[: MAX_ROWS - n_rows], part.targets[: MAX_ROWS - n_rows]))
        n_rows += len(parts[-1])
        if n_rows == MAX_ROWS:
            break
    return parts


@contextmanager
def _evaluating(task: Task, model: nn.Module, *, twice: bool = False) -> Iterator[tuple[Parameters, BatchLoss]]:
    """The trained parameters, and the mean loss of a batch; inside, the model is in evaluation mode."""
    modes = {module: module.training for module in model.modules()}
    model.eval()

    def loss_of(part: Examples) -> Tensor:
        return task.loss(task.forward(model, task.prepare(part.inputs), None), part.targets)

    try:
        with ExitStack() as stack:
            if any(isinstance(module, nn.RNNBase) for module in modes):
                # cudnn's have no second derivative, and in evaluation mode no first one.
                stack.enter_context(torch.backends.cudnn.flags(enabled=False))
            if twice:
                stack.enter_context(sdpa_kernel(SDPBackend.MATH))
            yield [parameter for parameter in model.parameters() if parameter.requires_grad], loss_of
    finally:
        for module, was_training in modes.items():
            module.training = was_training


def _loss_and_gradients(
    loss_of: BatchLoss, parameters: Parameters, parts: list[Examples]
) -> tuple[Tensor, Sequence[Tensor]]:
    """The mean loss (float64) and its gradient."""
    total = torch.zeros((), dtype=torch.float64, device=parameters[0].device)
    gradients = [torch.zeros_like(parameter) for parameter in parameters]
    n_rows = sum(map(len, parts))
    for part in parts:
        loss = loss_of(part)
        new = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
        torch._foreach_add_(gradients, new, alpha=len(part) / n_rows)
        total += loss.detach().double() * (len(part) / n_rows)
    return total, gradients


def _mean_loss(loss_of: BatchLoss, parts: list[Examples]) -> Tensor:
    n_rows = sum(map(len, parts))
    return torch.stack([loss_of(part).double() * (len(part) / n_rows) for part in parts]).sum()


def _ascent(weights: Tensor, gradient: Tensor, radius: float) -> Tensor:
    size, slope = torch.linalg.vector_norm(weights), torch.linalg.vector_norm(gradient)
    return gradient * torch.where(slope > 0, radius * size / slope, 0.0)


def _hessian_times(
    vector: list[Tensor], loss_of: BatchLoss, parameters: Parameters, parts: list[Examples]
) -> list[Tensor]:
    products = [torch.zeros_like(parameter) for parameter in parameters]
    n_rows = sum(map(len, parts))
    for part in parts:
        new = _batch_hessian_times(vector, loss_of(part), parameters)
        torch._foreach_add_(products, list(new), alpha=len(part) / n_rows)
    return products


def _batch_hessian_times(vector: list[Tensor], loss: Tensor, parameters: Parameters) -> Sequence[Tensor]:
    try:
        gradients = torch.autograd.grad(loss, parameters, create_graph=True, allow_unused=True, materialize_grads=True)
        # A gradient that is constant in the weights, as of a linear loss, belongs to no graph and adds nothing.
        varying = [(g, v) for g, v in zip(gradients, vector, strict=True) if g.requires_grad]
        if not varying:
            return [torch.zeros_like(parameter) for parameter in parameters]
        outputs, weights = zip(*varying, strict=True)
        _check_twice_differentiable(outputs)
        return torch.autograd.grad(outputs, parameters, weights, allow_unused=True, materialize_grads=True)
    except RuntimeError as error:
        if out_of_memory(error):
            raise
        raise TrialFailed(
            f"the Hessian needs a second derivative that a part of the model does not have: {error}",
            kind="exception",
            hint="Set hessian: false, or compute that part with plain operations.",
        ) from None


def _check_twice_differentiable(gradients: Sequence[Tensor]) -> None:
    """Raise RuntimeError where torch would leave a function's curvature out: one that is marked as differentiable once
    cuts the graph, and what lies behind it counts as constant.
    """
    seen: set[torch.autograd.graph.Node] = set()
    waiting = [gradient.grad_fn for gradient in gradients]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            if node.name() == "torch::autograd::Error":
                raise RuntimeError("one of its functions is marked as once_differentiable")
            waiting += [following for following, _ in node.next_functions]


def _dot(one: list[Tensor], other: list[Tensor]) -> Tensor:
    return torch.stack([(a.double() * b.double()).sum() for a, b in zip(one, other, strict=True)]).sum()


def _normalised(vector: list[Tensor]) -> list[Tensor]:
    norm = _dot(vector, vector).sqrt()
    scale = torch.where(norm > 0, 1 / norm, 0.0)
    return [part * scale.to(part.dtype) for part in vector]
