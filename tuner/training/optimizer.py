"""The optimizer of a solo run: parameter groups, state, and the update rules applied in place.

Why lists of tensors and torch's fused kernels: on one thread, a batch of 128 and the MNIST MLP, interleaved in one
process (medians of 250 steps, forward and backward 2.8 ms of each), a step took 3.6 ms so, 3.7 ms with all parameters
in one flat buffer and the same kernel, 4.2 ms flat with elementwise operations, 4.0 ms with
torch.optim.AdamW(fused=True) and clip_grad_norm_, 5.2 ms with torch's default and 6.4 ms with the pure rules. So a flat
buffer gains nothing, and the kernel's own division of the gradient saves the pass that clipping would need. Called
directly, the kernel took 0.13 ms of that in a loop of its own, and torch.optim's function around it 0.22 ms.

A step brings nothing to the host, so that a CUDA graph can hold it: rates, divisors, counts of steps and whether the
step is taken at all are tensors on the device.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from tuner.errors import CheckpointError
from tuner.training import kernels
from tuner.training.layers import rate_multipliers
from tuner.training.settings import OptimizerSettings

WITH_VECTORS = (nn.Embedding, nn.EmbeddingBag, nn.LayerNorm, nn.RMSNorm)
"""Whose matrices are a vector per row, or scales: decay spares them as it does one-dimensional parameters."""
STATE_NAMES = {
    "sgd": ("momentum_buffer",),
    "adam": ("exp_avg", "exp_avg_sq"),
    "adamw": ("exp_avg", "exp_avg_sq"),
    "rmsprop": ("square_avg", "momentum_buffer"),
}


def decays(model: nn.Module, settings: OptimizerSettings) -> dict[str, bool]:
    """Which of the trained parameters weight decay pulls on, by name.

    Not biases, scales or any other vector, nor what belongs to a normalisation layer or an embedding (also where it is
    tied to the output layer): shrinking those regularises nothing (Goyal et al. 2017, §5.3), unless
    `decay_biases_and_norms` says otherwise.
    """
    spared = {
        id(p)
        for module in model.modules()
        if isinstance(module, WITH_VECTORS)
        for p in module.parameters(recurse=False)
    }
    return {
        name: settings.decay_biases_and_norms or (p.ndim > 1 and id(p) not in spared)
        for name, p in model.named_parameters()
        if p.requires_grad
    }


class _Group(NamedTuple):
    """What one call of a kernel has in common: torch's take one type at a time."""

    weight_decay: float
    dtype: torch.dtype
    multiplier: float


@dataclass(frozen=True)
class _Slot:
    """One parameter with its optimizer state. Complex ones are updated as pairs of reals, as in torch."""

    name: str
    parameter: nn.Parameter
    state: tuple[Tensor, ...]
    step: Tensor


