"""Run: what a segment of a trial works with, where it stands, and its checkpoint."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from tuner.errors import CheckpointError, SpecError
from tuner.objective import TrialHandle
from tuner.records import Config
from tuner.training.averaging import Averages
from tuner.training.curriculum import epoch_order, open_share
from tuner.training.data import TaskData, batch_rows, n_batches, open_data
from tuner.training.dropout import Streams, placed_dropout
from tuner.training.dynamics import UpdateRatio
from tuner.training.examples import Examples
from tuner.training.guard import Guard
from tuner.training.layers import set_frozen
from tuner.training.optimizer import Optimizer
from tuner.training.precision import Precision
from tuner.training.randomness import seeded
from tuner.training.ranks import Ranks
from tuner.training.regularisation import check_regularisation
from tuner.training.room import Room, note_of, place_of
from tuner.training.schedules import learning_rates
from tuner.training.settings import TrainerSettings
from tuner.training.stopping import Patience
from tuner.training.task import Task


class Stretch(NamedTuple):
    """Steps `first` (inclusive) to `last` (exclusive), counted from 0 over the whole trial; a report follows them."""

    first: int
    last: int
    resource: int


@dataclass
class Run:
    """One trial on one process. The mechanisms are parts; `trainer.train_step` is where they meet."""

    task: Task
    settings: TrainerSettings
    seed: int
    device: torch.device
    unit: str
    horizon: int
    data: TaskData
    model: nn.Module
    network: nn.Module
    """The model as training calls it: compiled, or under DDP, if so."""
    optimizer: Optimizer
    update_ratio: UpdateRatio
    averages: Averages
    precision: Precision
    streams: Streams
    guard: Guard
    patience: Patience
    ranks: Ranks
    room: Room
    measure: bool
    clock: Tensor
    """The steps taken or skipped so far: int64 on the device."""
    trainable: frozenset[str]
    curves: dict[str, tuple[float, ...]] = field(default_factory=dict)
    """The steps since the last report, for people."""
    events: list[str] = field(default_factory=list)
    """What happened since the last report, for people."""
    history: list[list[float]] = field(default_factory=list)
    """[resource, train_eval_loss, val_loss] of each report."""
    usual_norms: list[float] = field(default_factory=list)
    """The 90th percentile of the gradient norm in each report."""
    nonfinite_seen: int = 0
    frozen: int = 0
    """Layers, from the input on, that are not trained in the present epoch."""

    @property
    def steps_per_epoch(self) -> int:
        return n_batches(len(self.data.train), self.settings.batches.batch_size)

    @property
    def steps_per_unit(self) -> int:
        return self.steps_per_epoch if self.unit == "epoch" else 1

    @property
    def total_steps(self) -> int:
        """The steps of the trial's whole horizon."""
        return self.horizon * self.steps_per_unit

    @property
    def needs_every_norm(self) -> bool:
        """Whether the gradient norm decides something in every step."""
        return (
            self.settings.gradients.clip_norm is not None
            or self.guard.needs_norm
            or self.precision.scales
            or not self.ranks.alone
        )

    @property
    def goes_on_after_a_skip(self) -> bool:
        """Whether a step may be left out without ending the trial."""
        return self.guard.needs_norm or self.precision.scales

    def micro_size(self, n_samples: int) -> int:
        """Samples of a micro-batch, of the `n_samples` that this rank has of a batch. The noise scale takes two; no
        more than there is room for.
        """
        if self.settings.batches.micro_batch is not None:
            n = min(n_samples, self.settings.batches.micro_batch)
        else:
            n = -(-n_samples // 2) if self.settings.gradients.noise_scale else n_samples
        return self.room.rows("step", n)

    def samples(self, step: int) -> int:
        """Samples seen in the first `step` steps."""
        epochs, steps = divmod(step, self.steps_per_epoch)
        n = len(self.data.train)
        return epochs * n + min(steps * self.settings.batches.batch_size, n)

    def happened(self, event: str) -> None:
        """Tell people: in the trial's log at once, and with the next report."""
        print(event)
        self.events.append(event)

    def recommend_clip_norm(self, usual_norm: float | None) -> float | None:
        """The clip norm that one step in ten would have exceeded so far: the geometric mean over the reports of the
        norm's 90th percentile. Clipping at a percentile of the observed norms is Seetharaman et al. 2020 (AutoClip).
        """
        if usual_norm is not None and math.isfinite(usual_norm) and usual_norm > 0:
            self.usual_norms.append(usual_norm)
        return statistics.geometric_mean(self.usual_norms) if self.usual_norms else None

    def stretches(self, start: int, until: int) -> Iterator[Stretch]:
        """From resource `start` to `until`, a report at each multiple of `report_every` and at `until`."""
        every = self.settings.measuring.report_every
        resource = start
        while resource < until:
            following = min(until, (resource // every + 1) * every)
            yield Stretch(resource * self.steps_per_unit, following * self.steps_per_unit, following)
            resource = following

    def epochs(self, stretch: Stretch) -> Iterator[Stretch]:
        """The parts of a stretch, each within one epoch; `resource` is the epoch's number, from 1."""
        first = stretch.first
        while first < stretch.last:
            epoch = first // self.steps_per_epoch + 1
            last = min(stretch.last, epoch * self.steps_per_epoch)
            yield Stretch(first, last, epoch)
            first = last

    def learning_rates(self, stretch: Stretch) -> Tensor:
        """The rate of each step of a stretch, on the device."""
        steps = torch.arange(stretch.first, stretch.last)
        rates = learning_rates(self.settings.schedule, steps, self.total_steps, self.settings.batches.batch_size)
        return rates.to(self.device)

    def begin_epoch(self, epoch: int) -> None:
        """Freeze or thaw what an epoch (from 1) trains."""
        settings = self.settings.optimizer
        progress = (epoch - 1) * self.steps_per_epoch / self.total_steps
        if settings.freeze:
            self.frozen = settings.freeze if progress < settings.unfreeze_at else 0
            set_frozen(self.model, self.frozen, self.trainable)

    def batches(self, part: Stretch) -> Iterator[tuple[Examples, int]]:
        """The rank's share of each batch of `part`, which lies within an epoch, and how many samples the batch has."""
        rows = self.batch_rows(part.resource)[part.first % self.steps_per_epoch :][: part.last - part.first]
        shares = [self.ranks.rows(batch) for batch in rows]
        for batch, whole in zip(self.data.train.batches(shares, part.resource), rows, strict=True):
            yield batch, len(whole)

    def order(self, epoch: int) -> Tensor:
        """The row numbers (int64, CPU) as an epoch (from 1) reads them: a function of the trial's seed and epoch."""
        return epoch_order(len(self.data.train), self.seed, epoch, self.data.easiest_first, self.open_share(epoch))

    def open_share(self, epoch: int) -> float:
        """The share of the rows that an epoch (from 1) reads."""
        return open_share(self.settings.batches, (epoch - 1) * self.steps_per_epoch / self.total_steps)

    def batch_rows(self, epoch: int) -> tuple[Tensor, ...]:
        """The row numbers of each batch of an epoch (from 1)."""
        order = self.order(epoch)
        if isinstance(self.data.train, Examples):
            order = order.to(self.device)
        return batch_rows(order, self.settings.batches.batch_size)

    def checkpoint(self, resource: int) -> dict[str, Any]:
        """The state at `resource`, copied: training on does not change it.

        Random states are not in it: whatever is drawn, and the order of the data, are functions of seed and step.
        """
        model = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}
        return self.checkpoint_of(resource, model, self.optimizer.state_dict())

    def checkpoint_of(self, resource: int, model: Mapping[str, Any], optimizer: Mapping[str, Any]) -> dict[str, Any]:
        """The same, of a model and an optimizer whose state is kept elsewhere."""
        return {
            "resource": resource,
            "model": model,
            "averaged": self.averages.averaged(),
            "optimizer": optimizer,
            "averages": self.averages.state_dict(),
            "precision": self.precision.state_dict(),
            "guard": self.guard.state_dict(),
            "patience": self.patience.state_dict(),
            "room": self.room.state_dict(),
            "usual_norms": list(self.usual_norms),
            "history": [list(point) for point in self.history],
        }

    def resume(self, start: int, checkpoint: Mapping[str, Any] | None) -> None:
        """Put everything where it was at resource `start`; nothing to do at 0. Raises CheckpointError."""
        self.clock.fill_(start * self.steps_per_unit)
        if start == 0:
            return
        if checkpoint is None or checkpoint.get("resource") != start:
            found = "there is none" if checkpoint is None else f"it is of {self.unit} {checkpoint.get('resource')}"
            raise CheckpointError(f"going on after {self.unit} {start} takes its checkpoint, but {found}")
        try:
            self.model.load_state_dict(checkpoint["model"])
        except RuntimeError as error:
            raise CheckpointError(f"the checkpoint does not fit the model: {error}") from None
        self.optimizer.load_state_dict(checkpoint["optimizer"])
        self.averages.load_state_dict(checkpoint["averages"])
        self.precision.load_state_dict(checkpoint["precision"])
        self.guard.load_state_dict(checkpoint["guard"])
        self.patience.load_state_dict(checkpoint["patience"])
        if "room" in checkpoint:  # older ones have none
            self.room.load_state_dict(checkpoint["room"])
        self.history = [list(point) for point in checkpoint["history"]]
        self.usual_norms = list(checkpoint["usual_norms"])
        self.nonfinite_seen = self.guard.nonfinite_so_far()


def open_run(
    task: Task, config: Config, trial: TrialHandle, ranks: Ranks, *, measure: bool, data: TaskData | None = None
) -> Run:
    """A run at resource 0. Raises SpecError for settings that do not fit the task or the device, and DataError.

    With `data` it only keeps the books of a trial that is trained elsewhere, on that data: all else is on the CPU.
    """
    settings = TrainerSettings.from_config(config)
    check_regularisation(task, settings.regularisation)
    keeps_books = data is not None
    device = torch.device("cpu" if keeps_books else trial.device)
    if settings.speed.cuda_graph and not ranks.alone:
        raise SpecError("ranks cannot share a recorded step", path="cuda_graph", hint="Set cuda_graph: false.")
    precision = Precision(settings.precision, device)
    if data is None:
        data = open_data(task, device, settings.batches, seed=trial.seed, threads=trial.threads)
    with seeded(device, trial.seed, "weights"):
        model = placed_dropout(task.model(config))
        model = model if keeps_books else model.to(device)
    if settings.speed.channels_last:
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if settings.distributed.sync_batch_norm and not ranks.alone and device.type == "cuda":
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
    optimizer = Optimizer(model, settings.optimizer, blank=keeps_books)
    note = None if keeps_books else note_of(trial, ranks)
    compiles = settings.speed.compile and not keeps_books
    network: nn.Module = cast("nn.Module", torch.compile(model)) if compiles else model
    return Run(
        task=task,
        settings=settings,
        seed=trial.seed,
        device=device,
        unit=trial.unit,
        horizon=trial.horizon,
        data=data,
        model=model,
        network=ranks.wrap(network, device, freezes=settings.optimizer.freeze > 0),
        optimizer=optimizer,
        update_ratio=UpdateRatio(optimizer.parameters),
        averages=Averages(optimizer.parameters, settings.averaging, optimizer.names),
        precision=precision,
        streams=Streams(model, trial.seed, ranks.rank, device),
        guard=Guard(settings.gradients, device),
        patience=Patience(settings.stopping),
        ranks=ranks,
        room=Room(note, sum(p.numel() for p in model.parameters()), place_of(device, precision.name)),
        measure=measure,
        clock=torch.zeros((), dtype=torch.int64, device=device),
        trainable=frozenset(name for name, parameter in model.named_parameters() if parameter.requires_grad),
    )
