"""Many configurations of one Task trained at once: the trainer's own training, vectorised over a stack of models.

A slot of the stack is a solo run of `tuner.training.train` with the same configuration and seed: the same first
weights, the same order of the rows, the same rates, clipping and update rule, the same rows for every measure. Only
the order of float32 sums differs, because products of matrices are batched.

Slots share the batch size and the model's shape; the model has no buffers and draws nothing at random; the trainer's
settings are those of KNOWN. Slots that come and go, checkpoints: none of that. This is for recording tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap

from tuner.records import Config
from tuner.training.clipping import clip_divisor
from tuner.training.curriculum import epoch_order
from tuner.training.data import EvaluationSet, open_data
from tuner.training.evaluation import evaluation_batch
from tuner.training.optimizer import decays
from tuner.training.randomness import seeded
from tuner.training.schedules import learning_rates
from tuner.training.settings import ScheduleSettings, TrainerSettings, groups
from tuner.training.task import Task

WARM_UP = 3
"""Steps that are taken one by one before the step is recorded as a CUDA graph: libraries choose their algorithms."""
KNOWN = {"batch_size", "optimizer", "weight_decay", "clip_norm", "cuda_graph", *ScheduleSettings.model_fields}
"""The trainer's settings that a stack knows, and slots may differ in all but the first two."""
METRICS = ("val_loss", "val_accuracy", "train_loss", "train_eval_loss")


