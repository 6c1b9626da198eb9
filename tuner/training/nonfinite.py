"""Where a NaN or an infinity came from: the step that ended a trial, taken once more, with every module watched.

The guard halted at that step, so the weights are still those before it; its batch, and what dropout draws, are
functions of the trial's seed and the step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from tuner.errors import TrialFailed
from tuner.failures import out_of_memory
from tuner.records import FailureKind
from tuner.training.examples import Examples
from tuner.training.randomness import reseed, seeded
from tuner.training.regularisation import training_loss
from tuner.training.run import Run, Stretch
from tuner.training.variation import varied

UPDATED = (
    "the update before overflowed: the learning rate is too high, or unclipped; or a gradient before was not finite, "
    "which is seen at once where every norm is measured (clip_norm, or nonfinite: skip)"
)


def explain(run: Run, step: int) -> TrialFailed:
    """The failure of a trial whose guard halted at `step` (from 0): which module was first, and the likely cause."""
    epoch = step // run.steps_per_epoch + 1
    with seeded(run.device, run.seed, "explain"):
        batch = next(run.batches(Stretch(step, step + 1, epoch)))[0]
        try:
            place, cause = _diagnose(run, step, batch)
        except Exception as error:
            if not out_of_memory(error):
                raise
            place, cause = "a place unknown", "there was no memory left to take the step again and watch it"
    rate = run.learning_rates(Stretch(step, step + 1, epoch)).item()
    limit = run.settings.gradients.nonfinite_limit if run.settings.gradients.nonfinite != "fail" else 1
    times = "" if limit == 1 else f", the last of {limit} in a row"
    return TrialFailed(
        f"not finite at step {step + 1} (epoch {epoch}{times}): first in {place}; {cause}",
        kind=FailureKind.NON_FINITE,
        details=f"step {step + 1}, epoch {epoch}, lr {rate:g}, precision {run.precision.name}\n"
        f"first not finite: {place}\nlikely cause: {cause}\n",
    )


def _diagnose(run: Run, step: int, batch: Examples) -> tuple[str, str]:
    """(what was not finite first, why that may be)."""
    if not _finite(batch.inputs) or not _finite(run.task.prepare(batch.inputs)):
        return "the inputs", "the data holds NaN or infinite values, or Task.prepare makes them"
    if not _finite(batch.targets):
        return "the targets", "the data holds NaN or infinite values"
    for name, parameter in run.model.named_parameters():
        if not _finite(parameter):
            return f"the weights {name}", UPDATED
    found = _replay(run, step, batch, half=run.precision.is_half)
    if found is None:
        return "nothing in its replay", "the operation is not deterministic: it was finite the second time"
    if run.precision.is_half and _replay(run, step, batch, half=False) is None:
        return found, f"{run.precision.name} overflows there: the same step is finite in float32 (precision: fp32)"
    largest = max((parameter.detach().abs().max().item() for parameter in run.model.parameters()), default=math.nan)
    if largest > 1e4:
        return found, f"the weights have grown to {largest:.3g}: the learning rate is too high, or unclipped"
    return found, "a logarithm or root of 0, a division by 0, or an exponential too large: look at its arithmetic"


def _replay(run: Run, step: int, batch: Examples, *, half: bool) -> str | None:
    """Take the step's forward and backward pass again, by the micro-batches that it was taken in; the first place that
    is not finite, None if all is.
    """
    reseed(run.device, run.seed, "step", step, run.ranks.rank)
    run.streams.at_step(step)
    run.model.train()
    autocast = run.precision.autocast if half else nullcontext
    found: list[str] = []
    run.optimizer.zero_grad()
    mixed = varied(run, batch)
    progress = torch.tensor(step / run.total_steps, device=run.device)
    size = run.micro_size(len(batch))
    for number, part in enumerate(mixed.split(size)):
        run.streams.at_rows(number * size, len(part.inputs), len(batch))
        with _watched(run.model, found), autocast():
            outputs = run.task.forward(run.model, part.inputs, progress)
            loss = training_loss(run.task, outputs, part, run.settings.regularisation.label_smoothing)
        if found:
            return found[0]
        if not _finite(loss):
            return "the loss"
        torch.autograd.backward(run.precision.scaled(loss * (len(part.inputs) / len(batch))))
    with autocast():
        penalty = run.task.penalty(run.model)
    if penalty is not None:
        if not _finite(penalty):
            return "the penalty"
        torch.autograd.backward(run.precision.scaled(penalty))
    # Backward goes from the output to the input: the last module with such a gradient was the first.
    gradients = {name: parameter.grad for name, parameter in run.model.named_parameters()}
    bad = [name for name, gradient in gradients.items() if gradient is not None and not _finite(gradient)]
    run.optimizer.zero_grad()
    return f"the gradient of {bad[-1]}" if bad else None


@contextmanager
def _watched(model: nn.Module, found: list[str]) -> Iterator[None]:
    """Inside, the modules whose outputs are not finite are added to `found`, in the order in which they finish."""

    def watch(name: str) -> Any:
        def hook(module: nn.Module, _inputs: Any, outputs: Any) -> None:
            if any(not _finite(tensor) for tensor in _tensors(outputs)):
                found.append(f"the module {name or 'itself'} ({type(module).__name__})")

        return hook

    handles = [module.register_forward_hook(watch(name)) for name, module in model.named_modules()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _tensors(outputs: Any) -> Iterator[Tensor]:
    if isinstance(outputs, Tensor):
        yield outputs
    elif isinstance(outputs, tuple | list):
        for item in outputs:
            yield from _tensors(item)


def _finite(tensor: Tensor) -> bool:
    return bool(torch.isfinite(tensor).all()) if tensor.is_floating_point() else True
