"""Dropout whose masks are a function of their place: (stream of the step, which dropout, which call of it, element).

nn.Dropout draws from a generator, whose state is one for a whole program. Here an element is dropped if a hash of its
place is small, so that the masks are the same on a CPU and a GPU, eager, compiled, in a CUDA graph that is replayed
and under torch.func.vmap, where each slot has a stream and a rate of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import cast, final

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from tuner.seeds import derive_seed
from tuner.training.splitmix import high_numbers, number, numbers

BITS = 24
"""Bits of the hash that are compared with the rate, which is rounded to a multiple of 2**-24: float32 holds it."""


@final
class Place(nn.Module):
    """Where a dropout draws. It has no parameters and no buffers: a model's state is what it was without.

    `stream` (int64) and `rate` (float32; None: the dropout's own number `p`) are scalars on the model's device. They
    are tensors, and attributes of a module, so that functional_call can replace them by those of a slot.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number, self.calls = number, 0
        self.stream: Tensor | None = None
        self.rate: Tensor | None = None
        self.first_row: Tensor | None = None
        self.n_rows: Tensor | None = None

    def extra_repr(self) -> str:
        return str(self.number)

    def dropped(self, dropout: _DropoutNd, inputs: Tensor, shape: tuple[int, ...]) -> Tensor:
        """`inputs` by `dropout`, in which what is dropped together is an element of `shape` (broadcast to them)."""
        if not dropout.training or (self.rate is None and dropout.p == 0):
            return inputs
        limit, scale = _limit_and_scale(dropout.p if self.rate is None else self.rate)
        drop = self._hashed(math.prod(shape), self._call(), inputs.device) < limit
        if dropout.inplace:
            return _times(inputs, scale, inputs).masked_fill_(drop.view(shape), 0.0)
        return _times(inputs, scale).masked_fill(drop.view(shape), 0.0)

    def _call(self) -> int:
        """Which call of this forward pass it is, from 0."""
        recomputes = not torch.compiler.is_compiling() and torch._C._current_graph_task_id() != -1
        if not recomputes:
            self.calls += 1
        elif self.calls != 1:
            raise RuntimeError(
                f"a dropout that is called {self.calls} times in a forward pass cannot be recomputed in the backward "
                "pass (activation checkpointing): give each call an nn.Dropout of its own."
            )
        return self.calls - 1

    def _hashed(self, n: int, call: int, device: torch.device) -> Tensor:
        """(n,): the hashes of n elements, whose highest bits are random."""
        if self.stream is None:
            raise RuntimeError("a placed dropout has no stream to draw from: see tuner.training.dropout")
        state = self.stream + number(0, (self.number << 32) + call)
        if self.first_row is not None and self.n_rows is not None:
            # The elements of the rows before, whatever an element is: no two micro-batches share one.
            state = state + self.first_row * n // self.n_rows
        return high_numbers(state, torch.arange(n, device=device))


def _limit_and_scale(p: float | Tensor) -> tuple[int | Tensor, float | Tensor]:
    """What a hash is compared with, and what is left is multiplied by. With a rate of 1 the latter alone does it, as
    the limit is out of range.
    """
    if isinstance(p, Tensor):
        limit = ((p * 2**BITS).to(torch.int64) - 2 ** (BITS - 1)) << (64 - BITS)
        return limit, torch.where(p < 1, 1 / (1 - p), 0.0)
    p = rounded(p)
    highest = (int(p * 2**BITS) - 2 ** (BITS - 1)) << (64 - BITS)
    return min(highest, 2**63 - 1), 1 / (1 - p) if p < 1 else 0.0


def rounded(p: float) -> float:
    """The rate that a dropout has for `p`, which float32 holds: a slot has the same as a trial alone."""
    return round(p * 2.0**BITS) / 2.0**BITS


def _times(inputs: Tensor, scale: float | Tensor, out: Tensor | None = None) -> Tensor:
    """The product in the inputs' type; a scale that is a tensor is rounded as a number would be."""
    if not isinstance(scale, Tensor):
        return inputs * scale if out is None else out.mul_(scale)
    wide = torch.promote_types(inputs.dtype, torch.float32)
    product = (inputs.to(wide) * scale.to(wide)).to(inputs.dtype)
    return product if out is None else out.copy_(product)


@final
class PlacedDropout(nn.Dropout):
    """nn.Dropout that draws from its place."""

    place: Place

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        return self.place.dropped(self, input, input.shape)


@final
class PlacedDropout1d(nn.Dropout1d):
    """nn.Dropout1d that draws from its place: (rows, channels, length) or (channels, length)."""

    place: Place

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        return self.place.dropped(self, input, _channels(input, unbatched=2))


@final
class PlacedDropout2d(nn.Dropout2d):
    """nn.Dropout2d that draws from its place: (rows, channels, ...)."""

    place: Place

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        return self.place.dropped(self, input, _channels(input, unbatched=None))


@final
class PlacedDropout3d(nn.Dropout3d):
    """nn.Dropout3d that draws from its place: (rows, channels, ...), or four dimensions from the channels on."""

    place: Place

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        return self.place.dropped(self, input, _channels(input, unbatched=4))


def _channels(inputs: Tensor, unbatched: int | None) -> tuple[int, ...]:
    """The shape of what is dropped together: whole channels, of each row if there are rows."""
    if inputs.ndim < 2:
        raise ValueError(f"dropping channels takes inputs of at least two dimensions, not {inputs.ndim}")
    n = 1 if inputs.ndim == unbatched else 2
    return (*inputs.shape[:n], *[1] * (inputs.ndim - n))


KINDS: dict[type[nn.Module], type[nn.Module]] = {
    nn.Dropout: PlacedDropout,
    nn.Dropout1d: PlacedDropout1d,
    nn.Dropout2d: PlacedDropout2d,
    nn.Dropout3d: PlacedDropout3d,
}


def placed_dropout(model: nn.Module) -> nn.Module:
    """`model` itself, whose dropouts of KINDS draw from their place from now on; others stay torch's.

    Their class changes, not the objects: whoever holds one, hooks it or sets its `p` need not know.
    """
    found = [module for module in model.modules() if type(module) in KINDS]
    for place, module in enumerate(found, len(places(model))):
        module.__class__ = KINDS[type(module)]
        module.place = Place(place)
    return model


def places(model: nn.Module) -> dict[str, Place]:
    """The places of a model's dropouts by name, such as "3.place"."""
    return {name: module for name, module in model.named_modules() if isinstance(module, Place)}


def rates(model: nn.Module) -> dict[str, float]:
    """The rate of each of a model's placed dropouts, as `rounded`, under the name of its place."""
    dropouts = {name: cast("_DropoutNd", model.get_submodule(name.rpartition(".")[0])) for name in places(model)}
    return {name: rounded(dropout.p) for name, dropout in dropouts.items()}


def stacked_rates(models: Sequence[nn.Module]) -> dict[str, Tensor]:
    """The `rates` of each of `models`, which have the same dropouts: (models,), on the CPU."""
    own = [rates(model) for model in models]
    return {name: torch.tensor([each[name] for each in own]) for name in own[0]}


def step_streams(keys: Tensor, steps: Tensor) -> Tensor:
    """What dropouts draw from in a step (from 0) of the trials whose keys are given; all int64, of one shape."""
    return numbers(keys, steps)


def stream_key(seed: int, rank: int = 0) -> int:
    """The key of a trial's dropouts on one of its ranks."""
    return derive_seed(seed, "dropout", rank)


def named_streams(model: nn.Module, streams: Tensor, slot_rates: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors by which functional_call gives `model` the streams and rates of a slot.

    `streams` (slots,) are of `step_streams`, `slot_rates` (slots,) float32, for each name of `rates`. To be mapped over
    by vmap together with the parameters; and before each pass, `restart`.
    """
    named: dict[str, Tensor] = {}
    for name in places(model):
        named |= {f"{name}.stream": streams, f"{name}.rate": slot_rates[name]}
    return named


def restart(model: nn.Module) -> None:
    """A forward pass begins: a dropout's calls are counted from 0 again."""
    for place in places(model).values():
        place.calls = 0


@final
class Streams:
    """What the dropouts of a run draw from: a scalar on the device that each step changes in place, so that a step that
    was recorded as a CUDA graph draws anew in each replay.
    """

    def __init__(self, model: nn.Module, seed: int, rank: int, device: torch.device) -> None:
        self._seed, self._rank, self._key = seed, rank, stream_key(seed, rank)
        self._places = list(places(model).values())
        self._stream, self._first, self._n = (torch.zeros((), dtype=torch.int64, device=device) for _ in range(3))
        for place in self._places:
            place.stream = self._stream
        self.at_step(0)

    def at_step(self, step: int) -> None:
        """Step `step` (from 0) begins, and with it a forward pass."""
        self._at(number(self._key, step))

    def at_evaluation(self, resource: int) -> None:
        """What a task leaves in training mode in an evaluation draws from the evaluation's stream."""
        self._at(number(derive_seed(self._seed, "dropout", "evaluation", self._rank), resource))

    def at_rows(self, first: int, n: int, of: int) -> None:
        """A forward pass on the `n` rows from `first` on, of a batch of `of`, begins: its masks are their part of the
        whole batch's.
        """
        if not self._places:
            return
        if n < of:
            self._first.fill_(first)
            self._n.fill_(n)
        for place in self._places:
            place.calls = 0
            place.first_row, place.n_rows = (self._first, self._n) if n < of else (None, None)

    def _at(self, stream: int) -> None:
        if self._places:
            self._stream.fill_(stream)
            self.at_rows(0, 1, 1)
