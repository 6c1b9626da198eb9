"""The layers of a model, from its input to its output: which learn, and how fast."""

from __future__ import annotations

from torch import nn

from tuner.errors import SpecError

NORMALISATIONS = (
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.SyncBatchNorm,
    nn.InstanceNorm1d,
    nn.InstanceNorm2d,
    nn.InstanceNorm3d,
    nn.GroupNorm,
    nn.LayerNorm,
    nn.RMSNorm,
)
PARAMETRISED = "parametrizations"  # where torch.nn.utils.parametrize keeps what a module's weight is computed from


def layers_of(model: nn.Module) -> list[list[str]]:
    """The names of the model's parameters, layer by layer in order of registration, each parameter once.

    A layer is a module that owns parameters itself (a Linear, a convolution, an LSTM with all its gates). A
    normalisation layer belongs to the layer before it, or to the next where there is none. Tied parameters belong to
    the first layer that has them. The order of registration is taken as that from input to output, so a model
    registers its modules as its forward pass uses them.
    """
    canonical = dict(model.named_parameters())
    layers: list[tuple[str, list[str]]] = []  # who owns the layer, and its parameters
    leading: list[str] = []  # norms before any layer
    for path, module in model.named_modules():
        names = [_joined(path, own) for own, _ in module.named_parameters(recurse=False)]
        names = [name for name in names if name in canonical]
        owner = _owner(path)
        if not names:
            continue
        if layers and (isinstance(module, NORMALISATIONS) or owner == layers[-1][0]):
            layers[-1][1].extend(names)
        elif isinstance(module, NORMALISATIONS):
            leading += names
        else:
            layers.append((owner, leading + names))
            leading = []
    if leading:  # nothing but norms
        layers.append(("", leading))
    return [names for _, names in layers]


def rate_multipliers(model: nn.Module, layer_decay: float) -> dict[str, float]:
    """What each parameter's learning rate is multiplied by: layer_decay once for each layer between it and the output.

    The last layer has 1 (Howard & Ruder 2018, §3.2, discriminative fine-tuning; there 1/2.6).
    """
    layers = layers_of(model)
    return {name: layer_decay ** (len(layers) - 1 - depth) for depth, names in enumerate(layers) for name in names}


def set_frozen(model: nn.Module, n: int, trainable: frozenset[str]) -> None:
    """Take the first `n` layers out of training, and put the others in; 0 thaws all.

    `trainable` names the parameters that required gradients when the model was made: the others stay out. A frozen
    layer's gradients are dropped; its buffers (a batch norm's statistics) still follow the data. An Optimizer for what
    is thawed later has to be made while all of `trainable` requires gradients. Raises SpecError at `freeze` if no
    layer is left to train.
    """
    layers = layers_of(model)
    if n and n >= len(layers):
        raise SpecError(
            f"must be below the number of the model's layers, {len(layers)}, got {n}",
            path="freeze",
            hint=f"Freeze at most {max(len(layers) - 1, 0)}, so that the output layer is trained.",
        )
    parameters = dict(model.named_parameters())
    for depth, names in enumerate(layers):
        for name in names:
            parameters[name].requires_grad_(depth >= n and name in trainable)
            if depth < n:
                parameters[name].grad = None


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _owner(path: str) -> str:
    """The module that a layer is named by: of a parametrised one, the module whose weight it is."""
    parts = path.split(".")
    return ".".join(parts[: parts.index(PARAMETRISED)]) if PARAMETRISED in parts else path
