"""Whether a trial fuses: which part of its settings or its model prevents it, and what to do."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import nn

from tuner.records import Config
from tuner.training.data import open_data
from tuner.training.dropout import Streams, named_streams, placed_dropout, stacked_rates, step_streams, stream_key
from tuner.training.examples import Examples
from tuner.training.lanes.program import BatchLoss, Measures, gradients_and_losses, measures
from tuner.training.lanes.structure import Structure, structure
from tuner.training.randomness import seeded
from tuner.training.regularisation import Mixed, training_loss
from tuner.training.settings import TrainerSettings, groups
from tuner.training.task import Task

REFUSED = {
    "micro_batch": None,
    "freeze": 0,
    "lookahead": None,
    "averaging": "none",
    "clip_value": None,
    "skip_above": None,
    "nonfinite": "fail",
    "noise_scale": False,
    "precision": "fp32",
    "mixup": 0.0,
    "rotate": 0.0,
    "shift": 0.0,
}
"""The trainer's mechanisms that a lane does not have, each with its value when it is off. Whether a trial has several
ranks hangs on its GPUs, too, and is looked at when it is placed.
"""
SOLO = "or train it alone: executor: ray or local"
TRIED = 16
"""Rows that a task is tried on."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One thing that keeps a trial out of a lane: what it is, and what to do."""

    what: str
    remedy: str


def obstacles(
    task: Task, config: Config, *, device: str = "cpu", fused: set[Structure] | None = None
) -> list[Obstacle]:
    """What prevents a trial of `task` with `config` from being fused on `device`; nothing if it fuses.

    The model is tried on a few rows: its fused loss and gradients, padding included, are held against its own. What
    torch can fuse hangs on the device; where there is no GPU, the CPU stands in for it. `fused` remembers the
    structures that were found to fuse, which are not tried again. Raises SpecError for a wrong setting, DataError.
    """
    settings = TrainerSettings.from_config(config)
    found = setting_obstacles(settings)
    if found:
        return found
    place = torch.device(device if torch.cuda.is_available() else "cpu")
    rows = open_data(task, place, settings.batches, seed=0, threads=1).train
    if not isinstance(rows, Examples):
        return [Obstacle("the training data is a Dataset", f"give tensors in Task.data, {SOLO}")]
    before = dict(vars(task))
    with seeded(place, 0, "weights"):
        models = [placed_dropout(task.model(config).to(place)) for _ in range(3)]
    if problem := changed(task, before) or _kind_of_model(models[0]):
        return [problem]
    own = structure(config, settings, models[0])
    if fused is not None and own in fused:
        return []
    with seeded(place, 0, "fusible"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "There is a performance drop")  # where vmap takes slots one by one
        found = _trial_run(task, models, settings, rows)
    if fused is not None and not found:
        fused.add(own)
    return found


def changed(task: Task, before: Mapping[str, Any]) -> Obstacle | None:
    """That making a model has changed the task, whose attributes were `before`: the next trial's would, too."""
    now = vars(task)
    names = [name for name in now if name not in before or now[name] is not before[name]]
    if not names:
        return None
    return Obstacle(f"Task.model sets {names[0]} of the task, which all trials share", f"keep it in the model, {SOLO}")


def setting_obstacles(settings: TrainerSettings) -> list[Obstacle]:
    """The mechanisms that are on and that a lane does not have."""
    on = [
        name
        for group, names in _refused_of().items()
        for name in names
        if getattr(getattr(settings, group), name) != REFUSED[name]
    ]
    found = [Obstacle(f"{name} is not fused yet", f"set {name}: {_yaml(REFUSED[name])}, {SOLO}") for name in on]
    if (settings.distributed.ranks or 1) > 1:
        found.append(Obstacle("ranks train a trial on several processes", f"leave ranks out, {SOLO}"))
    return found


@cache
def _refused_of() -> dict[str, list[str]]:
    """The names in REFUSED, by the group of settings they belong to."""
    return {group: [name for name in REFUSED if name in part.model_fields] for group, part in groups().items()}


def _yaml(value: object) -> str:
    return "null" if value is None else str(value).lower()


