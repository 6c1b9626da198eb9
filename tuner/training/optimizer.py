"""The optimizer of a solo run: parameter groups, state, and the update rules applied in place.

Why lists of tensors and torch's fused kernels: on one thread, a batch of 128 and the MNIST MLP, interleaved in one
process (medians of 250 steps, forward and backward 2.8 ms of each), a step took 3.6 ms so, 3.7 ms with all parameters
in one flat buffer and the same kernel, 4.2 ms flat with elementwise operations, 4.0 ms with
torch.optim.AdamW(fused=True) and clip_grad_norm_, 5.2 ms with torch's default and 6.4 ms with the pure rules. So a flat
buffer gains nothing, and the kernel's own division of the gradient saves the pass that clipping would need. Called
directly, the kernel took 0.13 ms of that in a loop of its own, and torch.optim's function around it 0.22 ms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tuner.errors import CheckpointError
from tuner.training import update_rules
from tuner.training.settings import TrainerSettings

NORMS = (nn.LayerNorm, nn.RMSNorm)  # the only ones whose scales may have more than one dimension
FUSED_DEVICES = ("cpu", "cuda")
STATE_NAMES = {"adamw": ("exp_avg", "exp_avg_sq"), "sgd": ("momentum_buffer",)}


def decays(model: nn.Module, settings: TrainerSettings) -> dict[str, bool]:
    """Which of the trained parameters weight decay pulls on, by name.

    Not biases, scales or any other vector, nor what belongs to a normalisation layer: shrinking those regularises
    nothing (Goyal et al. 2017, §5.3), unless `decay_biases_and_norms` says otherwise.
    """
    in_norms = {
        id(p) for module in model.modules() if isinstance(module, NORMS) for p in module.parameters(recurse=False)
    }
    return {
        name: settings.decay_biases_and_norms or (p.ndim > 1 and id(p) not in in_norms)
        for name, p in model.named_parameters()
        if p.requires_grad
    }


@dataclass(frozen=True)
class _Slot:
    """One parameter with its optimizer state."""

    name: str
    parameter: nn.Parameter
    state: tuple[Tensor, ...]
    step: Tensor


class Optimizer:
    """Updates the trainable parameters of a model in place, by the rule that the settings name.

    A parameter without a gradient is left as it is, as in torch.
    """

    def __init__(self, model: nn.Module, settings: TrainerSettings) -> None:
        self.settings = settings
        parameters = dict(model.named_parameters())
        decayed = decays(model, settings)
        self._slots: dict[tuple[bool, torch.dtype], list[_Slot]] = {}  # torch's kernels take one type at a time
        for name, decay in sorted(decayed.items(), key=lambda item: not item[1]):
            parameter = parameters[name]
            self._slots.setdefault((decay, parameter.dtype), []).append(_slot(name, parameter, settings))

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The parameters that are trained, decayed ones first."""
        return [slot.parameter for slots in self._slots.values() for slot in slots]

    def zero_grad(self) -> None:
        """Forget the gradients, so that the next backward pass stores its own without adding."""
        for parameter in self.parameters:
            parameter.grad = None

    def gradients(self) -> list[Tensor]:
        """The gradients that the last backward pass left."""
        return [parameter.grad for parameter in self.parameters if parameter.grad is not None]

    def step(self, lr: Tensor, divisor: Tensor | None = None) -> None:
        """One update at learning rate `lr`, the gradients divided by `divisor` (both float32 scalars on the device)."""
        for (decay, _), slots in self._slots.items():
            ready = [slot for slot in slots if slot.parameter.grad is not None]
            if ready:
                weight_decay = self.settings.weight_decay if decay else 0.0
                update = _update_fused if _is_fusable(ready) else _update_plain
                update(ready, self.settings, lr, weight_decay, divisor)

    def state_dict(self) -> dict[str, Any]:
        """Copies of the state, parameter by parameter: {name: {state name: tensor}}."""
        names = STATE_NAMES[self.settings.optimizer]
        return {
            slot.name: {"step": slot.step.clone(), **{n: t.clone() for n, t in zip(names, slot.state, strict=True)}}
            for slots in self._slots.values()
            for slot in slots
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave. Raises CheckpointError if it belongs to another model or optimizer."""
        names = STATE_NAMES[self.settings.optimizer]
        for slots in self._slots.values():
            for slot in slots:
                saved = state.get(slot.name, {})
                for name, tensor in zip(("step", *names), (slot.step, *slot.state), strict=True):
                    if name not in saved or saved[name].shape != tensor.shape:
                        raise CheckpointError(
                            f"the checkpoint has no {name} for {slot.name} of shape {tuple(tensor.shape)}",
                            hint="It was written by another model or with another optimizer.",
                        )
                    tensor.copy_(saved[name])


def _slot(name: str, parameter: nn.Parameter, settings: TrainerSettings) -> _Slot:
    state = tuple(torch.zeros_like(parameter, requires_grad=False) for _ in STATE_NAMES[settings.optimizer])
    return _Slot(name, parameter, state, torch.zeros((), dtype=torch.float32, device=parameter.device))


def _is_fusable(slots: list[_Slot]) -> bool:
    return all(slot.parameter.device.type in FUSED_DEVICES and slot.parameter.is_floating_point() for slot in slots)


@torch.no_grad()
def _update_fused(
    slots: list[_Slot], settings: TrainerSettings, lr: Tensor, weight_decay: float, divisor: Tensor | None
) -> None:
    """The kernels under torch.optim's `fused=True`, called directly: what torch wraps around them takes longer here
    than they do.
    """
    if divisor is not None and divisor.device.type == "cpu" and divisor.item() == 1.0:
        divisor = None  # looking is free on the CPU, and dividing by one would be a pass over the gradients
    parameters: list[Tensor] = [slot.parameter for slot in slots]
    gradients = [slot.parameter.grad for slot in slots if slot.parameter.grad is not None]
    first = [slot.state[0] for slot in slots]
    steps = [slot.step for slot in slots]
    torch._foreach_add_(steps, 1)
    if settings.optimizer == "adamw":
        torch._fused_adamw_(
            parameters,
            gradients,
            first,
            [slot.state[1] for slot in slots],
            [],
            steps,
            lr=lr,
            weight_decay=weight_decay,
            beta1=settings.beta1,
            beta2=settings.beta2,
            eps=settings.eps,
            amsgrad=False,
            maximize=False,
            grad_scale=divisor,
        )
    else:
        torch._fused_sgd_(
            parameters,
            gradients,
            first if settings.momentum else [],  # torch has no buffer without momentum
            lr=lr,
            weight_decay=weight_decay,
            momentum=settings.momentum,
            dampening=0.0,
            nesterov=settings.nesterov,
            maximize=False,
            is_first_step=False,  # the buffers start as zeros, which comes to the same
            grad_scale=divisor,
        )


@torch.no_grad()
def _update_plain(
    slots: list[_Slot], settings: TrainerSettings, lr: Tensor, weight_decay: float, divisor: Tensor | None
) -> None:
    """The pure rules, for devices and number types that torch has no fused kernel for."""
    for slot in slots:
        gradient = slot.parameter.grad
        assert gradient is not None
        if divisor is not None:
            gradient = gradient / divisor
        new: tuple[Tensor, tuple[Tensor, ...]]
        if settings.optimizer == "adamw":
            new = update_rules.adamw(
                slot.parameter,
                gradient,
                update_rules.AdamWState(slot.state[0], slot.state[1], slot.step),
                lr=lr,
                weight_decay=weight_decay,
                beta1=settings.beta1,
                beta2=settings.beta2,
                eps=settings.eps,
            )
        else:
            new = update_rules.sgd(
                slot.parameter,
                gradient,
                update_rules.SGDState(slot.state[0]),
                lr=lr,
                weight_decay=weight_decay,
                momentum=settings.momentum,
                nesterov=settings.nesterov,
            )
        slot.parameter.copy_(new[0])
        for kept, value in zip(slot.state, new[1], strict=False):  # the rule's own count of steps is the same
            kept.copy_(value)
        slot.step.add_(1)
