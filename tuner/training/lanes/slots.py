"""The tensors of a group's slots, stacked: how a trial gets into its slot, and out of it as a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, final

import torch
from torch import Tensor

from tuner.training.dropout import rates, stacked_rates
from tuner.training.lanes.program import Rule
from tuner.training.layers import rate_multipliers
from tuner.training.optimizer import STATE_NAMES, decays
from tuner.training.run import Run

OF_OPTIMIZER = ("weight_decay", "momentum", "beta1", "beta2", "rms_decay", "eps")
VECTORS = (*OF_OPTIMIZER, "clip_norm", "smoothing")
"""The hyperparameters that slots have one each of, apart from the learning rate, which each step has its own of."""
WIDE = torch.float32
"""The type of what travels together; tensors of other types (a model's counters, say) travel one by one."""


class Place(NamedTuple):
    """Where a tensor is: in a row of what travels together, from `first` to `last`; and stacked, in the slots."""

    stacked: Tensor
    first: int
    last: int

    def of(self, rows: Tensor) -> Tensor:
        """The tensor's part of `rows` (trials, columns), in its own shape."""
        return rows[:, self.first : self.last].view(len(rows), *self.stacked.shape[1:])


@final
class Slots:
    """Parameters, buffers, optimizer state and hyperparameters of `width` slots, the slot as first dimension.

    `run` is one of those that will board: the others have its structure. They travel in rows, one for each trial, so
    that a boundary costs one transfer, however many tensors a model has.
    """

    def __init__(self, run: Run, width: int, device: torch.device) -> None:
        self.width, self.device = width, device
        settings = run.settings.optimizer
        self.rule = Rule(settings, decays(run.model, settings), rate_multipliers(run.model, settings.layer_decay))
        parameters, buffers = dict(run.model.named_parameters()), dict(run.model.named_buffers())
        self.kept_buffers = [name for name in run.model.state_dict() if name in buffers]
        first = {id(tensor): name for name, tensor in [*parameters.items(), *buffers.items()]}
        every = [*run.model.named_parameters(remove_duplicate=False), *run.model.named_buffers(remove_duplicate=False)]
        self.tied = {name: other for name, tensor in every if (other := first[id(tensor)]) != name}
        """Other names of a tensor that has several, each with its first."""
        self.parameters = {name: self._stack(tensor) for name, tensor in parameters.items()}
        self.buffers = {name: self._stack(tensor) for name, tensor in buffers.items()}
        names = STATE_NAMES[settings.optimizer]
        self.state = {name: {key: self._stack(tensor) for key in names} for name, tensor in parameters.items()}
        self.updates = torch.zeros(width, device=device)
        """The updates that each slot's trial has made."""
        self.vectors = {name: torch.ones(width, device=device) for name in VECTORS}
        self.rates = {name: torch.zeros(width, device=device) for name in rates(run.model)}
        """Of the dropouts."""
        wide_buffers = [tensor for tensor in self.buffers.values() if tensor.dtype == WIDE]
        moments = [*(tensor for own in self.state.values() for tensor in own.values()), self.updates]
        self._places: dict[int, Place] = {}
        # What a new trial brings comes first, what only an older one has, last; what is not kept is in front.
        self._n_new = self._lay_out([*self.vectors.values(), *self.parameters.values(), *wide_buffers])
        self._n_columns = self._lay_out(moments)
        self._first_kept = self._place(next(iter(self.parameters.values()))).first

    def tensors(self) -> list[Tensor]:
        """All there are, in an order that slots of one structure share."""
        narrow = [tensor for tensor in self.buffers.values() if tensor.dtype != WIDE]
        return [*(place.stacked for place in self._places.values()), *narrow, *self.rates.values()]

    @torch.no_grad()
    def board(self, runs: Mapping[int, Run], *, new: bool) -> None:
        """Copy what each of `runs` stands at into its slot; `new`: they have made no update yet."""
        rows = self._rows(len(runs), self._n_new if new else self._n_columns)
        for row, run in zip(rows.unsqueeze(1), runs.values(), strict=True):
            for name, value in _hyperparameters(run).items():
                self._place(self.vectors[name]).of(row).fill_(value)
            for name, parameter in run.model.named_parameters():
                self._place(self.parameters[name]).of(row).copy_(parameter)
            for name, buffer in run.model.named_buffers():
                if buffer.dtype == WIDE:
                    self._place(self.buffers[name]).of(row).copy_(buffer)
            for name, tensors in {} if new else run.optimizer.tensors().items():
                for key, stacked in self.state[name].items():
                    self._place(stacked).of(row).copy_(tensors[key])
                self._place(self.updates).of(row).copy_(tensors["step"])
        arrived = rows.to(self.device, non_blocking=True)
        slots = torch.tensor(list(runs)).to(self.device, non_blocking=True)
        for place in self._places.values():
            if place.last <= arrived.shape[1]:
                place.stacked.index_copy_(0, slots, place.of(arrived))
            else:
                place.stacked.index_fill_(0, slots, 0.0)
        for name, of_trials in stacked_rates([run.model for run in runs.values()]).items():
            self.rates[name].index_copy_(0, slots, of_trials.to(self.device))
        for name, stacked in self.buffers.items():
            if stacked.dtype != WIDE:
                for slot, run in runs.items():
                    stacked[slot].copy_(run.model.get_buffer(name))

    @torch.no_grad()
    def snapshot(self, slots: Sequence[int]) -> Snapshot:
        """The state of `slots` as it is now, on its way to the host."""
        chosen = torch.tensor(slots).to(self.device, non_blocking=True)
        rows = self._rows(len(slots), self._n_columns)
        leaving = torch.empty_like(rows, device=self.device)
        for place in self._places.values():
            if place.first >= self._first_kept:
                place.of(leaving).copy_(place.stacked.index_select(0, chosen))
        others = {name: t.index_select(0, chosen).cpu() for name, t in self.buffers.items() if t.dtype != WIDE}
        rows.copy_(leaving, non_blocking=True)
        if self.device.type != "cuda":
            return Snapshot(self, rows, others, None)
        done = torch.cuda.Event()  # type: ignore[no-untyped-call]
        done.record()
        return Snapshot(self, rows, others, done)

    def _lay_out(self, tensors: Sequence[Tensor]) -> int:
        """Give each of `tensors` its columns, after those that have theirs already; how many there are now."""
        n = max((place.last for place in self._places.values()), default=0)
        for tensor in tensors:
            self._places[id(tensor)] = Place(tensor, n, n + tensor[0].numel())
            n += tensor[0].numel()
        return n

    def _place(self, stacked: Tensor) -> Place:
        return self._places[id(stacked)]

    def _stack(self, tensor: Tensor) -> Tensor:
        return torch.zeros((self.width, *tensor.shape), dtype=tensor.dtype, device=self.device)

    def _rows(self, n: int, n_columns: int) -> Tensor:
        return torch.empty((n, n_columns), pin_memory=self.device.type == "cuda")


@final
class Snapshot:
    """What some slots stood at, on the host."""

    def __init__(self, slots: Slots, rows: Tensor, others: Mapping[str, Tensor], done: torch.cuda.Event | None) -> None:
        self._slots, self._rows, self._others, self._done = slots, rows, others, done

    def of(self, index: int) -> tuple[dict[str, Tensor], dict[str, dict[str, Tensor]]]:
        """The states of the model and of the optimizer of the `index`-th slot, as the trainer keeps them. Waits for
        them to arrive.
        """
        if self._done is not None:
            self._done.synchronize()
        slots, row = self._slots, self._rows[index : index + 1]

        def part(stacked: Tensor) -> Tensor:
            return slots._place(stacked).of(row)[0]

        model = {name: part(stacked) for name, stacked in slots.parameters.items()}
        for name in slots.kept_buffers:
            stacked = slots.buffers[name]
            model[name] = part(stacked) if stacked.dtype == WIDE else self._others[name][index]
        model |= {name: model[other] for name, other in slots.tied.items() if other in model}
        updates = part(slots.updates)
        optimizer = {
            name: {"step": updates, **{key: part(stacked) for key, stacked in own.items()}}
            for name, own in slots.state.items()
        }
        return model, optimizer


def _hyperparameters(run: Run) -> dict[str, float]:
    clip_norm = run.settings.gradients.clip_norm
    return {
        **{name: getattr(run.settings.optimizer, name) for name in OF_OPTIMIZER},
        "clip_norm": torch.inf if clip_norm is None else clip_norm,
        "smoothing": run.settings.regularisation.label_smoothing,
    }