def _kind_of_model(model: nn.Module) -> Obstacle | None:
    for name, module in model.named_modules():
        if getattr(module, "track_running_stats", False):
            remedy = f"use LayerNorm or GroupNorm, {SOLO}"
            return Obstacle(f"{name} ({type(module).__name__}) changes its running statistics in place", remedy)
        if module._forward_hooks or module._forward_pre_hooks or module._backward_hooks:
            return Obstacle(f"{name or 'the model'} has hooks", f"leave them out, {SOLO}")
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad or parameter.dtype != torch.float32:
            kind = f"of {parameter.dtype}" if parameter.requires_grad else "not trained"
            return Obstacle(f"the parameter {name} is {kind}", f"train all parameters, in float32, {SOLO}")
    return None


def _trial_run(task: Task, models: list[nn.Module], settings: TrainerSettings, rows: Examples) -> list[Obstacle]:
    """Two models as two slots on a few rows from all over the data, the second with fewer than the first; the third
    model is for evaluation.
    """
    n = min(len(rows), TRIED)
    sizes = [n, max(1, n - 2)]
    chosen = torch.arange(n, device=rows.inputs.device)
    places = torch.linspace(0, len(rows) - 1, n, device=chosen.device).long()
    batch = rows.take(places[torch.cat([chosen, torch.where(chosen < sizes[1], chosen, 0)])])
    inputs, targets = (part.reshape(2, n, *part.shape[1:]) for part in (batch.inputs, batch.targets))
    epsilon = settings.regularisation.label_smoothing
    progress = torch.full((2,), 0.5, device=rows.inputs.device)
    expected = []
    *models, judged = models
    for seed, (model, size, own_inputs, own_targets) in enumerate(zip(models, sizes, inputs, targets, strict=True)):
        Streams(model, seed, 0, rows.inputs.device).at_step(0)
        before = {name: buffer.clone() for name, buffer in model.named_buffers()}
        mixed = Mixed(task.augment(task.prepare(own_inputs[:size])), own_targets[:size])
        loss = training_loss(task, task.forward(model, mixed.inputs, progress[0]), mixed, epsilon)
        penalty = task.penalty(model)
        loss = loss if penalty is None else loss + penalty
        gradients = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
        for name, buffer in model.named_buffers():
            if not torch.equal(buffer, before[name]):
                return [Obstacle(f"the forward pass changes the buffer {name}", f"keep no state in the model, {SOLO}")]
        for (name, _), gradient in zip(model.named_parameters(), gradients, strict=True):
            if gradient is None:
                return [Obstacle(f"the parameter {name} gets no gradient", f"leave it out of the model, {SOLO}")]
        expected.append([loss.detach(), *(g for g in gradients if g is not None)])

    tensors = [{**dict(m.named_parameters()), **dict(m.named_buffers())} for m in models]
    stacked = {name: torch.stack([own[name].detach() for own in tensors]) for name in tensors[0]}
    names = [name for name, _ in models[0].named_parameters()]
    parameters = {name: stacked.pop(name) for name in names}
    counted = torch.stack([chosen < size for size in sizes])
    smoothing = torch.full((2,), epsilon, device=chosen.device) if epsilon else None

    try:
        fused = (inputs, targets, progress, smoothing, counted)
        keys = torch.tensor([stream_key(seed) for seed in range(2)], device=chosen.device)
        own_rates = {name: each.to(chosen.device) for name, each in stacked_rates(models).items()}
        streams = named_streams(models[0], step_streams(keys, torch.zeros_like(keys)), own_rates)
        rest = {**stacked, **streams}
        fused_gradients, losses = gradients_and_losses(BatchLoss(task, models[0]), parameters, rest, fused)
        measures(Measures(task, judged).eval(), {**parameters, **stacked}, inputs[0], targets[0])
    except Exception as error:  # noqa: BLE001  (whatever torch or the task's own code raises under vmap)
        said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        remedy = f"draw nothing at random (but by nn.Dropout) and let no number decide what is computed, {SOLO}"
        if "atching rule" in said:
            remedy = f"use another layer, {SOLO}"
        return [Obstacle(f"the task does not run under torch.func.vmap: {said}", remedy)]
    for slot in range(2):
        found = [losses[slot], *(fused_gradients[name][slot] for name in names)]
        for ours, theirs in zip(found, expected[slot], strict=True):
            if not torch.allclose(ours, theirs, rtol=1e-3, atol=1e-6):
                what = "the loss of a batch is not the mean of its rows' losses, or rows look at each other"
                return [Obstacle(what, f"let Task.loss be a plain mean over rows, {SOLO}")]
    return []