class Optimizer:
    """Updates the trainable parameters of a model in place, by the rule that the settings name.

    Trainable is what requires a gradient when this is made. A parameter without a gradient is left as it is, as in
    torch: one that is frozen for a while keeps its state, and goes on from it.
    """

    def __init__(self, model: nn.Module, settings: OptimizerSettings, *, blank: bool = False) -> None:
        """`blank`: the state is whatever was in memory, until `load_state_dict` gives it one."""
        self.settings = settings
        parameters = dict(model.named_parameters())
        multipliers = rate_multipliers(model, settings.layer_decay)
        self._slots: dict[_Group, list[_Slot]] = {}
        for name, decay in sorted(decays(model, settings).items(), key=lambda item: not item[1]):
            slot = _slot(name, parameters[name], settings, blank=blank)
            group = _Group(settings.weight_decay if decay else 0.0, slot.parameter.dtype, multipliers[name])
            self._slots.setdefault(group, []).append(slot)

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The parameters that are trained, decayed ones first."""
        return [slot.parameter for slots in self._slots.values() for slot in slots]

    @property
    def names(self) -> list[str]:
        """The names of `parameters` in the model, in their order."""
        return [slot.name for slots in self._slots.values() for slot in slots]

    def zero_grad(self) -> None:
        """Forget the gradients, so that the next backward pass stores its own without adding."""
        for parameter in self.parameters:
            parameter.grad = None

    def gradients(self) -> list[Tensor]:
        """The gradients that the last backward pass left."""
        return [parameter.grad for parameter in self.parameters if parameter.grad is not None]

    @torch.no_grad()
    def step(self, lr: Tensor, divisor: Tensor | None = None, skip: Tensor | None = None) -> None:
        """One update at learning rate `lr`, the gradients divided by `divisor` (which may change them where they are).

        If `skip` is 1, nothing changes, neither weights nor moments nor counts, whatever the gradients hold; if it is
        0, the update is made. All three are float32 scalars on the parameters' device.
        """
        if divisor is not None and divisor.device.type == "cpu" and divisor.item() == 1.0:
            divisor = None  # looking is free on the CPU, and dividing by one would be a pass over the gradients
        for group, slots in self._slots.items():
            ready = [slot for slot in slots if slot.parameter.grad is not None]
            if ready:
                rate = lr if group.multiplier == 1.0 else lr * group.multiplier
                update = self._update(group, ready, rate, divisor, skip)
                kernels.kernel(self.settings, update.parameters, update.state[0])(update)

    def _update(
        self, group: _Group, slots: list[_Slot], lr: Tensor, divisor: Tensor | None, skip: Tensor | None
    ) -> kernels.Update:
        parameters: list[Tensor] = [slot.parameter for slot in slots]
        gradients = [slot.parameter.grad for slot in slots if slot.parameter.grad is not None]
        return kernels.Update(
            self.settings,
            parameters=_reals(parameters) if group.dtype.is_complex else parameters,
            gradients=_reals(gradients) if group.dtype.is_complex else gradients,
            state=[list(tensors) for tensors in zip(*(slot.state for slot in slots), strict=True)],
            steps=[slot.step for slot in slots],
            lr=lr,
            weight_decay=group.weight_decay,
            divisor=divisor,
            skip=skip,
        )

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """The state itself, parameter by parameter: {name: {state name: tensor}}."""
        return {slot.name: self._tensors(slot) for slots in self._slots.values() for slot in slots}

    def state_dict(self) -> dict[str, Any]:
        """Copies of `tensors`."""
        return {
            parameter: {name: tensor.clone() for name, tensor in state.items()}
            for parameter, state in self.tensors().items()
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave. Raises CheckpointError if it belongs to another model or optimizer."""
        for slots in self._slots.values():
            for slot in slots:
                saved = state.get(slot.name, {})
                for name, tensor in self._tensors(slot).items():
                    if name not in saved or saved[name].shape != tensor.shape:
                        raise CheckpointError(
                            f"the checkpoint has no {name} for {slot.name} of shape {tuple(tensor.shape)}",
                            hint="It was written by another model or with another optimizer.",
                        )
                    tensor.copy_(saved[name])

    def _tensors(self, slot: _Slot) -> dict[str, Tensor]:
        return {"step": slot.step, **dict(zip(STATE_NAMES[self.settings.optimizer], slot.state, strict=True))}


def _slot(name: str, parameter: nn.Parameter, settings: OptimizerSettings, *, blank: bool) -> _Slot:
    (values,) = _reals([parameter.detach()]) if parameter.is_complex() else [parameter.detach()]
    new = torch.empty_like if blank else torch.zeros_like
    state = tuple(new(values) for _ in STATE_NAMES[settings.optimizer])
    return _Slot(name, parameter, state, torch.zeros((), dtype=torch.float32, device=parameter.device))


def _reals(tensors: list[Tensor]) -> list[Tensor]:
    return [torch.view_as_real(tensor.resolve_conj()) for tensor in tensors]
