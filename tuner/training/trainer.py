"""The trainer: one Task, one configuration, one process, on CPU or GPU. Reads top to bottom like a training script.

What a report carries, of what DESIGN.md promises; always plain floats:

    axes       epoch, step, samples
    speed      seconds, samples_per_second, data_wait; memory_peak_mib on a GPU only
    fit        train_loss, train_eval_loss, val_loss, gap, and val_<name> for each of the task's metrics
    dynamics   lr, grad_norm_p50/p90/p99/max, clip_rate, update_ratio, weight_norm, nonfinite_steps

Not yet there: loss_scale and skipped_steps, which come with mixed precision (the model's own number type is used
throughout), and the points of the step-level curves (loss, learning rate, gradient norm) within an epoch.

A loss that turns NaN ends nothing here: the epoch runs to its end and the report says NaN.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from tuner.errors import CheckpointError
from tuner.objective import TrialHandle
from tuner.records import Config
from tuner.training.clipping import clip_divisor, global_norm, norms
from tuner.training.data import DeviceData, Examples, device_data, epoch_batches, n_batches
from tuner.training.dynamics import Dynamics, is_sampled, memory_peak_mib, needs_norm, to_floats, update_ratio
from tuner.training.evaluation import evaluate
from tuner.training.optimizer import Optimizer
from tuner.training.randomness import cpu_threads, seeded
from tuner.training.schedules import learning_rates
from tuner.training.settings import TrainerSettings
from tuner.training.task import Task


def train(task: Task, config: Config, trial: TrialHandle, *, measure: bool = True) -> None:
    """Train `task` with `config` from epoch `trial.start` to `trial.until`, reporting after each epoch.

    The report's checkpoint holds all it takes to go on: on the CPU a resumed run is the uninterrupted one, bit for bit.
    The learning rate's schedule is laid out over `trial.horizon` epochs. `measure=False` leaves gradient norms and
    update ratios out (for measuring what they cost). Raises SpecError for a wrong setting, DataError, CheckpointError,
    and lets `StopTrial` pass.
    """
    settings = TrainerSettings.from_config(config)
    device = torch.device(trial.device)
    with cpu_threads(trial.threads):
        data = device_data(task, device)
        with seeded(device, trial.seed, "weights"):
            model = task.model(config).to(device)
        optimizer = Optimizer(model, settings)
        job = _Job(task, settings, trial.seed, device, data, model, optimizer, trial.horizon, measure)
        job.resume(trial.start, trial.checkpoint)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        for epoch in range(trial.start + 1, trial.until + 1):
            with seeded(device, trial.seed, "epoch", epoch):  # dropout, and whatever else the model draws
                metrics = train_epoch(job, epoch) | validate(job)
            trial.report(epoch, checkpoint=partial(job.checkpoint, epoch), **metrics)


@dataclass(frozen=True)
class _Job:
    """What a segment works with."""

    task: Task
    settings: TrainerSettings
    seed: int
    device: torch.device
    data: DeviceData
    model: nn.Module
    optimizer: Optimizer
    horizon: int
    measure: bool

    @property
    def steps_per_epoch(self) -> int:
        return n_batches(len(self.data.train), self.settings.batch_size)

    def learning_rates(self, epoch: int) -> Tensor:
        """The rate of each step of an epoch (counted from 1), on the device."""
        steps = torch.arange((epoch - 1) * self.steps_per_epoch, epoch * self.steps_per_epoch)
        return learning_rates(self.settings, steps, self.horizon * self.steps_per_epoch).to(self.device)

    def checkpoint(self, epoch: int) -> dict[str, Any]:
        """The state after `epoch`, copied: training on does not change it. Steps and order follow from the epoch."""
        weights = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}
        return {"epoch": epoch, "model": weights, "optimizer": self.optimizer.state_dict()}

    def resume(self, start: int, checkpoint: Mapping[str, Any] | None) -> None:
        """Put model and optimizer where they were after epoch `start`; nothing to do at 0."""
        if start == 0:
            return
        if checkpoint is None or checkpoint.get("epoch") != start:
            found = "there is none" if checkpoint is None else f"it is of epoch {checkpoint.get('epoch')}"
            raise CheckpointError(f"going on after epoch {start} takes its checkpoint, but {found}")
        try:
            self.model.load_state_dict(checkpoint["model"])
        except RuntimeError as error:
            raise CheckpointError(f"the checkpoint does not fit the model: {error}") from None
        self.optimizer.load_state_dict(checkpoint["optimizer"])


def train_epoch(job: _Job, epoch: int) -> dict[str, float]:
    """One pass over the training data. Returns the epoch's axes, speed, rate and dynamics (see DESIGN.md, reports)."""
    dynamics = Dynamics()
    rates = job.learning_rates(epoch)
    batches = epoch_batches(job.data.train, job.settings.batch_size, job.seed, epoch)
    started = time.perf_counter()
    job.model.train()
    for step in range(job.steps_per_epoch):
        asked = time.perf_counter()
        batch = next(batches)
        dynamics.data_seconds += time.perf_counter() - asked
        train_step(job, step, batch, rates[step], dynamics)
    summary = dynamics.summary(job.settings.clip_norm)  # waits for the device
    seconds = time.perf_counter() - started
    return {
        "epoch": float(epoch),
        "step": float(epoch * job.steps_per_epoch),
        "samples": float(epoch * len(job.data.train)),
        "seconds": seconds,
        "samples_per_second": len(job.data.train) / seconds,
        "data_wait": dynamics.data_seconds / seconds,
        "lr": float(rates[-1]),
        **summary,
    }


def train_step(job: _Job, step: int, batch: Examples, lr: Tensor, dynamics: Dynamics) -> None:
    """Step `step` (from 0) of an epoch: forward, backward, clip, update. What is measured stays on the device."""
    optimizer, clip_norm = job.optimizer, job.settings.clip_norm

    optimizer.zero_grad()
    outputs = job.model(job.task.prepare(batch.inputs))
    loss = job.task.loss(outputs, batch.targets)
    torch.autograd.backward(loss)

    divisor = None
    if clip_norm is not None or (job.measure and needs_norm(step, clip_norm)):
        gradient_norms = norms(optimizer.gradients())
        if clip_norm is not None:
            divisor = clip_divisor(torch.linalg.vector_norm(gradient_norms), clip_norm)
        if job.measure:
            dynamics.gradient_norms[step] = gradient_norms

    sampled = job.measure and is_sampled(step, job.steps_per_epoch)
    before = [parameter.detach().clone() for parameter in optimizer.parameters] if sampled else []
    optimizer.step(lr, divisor)
    if sampled:
        dynamics.update_ratios.append(update_ratio(before, [p.detach() for p in optimizer.parameters]))

    dynamics.losses.append(loss.detach())
    dynamics.sizes.append(len(batch))


def validate(job: _Job) -> dict[str, float]:
    """Both sides of the gap in evaluation mode, the task's metrics on the validation split, and the weights' norm."""
    validation = evaluate(job.task, job.model, job.data.validation)
    train_loss = evaluate(job.task, job.model, job.data.train_subset)["loss"]
    values = {f"val_{name}": value for name, value in validation.items()}
    values["train_eval_loss"] = train_loss
    values["gap"] = validation["loss"] - train_loss
    values["weight_norm"] = global_norm([parameter.detach() for parameter in job.optimizer.parameters])
    return to_floats(values) | memory_peak_mib(job.device)
