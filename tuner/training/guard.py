"""Which steps are not taken: non-finite ones, absurd ones, overflows. Decided on the device, told to the host later.

The host looks every CHECK_EVERY steps. When the limit of non-finite steps is reached, the guard halts: no later step
is taken, so that the weights are still those before the step that ended it, and its replay finds the cause.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from tuner.training.settings import GradientSettings

CHECK_EVERY = 64
"""Steps between two looks of the host."""
WINDOW = 64
"""Gradient norms in the running median."""
ENOUGH = 16
"""Gradient norms before the median is trusted."""


class Verdict(NamedTuple):
    """Float32 scalars on the device, 0 or 1: the step is not taken; it was not finite; float16 overflowed."""

    skip: Tensor
    nonfinite: Tensor
    overflow: Tensor


@final
class Guard:
    """The counters of a run, all on its device. Every kernel counts: a small network's step has some fifty."""

    def __init__(self, settings: GradientSettings, device: torch.device) -> None:
        self._settings = settings
        self._limit = 1 if settings.nonfinite == "fail" else settings.nonfinite_limit
        self._none = torch.zeros((), device=device)
        self._in_a_row = torch.zeros((), device=device)
        self._nonfinite = torch.zeros((), device=device)
        self._halted = torch.zeros((), device=device)
        self._since = torch.zeros((), dtype=torch.int64, device=device)
        """Steps since the guard halted."""
        self._norms = torch.full((WINDOW if settings.skip_above else 0,), torch.nan, device=device)
        self._n_norms = torch.zeros((), dtype=torch.int64, device=device)

    @property
    def needs_norm(self) -> bool:
        """Whether every step's gradient norm is needed."""
        return self._settings.skip_above is not None or self._settings.nonfinite != "fail"

    def judge(self, loss: Tensor, norm: Tensor | None, *, scales: bool) -> Verdict:
        """The verdict on a step by its loss and, where it was measured, its gradient norm (scalars on the device).

        Under loss scaling (`scales`) what is not finite is an overflow, which belongs to float16 and not to the trial.
        """
        loss = loss.detach()
        value = loss if norm is None else loss + norm  # a norm is positive: nothing cancels
        bad = ((value - value) != 0).float()  # NaN - NaN and inf - inf are NaN
        overflow, nonfinite = (bad, self._none) if scales else (self._none, bad)
        skip = torch.maximum(bad, self._halted)
        if self._settings.skip_above is not None and norm is not None:
            skip = torch.maximum(skip, self._absurd(norm.float(), self._settings.skip_above))
            self._remember(norm.float(), skip)
        self._since.add_((self._halted > 0).long())
        self._count(nonfinite)
        return Verdict(skip, nonfinite, overflow)

    def _absurd(self, norm: Tensor, multiple: float) -> Tensor:
        usual = torch.nanmedian(self._norms)
        return ((self._n_norms >= ENOUGH) & (norm > multiple * usual)).float()

    def _remember(self, norm: Tensor, skip: Tensor) -> None:
        """Norms of the steps that are taken make the median: a row of spikes does not become the rule."""
        slot = (self._n_norms % WINDOW).reshape(1)
        kept = torch.where(skip > 0, self._norms.index_select(0, slot), norm.reshape(1))
        self._norms.index_copy_(0, slot, kept)
        self._n_norms.add_((skip == 0).long())

    def _count(self, nonfinite: Tensor) -> None:
        if self._limit == 1:
            self._halted.copy_(torch.maximum(self._halted, nonfinite))
            return
        self._nonfinite.add_(nonfinite)
        self._in_a_row.copy_((self._in_a_row + 1) * nonfinite)
        self._halted.copy_(torch.maximum(self._halted, (self._in_a_row >= self._limit).float()))

    def told(self) -> Tensor:
        """Whether the guard has halted, the steps since then, and the non-finite steps so far: (3,), float64."""
        return torch.stack([self._halted.double(), self._since.double(), self._nonfinite.double()])

    def nonfinite_so_far(self) -> int:
        """The count alone: waits for the device."""
        return int(self._nonfinite.item())

    def state_dict(self) -> dict[str, Any]:
        """What it takes to go on."""
        return {
            "in_a_row": self._in_a_row.clone(),
            "nonfinite": self._nonfinite.clone(),
            "norms": self._norms.clone(),
            "n_norms": self._n_norms.clone(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self._in_a_row.copy_(state["in_a_row"])
        self._nonfinite.copy_(state["nonfinite"])
        self._norms.copy_(state["norms"])
        self._n_norms.copy_(state["n_norms"])
