"""Questions to a task before a study is paid for: would a careful person start training this?

Each check is a small function of a `Bench`: the task, a configuration, a few rows. It tells what it found, with its
numbers; nothing here trains longer than OVERFIT_SECONDS.
"""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from tuner.errors import TunerError
from tuner.records import Config
from tuner.training.backends import cpu_threads
from tuner.training.dynamics import needs_norm
from tuner.training.examples import Examples
from tuner.training.findings import Finding, Verdict
from tuner.training.leakage import find_leaks
from tuner.training.probe import probe
from tuner.training.randomness import permutation, seeded
from tuner.training.ranks import ALONE
from tuner.training.run import Run, Stretch, open_run
from tuner.training.task import Task
from tuner.training.trainer import train_step

ROWS = 1000
"""Rows of a batch that is looked at."""
OVERFIT_ROWS, OVERFIT_STEPS, OVERFIT_SECONDS = 16, 300, 30.0
TIMED_STEPS = 20


@dataclass(frozen=True)
class Bench:
    """What the checks work with; `model` makes a new one each time, always with the same weights."""

    task: Task
    config: Config
    run: Run
    rows: Examples
    model: Callable[[], nn.Module]

    def outputs(self, model: nn.Module, rows: Examples) -> Tensor:
        """The model's outputs for `rows`."""
        return self.task.forward(model, self.task.prepare(rows.inputs), None)

    def loss(self, model: nn.Module, rows: Examples) -> Tensor:
        """The task's loss on `rows`."""
        return self.task.loss(self.outputs(model, rows), rows.targets)


@dataclass(frozen=True)
class Preflight:
    """What was found, and how many seconds an epoch's steps take (NaN where something went wrong before)."""

    findings: list[Finding]
    seconds_per_epoch: float
    steps_per_epoch: int


@dataclass
class _Trial:
    """The `trial` of a run that reports nothing: see tuner.objective.TrialHandle."""

    device: str
    threads: int
    seed: int
    number: int = 0
    start: int = 0
    until: int = 1
    horizon: int = 1
    unit: str = "epoch"
    gpus: int = 0
    checkpoint: dict[str, Any] | None = None
    folder: Path = Path()

    def report(self, *_: object, **__: object) -> None: ...
    def attach(self, **_: object) -> None: ...
    def pace(self, seconds: float) -> None: ...
    def abandon(self, reason: str) -> NoReturn:
        raise RuntimeError(reason)


def preflight(task: Task, config: Config, *, device: str = "cpu", threads: int = 1, seed: int = 0) -> Preflight:
    """Ask everything of `task` with `config`. Raises SpecError and DataError as training would."""
    trial = _Trial(device, threads, seed)
    with cpu_threads(threads), seeded(torch.device(device), seed, "preflight"):
        run = open_run(task, config, trial, ALONE, measure=True)
        try:
            order = permutation(len(run.data.train), seed, "preflight")[:ROWS]
            rows = next(iter(run.data.train.batches([order], 0)))

            def model() -> nn.Module:
                with seeded(run.device, seed, "weights"):
                    return task.model(config).to(run.device)

            bench = Bench(task, config, run, rows, model)
            findings = find_leaks(task.data(), task)
            if all(finding.verdict is not Verdict.WRONG for finding in findings):  # labels out of range end a GPU
                findings += [_asked(check, bench) for check in CHECKS]
            if any(finding.verdict is Verdict.WRONG for finding in findings):
                return Preflight(findings, math.nan, run.steps_per_epoch)  # what cannot be trained takes no time
            step, seconds = step_time(bench)
            return Preflight([*findings, step], seconds * run.steps_per_epoch, run.steps_per_epoch)
        finally:
            run.data.close()


def _asked(check: Callable[[Bench], Finding], bench: Bench) -> Finding:
    """What `check` found; where the task's own code fails in it, that is what was found."""
    try:
        return check(bench)
    except TunerError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a task's code raises
        evidence = traceback.format_exception_only(error)[-1].strip()
        return Finding(check.__name__.replace("_", " "), Verdict.WRONG, evidence, "Training would end like this.")


@torch.no_grad()
def initial_loss(bench: Bench) -> Finding:
    """A fresh classifier knows nothing: its loss is about ln(classes)."""
    loss = bench.loss(bench.model().eval(), bench.rows).item()
    if not math.isfinite(loss):
        return Finding("initial loss", Verdict.WRONG, f"it is {loss}", "Look for NaN in the inputs, and at the loss.")
    if bench.task.n_classes is None:
        return Finding("initial loss", Verdict.SKIPPED, f"it is {loss:.4g}; the task names no n_classes")
    chance = math.log(bench.task.n_classes)
    evidence = f"{loss:.3f}, where ln({bench.task.n_classes}) = {chance:.3f}"
    if 0.7 * chance < loss < 1.5 * chance:
        return Finding("initial loss", Verdict.FINE, evidence)
    remedy = "Scale the output layer's first weights down." if loss > chance else "Does the model see its targets?"
    return Finding("initial loss", Verdict.WARNING, evidence, remedy)


def one_batch(bench: Bench) -> Finding:
    """A model that cannot learn a handful of rows by heart will not learn anything."""
    rows = Examples(bench.rows.inputs[:OVERFIT_ROWS], bench.rows.targets[:OVERFIT_ROWS])
    model = bench.model().train()
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=3e-3, weight_decay=0.0)
    first = last = math.nan
    began = time.perf_counter()
    for step in range(OVERFIT_STEPS):
        loss = bench.loss(model, rows)
        last = loss.item()
        first = last if step == 0 else first
        if last < 0.1 * first or time.perf_counter() - began > OVERFIT_SECONDS:
            break
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    evidence = f"{len(rows)} rows by heart: the loss went from {first:.4g} to {last:.4g} in {step + 1} steps of AdamW"
    if last < 0.5 * first:
        return Finding("one batch", Verdict.FINE, evidence)
    remedy = "The loss does not fit the outputs, gradients are cut off, or the inputs carry nothing."
    return Finding("one batch", Verdict.WRONG, evidence, remedy)