class Stack:
    """One slot for each of `configs`, trained epoch by epoch over `horizon` epochs.

    `fast`: on a GPU, the update is compiled and the step recorded as a CUDA graph.
    """

    def __init__(
        self, task: Task, configs: Sequence[Config], seeds: Sequence[int], *, horizon: int, device: str, fast: bool
    ) -> None:
        _check(configs)
        settings = [TrainerSettings.from_config(config) for config in configs]
        (self.batch_size,) = {each.batches.batch_size for each in settings}
        self.task, self.seeds, self.device, self.fast = task, seeds, torch.device(device), fast
        self.data = open_data(task, self.device, settings[0].batches, seed=0, threads=1)
        self.n_full, self.rest = divmod(len(self.data.train), self.batch_size)
        assert self.n_full > 0
        assert self.rest != 1, "the trainer lets a last batch of one row join the batch before it"
        self.optimizer = settings[0].optimizer
        total_steps = horizon * (self.n_full + (self.rest > 0))
        steps = torch.arange(total_steps)
        rates = [learning_rates(each.schedule, steps, total_steps, self.batch_size) for each in settings]
        self.rates = torch.stack(rates, dim=1).to(self.device)  # (steps, slots)
        self.clip_norm = self._column([each.gradients.clip_norm or torch.inf for each in settings])

        models = [_first_model(task, config, seed) for config, seed in zip(configs, seeds, strict=True)]
        decayed = decays(models[0], self.optimizer)
        self.parameters = {name: _stacked(models, name).to(self.device) for name in decayed}
        self.model = models[0].to(self.device)  # its structure: the weights come from the stack
        self.moments = [{name: torch.zeros_like(p) for name, p in self.parameters.items()} for _ in range(2)]
        weight_decay = self._column([each.optimizer.weight_decay for each in settings])
        self.weight_decay = {name: weight_decay * decay for name, decay in decayed.items()}

        self.epoch = 0
        self.clock = torch.zeros(1, dtype=torch.int64, device=self.device)  # steps taken
        self.position = torch.zeros(1, dtype=torch.int64, device=self.device)  # steps taken in this epoch
        self.rows = torch.zeros((self.n_full, len(seeds), self.batch_size), dtype=torch.int64, device=self.device)
        self.loss_sum = torch.zeros(len(seeds), dtype=torch.float64, device=self.device)
        self.halted = torch.zeros(len(seeds), dtype=torch.bool, device=self.device)
        self.graph: torch.cuda.CUDAGraph | None = None

    def train(self, n_epochs: int) -> Iterator[dict[str, Tensor]]:
        """Train so many epochs more; after each, METRICS of every slot (slots,), float64 on the CPU.

        NaN from the epoch on in which a loss or gradient norm was not finite: there the trainer fails the trial.
        """
        with ThreadPoolExecutor(1) as pool:  # draws the next epoch's orders while the GPU trains
            coming = pool.submit(self._draw, self.epoch + 1)
            for left in reversed(range(n_epochs)):
                orders, self.epoch = coming.result(), self.epoch + 1
                if left:
                    coming = pool.submit(self._draw, self.epoch + 1)
                yield self._epoch(orders.to(self.device))

    def _draw(self, epoch: int) -> Tensor:
        """The order in which each slot reads the rows in `epoch` (from 1): (slots, rows)."""
        n = len(self.data.train)
        return torch.stack([epoch_order(n, seed, epoch, None, 1.0) for seed in self.seeds])

    def _epoch(self, orders: Tensor) -> dict[str, Tensor]:
        full, rest = orders.split([self.n_full * self.batch_size, self.rest], dim=1)
        self.rows.copy_(full.unflatten(1, (self.n_full, self.batch_size)).transpose(0, 1))
        self.position.zero_()
        self.loss_sum.zero_()
        for _ in range(self.n_full):
            self._full_step()
        if self.rest:
            self._step(rest)
        values = {"train_loss": self.loss_sum / len(self.data.train)}
        values |= {f"val_{name}": value for name, value in self._measure(self.data.validation).items()}
        values["train_eval_loss"] = self._measure(self.data.train_subset)["loss"]
        return {name: values[name].masked_fill(self.halted, torch.nan).cpu() for name in METRICS}

    def _full_step(self) -> None:
        """A step of a full batch: on a GPU the recorded one, once the first few have been taken."""
        if self.graph is not None:
            self.graph.replay()
            return
        if not self.fast:
            self._next_step()
            return
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            self._next_step()
        torch.cuda.current_stream().wait_stream(side)
        if int(self.clock) >= WARM_UP:
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):
                self._next_step()

    def _next_step(self) -> None:
        self._step(self.rows.index_select(0, self.position).squeeze(0))

    @torch.no_grad()
    def _step(self, rows: Tensor) -> None:
        """One update of every slot on its own `rows` (slots, batch). Brings nothing to the host."""
        batch = self.data.train.take(rows.flatten())
        inputs, targets = (part.unflatten(0, rows.shape) for part in (batch.inputs, batch.targets))
        gradients, losses = vmap(grad_and_value(self._loss))(self.parameters, inputs, targets)
        norms = [torch.linalg.vector_norm(gradient.flatten(1), dim=1) for gradient in gradients.values()]
        norm = torch.linalg.vector_norm(torch.stack(norms), dim=0)
        self.halted.logical_or_(~torch.isfinite(losses + norm))
        self.loss_sum.add_(losses.double() * rows.shape[1])
        lr = self.rates.index_select(0, self.clock).squeeze(0)
        self.clock.add_(1)
        self.position.add_(1)
        betas = {"beta1": self.optimizer.beta1, "beta2": self.optimizer.beta2}
        corrections = [(1 - beta ** self.clock.double()).float() for beta in betas.values()]
        divisor = clip_divisor(norm, self.clip_norm)
        update = _compiled_adamw() if self.fast else adamw
        state = self.parameters, gradients, *self.moments
        update(*state, corrections, lr, self.weight_decay, divisor, eps=self.optimizer.eps, **betas)

    def _loss(self, parameters: Mapping[str, Tensor], inputs: Tensor, targets: Tensor) -> Tensor:
        return self.task.loss(self._forward(parameters, inputs), targets)

    def _forward(self, parameters: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        model = partial(functional_call, self.model, parameters)
        return self.task.forward(model, self.task.prepare(inputs), None)

    @torch.no_grad()
    def _measure(self, examples: EvaluationSet) -> dict[str, Tensor]:
        """Loss and metrics of every slot over `examples`: means, (slots,) float64."""

        def measures(parameters, inputs, targets):
            outputs = self._forward(parameters, inputs)
            return {"loss": self.task.loss(outputs, targets), **self.task.metrics(outputs, targets)}

        totals: dict[str, Tensor] = {}
        for part in examples.batches(evaluation_batch(self.device)):
            means = vmap(measures, in_dims=(0, None, None))(self.parameters, part.inputs, part.targets)
            for name, mean in means.items():
                totals[name] = totals.get(name, 0) + mean.double() * len(part)
        return {name: total / len(examples) for name, total in totals.items()}

    def _column(self, values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float32, device=self.device)


def adamw(parameters, gradients, firsts, seconds, corrections, lr, weight_decay, divisor, *, beta1, beta2, eps):
    """`tuner.training.update_rules.adamw` in place, with a rate, a decay and a divisor of its own for each slot.

    The bias corrections come in as scalars, so that the compiled update does not work them out for every weight.
    """
    for name, parameter in parameters.items():
        slots = (-1, *[1] * (parameter.ndim - 1))
        gradient = gradients[name] / divisor.view(slots)
        first = beta1 * firsts[name] + (1 - beta1) * gradient
        second = beta2 * seconds[name] + (1 - beta2) * gradient * gradient
        direction = (first / corrections[0]) / (torch.sqrt(second / corrections[1]) + eps)
        decay = lr * weight_decay[name]
        parameter.copy_(parameter * (1 - decay.view(slots)) - lr.view(slots) * direction)
        firsts[name].copy_(first)
        seconds[name].copy_(second)


@cache
def _compiled_adamw():
    return torch.compile(adamw, dynamic=False)


def _check(configs: Sequence[Config]) -> None:
    """Raise ValueError for a setting of the trainer's that would be ignored."""
    theirs = {name for group in groups().values() for name in group.model_fields}
    for config in configs:
        if unknown := sorted(theirs & config.keys() - KNOWN):
            raise ValueError(f"a stack does not know {', '.join(unknown)}")
        if config.get("optimizer", "adamw") != "adamw":
            raise ValueError(f"a stack trains by adamw alone, got {config['optimizer']}")


def _first_model(task: Task, config: Config, seed: int) -> nn.Module:
    """The model that the trainer starts from."""
    with seeded(torch.device("cpu"), seed, "weights"):
        model = task.model(config)
    assert not list(model.buffers()), "a stack has no buffers"
    return model


def _stacked(models: Sequence[nn.Module], name: str) -> Tensor:
    return torch.stack([model.get_parameter(name).detach() for model in models])
