"""Averages of the weights over the steps: Lookahead, the moving average, Polyak's mean.

All of it happens after an update, decided by the host from the number of the step alone: tensors are changed in place,
and nothing is brought to the host. Buffers are not averaged: while the averaged weights are evaluated, a batch norm
uses the model's own statistics, those of the weights in training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from tuner.errors import CheckpointError
from tuner.training.settings import AveragingSettings

COARSE = (torch.float16, torch.bfloat16)  # 1 - ema_decay of a weight is lost in these: averages are kept in float32


class Averages:
    """What is averaged over the steps of `parameters`, which an optimizer changes in place; `names` are theirs.

    - Lookahead (Zhang et al. 2019, algorithm 1): slow weights φ start as the parameters; every k steps
      φ ← φ + α(θ - φ), then θ ← φ. Between, training and evaluation see the fast weights θ.
    - `ema`: from `average_from` on, φ ← dφ + (1-d)θ, where the first averaged step copies θ; as
      torch.optim.swa_utils.get_ema_multi_avg_fn(d).
    - `polyak`: the mean of θ over the steps from `average_from` on (Polyak & Juditsky 1992), as
      torch.optim.swa_utils.AveragedModel keeps it.

    With all of it off nothing is kept, and nothing done.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], settings: AveragingSettings, names: Sequence[str]) -> None:
        self.settings = settings
        self._parameters = dict(zip(names, parameters, strict=True))
        self._slow = [_kept(parameter) for parameter in parameters] if settings.lookahead else []
        self._average: list[Tensor] = []  # made by the first averaged step
        self._n_averaged = 0

    @torch.no_grad()
    def after_step(self, step: int, progress: float) -> None:
        """Take in the weights after the update of `step` (counted from 0 over the whole training).

        `progress` is the share of training that is done: averaging goes on from where it reaches `average_from`.
        """
        every = self.settings.lookahead
        if every and (step + 1) % every == 0:
            torch._foreach_lerp_(self._slow, self._current(self._slow), self.settings.lookahead_rate)
            torch._foreach_copy_(list(self._parameters.values()), self._slow)
        if self.settings.averaging != "none" and progress >= self.settings.average_from:
            self._take_in()

    @contextmanager
    def evaluated(self) -> Iterator[None]:
        """The parameters are the averaged weights in here, and what they were, bit for bit, afterwards.

        They stay where they are in memory. Without an average, or before it begins, nothing changes.
        """
        parameters: list[Tensor] = list(self._parameters.values())
        with torch.no_grad():
            weights = [parameter.clone() for parameter in parameters] if self._average else []
            if self._average:
                torch._foreach_copy_(parameters, self._average)
        try:
            yield
        finally:
            if weights:
                with torch.no_grad():
                    torch._foreach_copy_(parameters, weights)

    def averaged(self) -> dict[str, Tensor] | None:
        """Copies of the averaged weights by name, in the parameters' own types; None while there is no average."""
        if not self._average:
            return None
        pairs = zip(self._parameters.items(), self._average, strict=True)
        return {name: average.to(parameter.dtype, copy=True) for (name, parameter), average in pairs}

    def state_dict(self) -> dict[str, Any]:
        """Copies of what is kept: {} with all of it off."""
        state: dict[str, Any] = {}
        if self.settings.lookahead:
            state["slow"] = self._named(self._slow)
        if self.settings.averaging != "none":
            state["average"] = self._named(self._average) if self._average else {}
            state["n_averaged"] = self._n_averaged
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave. Raises CheckpointError if it does not fit averages and model."""
        expected = self.state_dict().keys()
        if state.keys() != expected:
            raise CheckpointError(
                f"the checkpoint keeps {sorted(state) or 'nothing'} of averages, and {sorted(expected) or 'nothing'} "
                "is needed",
                hint="It was written with other settings of lookahead or averaging.",
            )
        if "slow" in state:
            self._slow = self._loaded(state["slow"])
        if "average" in state:
            self._average = self._loaded(state["average"]) if state["average"] else []
            self._n_averaged = state["n_averaged"]

    def _take_in(self) -> None:
        if not self._average:
            self._average = [_kept(parameter) for parameter in self._parameters.values()]
        elif self.settings.averaging == "ema":
            torch._foreach_lerp_(self._average, self._current(self._average), 1 - self.settings.ema_decay)
        else:
            torch._foreach_lerp_(self._average, self._current(self._average), 1 / (self._n_averaged + 1))
        self._n_averaged += 1

    def _current(self, kept: list[Tensor]) -> list[Tensor]:
        """The parameters in the types of what is kept of them."""
        return [p.to(tensor.dtype) for p, tensor in zip(self._parameters.values(), kept, strict=True)]

    def _named(self, kept: list[Tensor]) -> dict[str, Tensor]:
        return {name: tensor.clone() for name, tensor in zip(self._parameters, kept, strict=True)}

    def _loaded(self, saved: Mapping[str, Tensor]) -> list[Tensor]:
        kept = [_kept(parameter) for parameter in self._parameters.values()]
        if saved.keys() != self._parameters.keys():
            raise CheckpointError(
                f"the checkpoint has averages of {len(saved)} parameters that are not the model's {len(kept)}",
                hint="It was written by another model.",
            )
        for name, tensor in zip(self._parameters, kept, strict=True):
            if saved[name].shape != tensor.shape or saved[name].dtype != tensor.dtype:
                raise CheckpointError(
                    f"the checkpoint's average of {name} has shape {tuple(saved[name].shape)} and {saved[name].dtype}, "
                    f"and the model needs {tuple(tensor.shape)} and {tensor.dtype}",
                    hint="It was written by another model.",
                )
            tensor.copy_(saved[name])
        return kept


def _kept(parameter: nn.Parameter) -> Tensor:
    tensor = parameter.detach()
    return tensor.to(torch.float32 if tensor.dtype in COARSE else tensor.dtype, copy=True)