def gradients(bench: Bench) -> Finding:
    """Every parameter that is trained gets a gradient."""
    model = bench.model().train()
    torch.autograd.backward(bench.loss(model, bench.rows))
    trained = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.requires_grad}
    cut = [name for name, gradient in trained.items() if gradient is None]
    still = [name for name, gradient in trained.items() if gradient is not None and not gradient.any()]
    if cut:
        remedy = "Use it in forward, without detach or no_grad, or set requires_grad to False."
        return Finding("gradients", Verdict.WRONG, f"none reaches {_listed(cut)}", remedy)
    if still:
        return Finding("gradients", Verdict.WARNING, f"all zero in {_listed(still)}", "Dead units, or zero weights?")
    return Finding("gradients", Verdict.FINE, f"all {len(trained)} parameters get one")


@torch.no_grad()
def weights(bench: Bench) -> Finding:
    """Units that begin alike stay alike: no weight matrix is all zero, nor all its rows the same."""
    matrices = [
        (name, parameter.flatten(1)) for name, parameter in bench.model().named_parameters() if parameter.ndim > 1
    ]
    zero = [name for name, matrix in matrices if not matrix.any()]
    alike = [name for name, matrix in matrices if len(matrix) > 1 and name not in zero and (matrix == matrix[0]).all()]
    if not zero and not alike:
        return Finding("first weights", Verdict.FINE, f"{len(matrices)} matrices, none zero or of equal rows")
    evidence = "; ".join([f"all zero: {_listed(zero)}"] * bool(zero) + [f"equal rows: {_listed(alike)}"] * bool(alike))
    # an output layer of zeros is sometimes meant: gradients reach it, and the others from the second step on
    only_last = zero == [matrices[-1][0]] and not alike
    remedy = "Draw them at random, as torch's modules do by default."
    return Finding("first weights", Verdict.WARNING if only_last else Verdict.WRONG, evidence, remedy)


@torch.no_grad()
def loss_fits_outputs(bench: Bench) -> Finding:
    """Cross-entropy wants logits, the negative log-likelihood log-probabilities."""
    name = "loss and outputs"
    outputs = bench.outputs(bench.model().eval(), bench.rows)
    if bench.task.n_classes is None or outputs.ndim < 2 or outputs.shape[1] != bench.task.n_classes:
        return Finding(
            name, Verdict.SKIPPED, f"outputs {tuple(outputs.shape)} of a task with n_classes {bench.task.n_classes}"
        )
    outputs = outputs.double()
    if (outputs >= 0).all() and torch.allclose(outputs.sum(1), torch.ones_like(outputs[:, 0]), atol=1e-4):
        evidence = "each row of outputs is a probability distribution already"
        return Finding(name, Verdict.WRONG, evidence, "Leave the softmax out: cross-entropy takes logits.")
    loss, shifted = (bench.task.loss(values, bench.rows.targets).item() for values in (outputs, outputs + 1))
    is_log = torch.allclose(outputs.exp().sum(1), torch.ones_like(outputs[:, 0]), atol=1e-4)
    if math.isclose(loss - shifted, 1.0, abs_tol=1e-3) and not is_log:
        evidence = f"adding 1 to all outputs lowers the loss by {loss - shifted:.3f}, and they are no log-probabilities"
        return Finding(name, Verdict.WRONG, evidence, "Use cross_entropy, or end the model with log_softmax.")
    return Finding(name, Verdict.FINE, "log-probabilities" if is_log else "logits")


def labels_belong(bench: Bench) -> Finding:
    """Rows and labels belong together: something simple predicts the one from the other better than chance."""
    inputs = bench.task.prepare(bench.rows.inputs)
    return probe(inputs, bench.rows.targets, bench.task.n_classes)


CHECKS: tuple[Callable[[Bench], Finding], ...] = (
    initial_loss,
    loss_fits_outputs,
    weights,
    gradients,
    one_batch,
    labels_belong,
)


def step_time(bench: Bench) -> tuple[Finding, float]:
    """How long a training step takes, and what it holds in memory: the finding, and the seconds."""
    run = bench.run
    run.model.train()
    size = min(run.settings.batches.batch_size, len(bench.rows))
    batch = Examples(bench.rows.inputs[:size], bench.rows.targets[:size])
    lr = run.learning_rates(Stretch(0, 1, 1))[0]
    seconds = []
    for step in range(TIMED_STEPS):
        began = time.perf_counter()
        train_step(run, batch, size, lr, needs_norm(step))
        if run.device.type == "cuda":
            torch.cuda.synchronize(run.device)
        seconds.append(time.perf_counter() - began)
    median = sorted(seconds)[len(seconds) // 2]
    n_weights = sum(parameter.numel() for parameter in run.model.parameters())
    evidence = f"{median * 1e3:.2f} ms for {size} samples, {n_weights:,} weights, {run.steps_per_epoch} steps an epoch"
    if run.device.type == "cuda":
        evidence += f", {torch.cuda.max_memory_allocated(run.device) / 2**20:,.0f} MiB of GPU memory at most"
    return Finding("a step", Verdict.FINE, evidence), median


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown
