"""Mixed precision (Micikevicius et al. 2018): what the forward pass computes in, and the scale of the loss for float16.

Weights, gradients and updates stay in the model's own number type. Nothing here looks at a value on the host but
`after_check`, which the trainer calls every so many steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, final

import torch
from torch import Tensor

from tuner.errors import SpecError
from tuner.training.settings import PrecisionSettings

HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}
GROWTH, BACKOFF = 2.0, 0.5


@final
class Precision:
    """The number type of a run, which may fall to a safer one on the way."""

    def __init__(self, settings: PrecisionSettings, device: torch.device) -> None:
        """Raises SpecError for a number type that the device does not have."""
        if settings.precision == "tf32" and device.type != "cuda":
            raise SpecError(
                "tf32 is a GPU's, and this is a CPU", path="precision", hint="Allowed here: fp32, bf16, fp16."
            )
        self.name: str = settings.precision
        self._settings = settings
        self._device = device
        self.scale = torch.tensor(settings.initial_loss_scale if self.scales else 1.0, device=device)
        """What the loss is multiplied by: a float32 scalar on the device, 1 unless the type is fp16."""
        self._growth = torch.zeros((), dtype=torch.int32, device=device)
        self.overflows = torch.zeros((), device=device)
        """Overflows in a row, so far."""

    @property
    def scales(self) -> bool:
        """Whether the loss is scaled."""
        return self.name == "fp16"

    @property
    def is_half(self) -> bool:
        """Whether the forward pass computes in 16 bits."""
        return self.name in HALF

    def autocast(self) -> AbstractContextManager[Any]:
        """Inside, torch chooses the half type where that is safe."""
        return torch.autocast(self._device.type, dtype=HALF[self.name]) if self.is_half else nullcontext()

    def scaled(self, loss: Tensor) -> Tensor:
        """The loss as backward is to see it."""
        return loss * self.scale if self.scales else loss

    def unscaled(self, norm: Tensor) -> Tensor:
        """A norm of scaled gradients as that of the true ones."""
        return norm / self.scale if self.scales else norm

    def update(self, overflow: Tensor) -> None:
        """After a step: halve the scale on an overflow (a float32 scalar, 0 or 1), double it after many without one."""
        if not self.scales:
            return
        interval = self._settings.loss_scale_growth
        torch._amp_update_scale_(self.scale, self._growth, overflow, GROWTH, BACKOFF, interval)
        self.overflows.copy_((self.overflows + 1) * overflow)

    def overflowed_for_good(self, overflows_in_a_row: float) -> bool:
        """Whether float16 has shown that it cannot hold this training."""
        return self.scales and overflows_in_a_row >= self._settings.overflow_limit

    def fall_back(self) -> str:
        """Go on in the next safer number type: bf16 after fp16 where the device has it, else fp32. What happened."""
        before = self.name
        has_bf16 = self._device.type == "cpu" or torch.cuda.is_bf16_supported(including_emulation=False)
        self.become("bf16" if before == "fp16" and has_bf16 else "fp32")
        return f"precision: {before} -> {self.name}"

    def become(self, name: str) -> None:
        """Compute in `name` from now on."""
        self.name = name
        if not self.scales:
            self.scale.fill_(1.0)
            self.overflows.zero_()

    def state_dict(self) -> dict[str, Any]:
        """What it takes to go on."""
        return {
            "name": self.name,
            "scale": self.scale.clone(),
            "growth": self._growth.clone(),
            "overflows": self.overflows.clone(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.name = state["name"]
        self.scale.copy_(state["scale"])
        self._growth.copy_(state["growth"])
        self.overflows.copy_(state["overflows"])
