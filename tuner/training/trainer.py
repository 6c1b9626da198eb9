"""The trainer: one Task, one configuration. Reads top to bottom like a training script.

What a report carries; always plain floats:

    axes       epoch, step, samples
    speed      seconds, samples_per_second, data_wait; memory_peak_mib on a GPU only
    fit        train_loss, train_eval_loss, val_loss, gap, val_<name> for each of the task's metrics, and the same for
               its further examples; overfitting_from, once it is found; sharpness and hessian_top at the trial's end
    dynamics   lr, grad_norm_p50/p90/p99/max, clip_rate, clip_norm_recommended, update_ratio, weight_norm, loss_scale,
               skipped_steps, nonfinite_steps, noise_scale

The steps themselves (loss, learning rate, gradient norm, loss scale) go along as curves, and what happened as events.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial

import torch
from torch import Tensor

from tuner.objective import TrialHandle
from tuner.records import Config
from tuner.training import buffers, dynamics
from tuner.training.backends import cpu_threads, gpu_arithmetic
from tuner.training.clipping import clip_divisor, clip_values, global_norm
from tuner.training.dynamics import StepLog
from tuner.training.evaluation import evaluate, evaluation_batch
from tuner.training.examples import Examples
from tuner.training.fitting import fitting_evaluation, fitting_step, may_repeat
from tuner.training.graph import Stepper, make_stepper
from tuner.training.guard import CHECK_EVERY
from tuner.training.nonfinite import explain
from tuner.training.pace import Pace
from tuner.training.randomness import reseed, seeded
from tuner.training.ranks import ALONE, Ranks
from tuner.training.regularisation import training_loss
from tuner.training.run import Run, Stretch, open_run
from tuner.training.settings import TrainerSettings
from tuner.training.sharpness import sharpness, top_hessian_eigenvalue
from tuner.training.stopping import overfitting_onset
from tuner.training.task import Task
from tuner.training.variation import varied
from tuner.training.watchdog import Watchdog


def train(task: Task, config: Config, trial: TrialHandle, *, measure: bool = True, ranks: Ranks | None = None) -> None:
    """Train `task` with `config` from resource `trial.start` to `trial.until`, reporting on the way.

    A report's checkpoint holds all it takes to go on: on the CPU a resumed run is the uninterrupted one, bit for bit.
    Schedules are laid out over `trial.horizon`. `measure=False` leaves out gradient norms that decide nothing, and
    update ratios (for measuring what they cost). `ranks` are the processes that train together, this one among them;
    None finds out how many the settings and the trial's GPUs ask for, and starts them.

    Raises SpecError for a wrong setting, DataError, CheckpointError, TrialFailed; lets `StopTrial` pass.
    """
    settings = TrainerSettings.from_config(config)
    if ranks is None:
        from tuner.training.distributed import n_ranks, train_on_ranks

        if (n := n_ranks(settings.distributed, trial)) > 1:
            return train_on_ranks(task, config, trial, n, measure=measure)
    device, tf32 = torch.device(trial.device), settings.precision.precision == "tf32"
    with cpu_threads(trial.threads), gpu_arithmetic(device, tf32=tf32, constant_shapes=True):
        run = open_run(task, config, trial, ranks or ALONE, measure=measure)
        try:
            run.resume(trial.start, trial.checkpoint)
            _train(run, trial)
        finally:
            run.data.close()


def _train(run: Run, trial: TrialHandle) -> None:
    if run.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(run.device)
    step = make_stepper(run, train_step)
    pace = Pace(run, trial)
    for stretch in run.stretches(trial.start, trial.until):
        if run.patience.spent:
            return
        with Watchdog(run.settings.measuring.step_timeout, trial.abandon) as watchdog:
            with seeded(run.device, run.seed, "stretch", stretch.first):
                metrics = train_stretch(run, stretch, step, watchdog, pace)
            watchdog.step("evaluation")
            with seeded(run.device, run.seed, "evaluation", stretch.resource, run.ranks.rank):
                metrics |= validate(run, stretch.resource)
        trial.attach(curves=run.curves, events=run.events)
        run.events = []
        trial.report(stretch.resource, checkpoint=partial(run.checkpoint, stretch.resource), **metrics)


def train_stretch(run: Run, stretch: Stretch, step_once: Stepper, watchdog: Watchdog, pace: Pace) -> dict[str, float]:
    """The steps up to the next report. Returns the axes, the speed and the dynamics."""
    log = StepLog.of(stretch.last - stretch.first, run.device)
    rates = run.learning_rates(stretch)
    started = time.perf_counter()
    run.model.train()
    for part in run.epochs(stretch):
        run.begin_epoch(part.resource)
        batches = run.batches(part)
        for step in range(part.first, part.last):
            watchdog.step(f"step {step}")
            asked = time.perf_counter()
            batch, n_samples = next(batches)
            log.data_seconds += time.perf_counter() - asked

            sampled = run.measure and dynamics.is_sampled(step, stretch.last - 1)
            if sampled:
                run.update_ratio.before()
            reseed(run.device, run.seed, "step", step, run.ranks.rank)
            run.streams.at_step(step)
            measured = sampled or (run.measure and dynamics.needs_norm(step))
            row = step_once(batch, n_samples, rates[step - stretch.first], measured)
            run.averages.after_step(step, (step + 1) / run.total_steps)

            log.add(row, n_samples, run.micro_size(len(batch)))
            if sampled:
                log.update_ratios.append(run.update_ratio.after())
            if (step + 1) % CHECK_EVERY == 0:
                look(run)
            pace.after_step(step)
        next(batches, None)  # to its end: a loader that is left half way ends its workers
    look(run)
    return summarise(run, stretch, log, rates, started)


def train_step(run: Run, batch: Examples, n_samples: int, lr: Tensor, measured: bool) -> Tensor:
    """One update on this rank's share of a batch of `n_samples`: forward, backward, clip, update.

    Returns the step's row of the log. Nothing here waits for the device, so that a GPU can record it as a graph.
    """
    clip_norm, clip_value = run.settings.gradients.clip_norm, run.settings.gradients.clip_value

    kept = buffers.keep(run.model) if run.goes_on_after_a_skip or may_repeat(run) else []
    loss, small_norm = fitting_step(run, kept, len(batch), partial(backward, run, batch, n_samples))
    gradients = run.optimizer.gradients()

    norm = divisor = None
    if measured or run.needs_every_norm:
        norm = run.precision.unscaled(global_norm(gradients))
    if clip_value is not None:
        clip_values(gradients, clip_value, run.precision.scale if run.precision.scales else None)
    if clip_norm is not None and norm is not None:
        passing = norm if clip_value is None else run.precision.unscaled(global_norm(gradients))
        divisor = clip_divisor(passing, clip_norm)
    if run.precision.scales:
        divisor = run.precision.scale if divisor is None else divisor * run.precision.scale

    # Ranks see losses of their own, but the same gradients: by these they decide alike.
    common = loss if run.ranks.alone or norm is None else norm
    verdict = run.guard.judge(common, norm, scales=run.precision.scales)
    run.optimizer.step(lr, divisor, verdict.skip)
    if run.goes_on_after_a_skip:
        buffers.put_back(kept, verdict.skip)
    row = dynamics.row(loss, norm, small_norm, run.precision.scale, verdict.skip, verdict.nonfinite)
    run.precision.update(verdict.overflow)
    run.clock.add_(1)
    return row


def backward(run: Run, batch: Examples, n_samples: int) -> tuple[Tensor, Tensor | None]:
    """Leave the gradient of the batch's loss (times the loss scale) in the parameters, micro-batch by micro-batch.

    Returns this rank's share of the loss (the ranks' shares add up to it), and the gradient norm of the first
    micro-batch where the noise scale is measured.
    """
    task, settings = run.task, run.settings
    mixed = varied(run, batch)
    progress = run.clock / run.total_steps

    losses = []
    small_norm = None
    size = run.micro_size(len(batch))
    parts = mixed.split(size)
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        run.streams.at_rows(number * size, len(part.inputs), len(batch))
        with nullcontext() if last else run.ranks.accumulating(run.network):
            with run.precision.autocast():
                outputs = task.forward(run.network, part.inputs, progress)
                loss = training_loss(task, outputs, part, settings.regularisation.label_smoothing)
                penalty = task.penalty(run.model) if last else None
            share = len(part.inputs) / len(batch)
            loss = scaled(loss, share) if penalty is None else scaled(loss, share) + penalty
            weight = run.ranks.weight(len(batch), n_samples)
            torch.autograd.backward(run.precision.scaled(scaled(loss, weight)))
        losses.append(scaled(loss.detach(), weight / run.ranks.size))
        if number == 0 and settings.gradients.noise_scale:
            small_norm = run.precision.unscaled(global_norm(run.optimizer.gradients())) / share
    return (losses[0] if len(losses) == 1 else torch.stack(losses).sum()), small_norm


def scaled(loss: Tensor, factor: float) -> Tensor:
    """The loss times `factor`; itself where that is 1, which spares a kernel."""
    return loss if factor == 1.0 else loss * factor


def look(run: Run) -> None:
    """Let the host see what the device has found, and act on it: the one place that waits for it between reports.

    Raises TrialFailed if the guard has halted the run.
    """
    told = torch.cat([run.guard.told(), torch.stack([run.precision.overflows.double(), run.clock.double()])])
    halted, since, nonfinite, overflows, clock = told.tolist()  # one transfer
    step = int(clock)
    if halted:
        raise explain(run, step - 1 - int(since))
    if run.precision.overflowed_for_good(overflows):
        run.happened(f"step {step}: {overflows:.0f} overflows in a row, {run.precision.fall_back()}")
    lowers = run.settings.gradients.nonfinite == "lower_precision" and run.precision.is_half
    if lowers and nonfinite > run.nonfinite_seen:
        before = run.precision.name
        run.precision.become("fp32")
        run.happened(f"step {step}: not finite, precision: {before} -> fp32")
    run.nonfinite_seen = int(nonfinite)


def summarise(run: Run, stretch: Stretch, log: StepLog, rates: Tensor, started: float) -> dict[str, float]:
    """The stretch in numbers; its curves go along with the next report."""
    log.rows[:, 0] = run.ranks.sum(log.rows[:, 0].contiguous())
    columns = log.read()
    seconds = time.perf_counter() - started
    n_samples = sum(log.sizes)
    values = {
        "epoch": stretch.last / run.steps_per_epoch,
        "step": float(stretch.last),
        "samples": float(run.samples(stretch.last)),
        "seconds": seconds,
        "samples_per_second": n_samples / seconds,
        "data_wait": log.data_seconds / seconds,
        "lr": float(rates[-1]),
        "loss_scale": columns["loss_scale"][-1].item(),
    }
    values |= dynamics.summary(columns, log.sizes, run.settings.gradients.clip_norm)
    if log.update_ratios:
        values["update_ratio"] = torch.stack(log.update_ratios).double().mean().item()
    if run.settings.gradients.noise_scale:
        values["noise_scale"] = dynamics.noise_scale(columns, log.sizes, log.small_sizes)
    if (recommended := run.recommend_clip_norm(values.get("grad_norm_p90"))) is not None:
        values["clip_norm_recommended"] = recommended
    points = dynamics.POINTS * -(-(stretch.last - stretch.first) // run.steps_per_epoch)
    run.curves = dynamics.curves(columns, rates, stretch.first, points)
    return values


def validate(run: Run, resource: int) -> dict[str, float]:
    """Both sides of the gap in evaluation mode, the task's metrics, the weights' norm; by averaged weights, if so."""
    largest = max(len(rows) for rows in (run.data.validation, run.data.train_subset, *run.data.also.values()))
    batch = min(largest, run.settings.measuring.evaluation_batch or evaluation_batch(run.device))
    return conclude(run, resource, fitting_evaluation(run, batch, resource, partial(measured, run, resource)))


def conclude(run: Run, resource: int, floats: dict[str, float]) -> dict[str, float]:
    """What was measured at `resource`, with what follows from it and the reports before."""
    run.patience.update(resource, floats["val_loss"])
    run.history.append([float(resource), floats["train_eval_loss"], floats["val_loss"]])
    resources, train_losses, val_losses = ([point[column] for point in run.history] for column in range(3))
    onset = overfitting_onset(resources, train_losses, val_losses)
    found = {} if onset is None else {"overfitting_from": float(onset)}
    return floats | found | dynamics.memory_peak_mib(run.device)


def measured(run: Run, resource: int, batch: int) -> dict[str, float]:
    """What `validate` measures by the evaluated weights, `batch` rows at a time."""
    run.streams.at_evaluation(resource)
    with run.averages.evaluated():
        on = partial(evaluate, run.task, run.model, batch=batch, autocast=run.precision.autocast, ranks=run.ranks)
        validation = on(run.data.validation)
        train_loss = on(run.data.train_subset)["loss"]
        further = {name: on(examples) for name, examples in run.data.also.items()}
        values = named_measures(validation, train_loss, further)
        values["weight_norm"] = global_norm([parameter.detach() for parameter in run.optimizer.parameters])
        if resource == run.horizon:
            values |= flatness(run, batch)
    return dynamics.to_floats(values)


def named_measures(
    validation: Mapping[str, Tensor], train_loss: Tensor, further: Mapping[str, Mapping[str, Tensor]]
) -> dict[str, Tensor]:
    """What was measured in evaluation mode, by the names that a report has for it."""
    values = {f"val_{name}": value for name, value in validation.items()}
    values |= {"train_eval_loss": train_loss, "gap": validation["loss"] - train_loss}
    return values | {f"{name}_{key}": value for name, part in further.items() for key, value in part.items()}


def flatness(run: Run, batch: int) -> dict[str, Tensor]:
    """How sharp the minimum is that the trial ended in, where that is asked for."""
    measuring, values = run.settings.measuring, {}
    if measuring.sharpness is not None:
        values["sharpness"] = sharpness(run.task, run.model, run.data.train_subset, measuring.sharpness, batch)
    if measuring.hessian:
        values["hessian_top"] = top_hessian_eigenvalue(
            run.task, run.model, run.data.train_subset, batch=batch, seed=run.seed
        )
    return values
