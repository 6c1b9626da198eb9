"""The two networks that the classification tasks share: a multilayer perceptron and a small convolutional one.

Both read `width`, `layers`, `dropout` and `norm` from a configuration and draw their weights from torch's default
generator, as nn.Module does. Sizes are fixed when they are built: nothing in them depends on the data.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from objectives.config import count, probability, word
from tuner.errors import SpecError
from tuner.records import Config

NORMS = ("batch", "layer", "none")


def mlp(config: Config, n_inputs: int, n_outputs: int, *, width: int, layers: int) -> nn.Sequential:
    """Logits (rows, n_outputs) of inputs with `n_inputs` numbers a row, in any shape.

    `layers` hidden layers, the first `width` wide and each other half as wide as the one before; `norm` (none) before
    the activation, `dropout` (0) behind it. `width` and `layers` are the defaults.
    """
    width, layers = count(config, "width", width), count(config, "layers", layers)
    dropout, norm = probability(config, "dropout"), word(config, "norm", "none", NORMS)
    modules: list[nn.Module] = [nn.Flatten()]
    size = n_inputs
    for depth in range(layers):
        wide = max(n_outputs, width >> depth)
        modules += [nn.Linear(size, wide), *_norm(norm, nn.BatchNorm1d, wide), nn.ReLU(), *_dropout(dropout)]
        size = wide
    return nn.Sequential(*modules, nn.Linear(size, n_outputs))


def cnn(config: Config, size: int, n_outputs: int, *, dimensions: int, kernel: int, width: int) -> nn.Sequential:
    """Logits (rows, n_outputs) of signals (rows, 1, size) or images (rows, 1, size, size): 1 or 2 `dimensions`.

    `layers` (3) stages of convolution, pooling to half the size, norm and ReLU, the first with `width` channels and
    each other with twice as many; then `dropout` (0) and a linear layer. `norm` (batch); `layer` takes the mean over
    all channels and places of a row, which is group norm with one group (Wu & He 2018).
    Raises SpecError where so many stages would leave nothing of the size.
    """
    width, layers = count(config, "width", width), count(config, "layers", 3)
    dropout, norm = probability(config, "dropout"), word(config, "norm", "batch", NORMS)
    if size >> layers == 0:
        most = size.bit_length() - 1
        raise SpecError(f"must be at most {most} for a CNN, got {layers}", path="layers", hint="Each halves the input.")
    convolution, pool, batch_norm = _OF_DIMENSIONS[dimensions]
    modules: list[nn.Module] = []
    channels = 1
    for stage in range(layers):
        wide = width << stage
        # Pooled before the norm, which then has a quarter of an image's points to work on.
        modules += [
            convolution(channels, wide, kernel, padding=kernel // 2, bias=norm == "none"),
            pool(2),
            *_norm(norm, batch_norm, wide, images=True),
            nn.ReLU(),
        ]
        channels = wide
    n_features = channels * (size >> layers) ** dimensions
    return nn.Sequential(*modules, nn.Flatten(), *_dropout(dropout), nn.Linear(n_features, n_outputs))


_OF_DIMENSIONS: dict[int, tuple[Callable[..., nn.Module], ...]] = {
    1: (nn.Conv1d, nn.MaxPool1d, nn.BatchNorm1d),
    2: (nn.Conv2d, nn.MaxPool2d, nn.BatchNorm2d),
}


def _norm(name: str, batch_norm: Callable[[int], nn.Module], width: int, *, images: bool = False) -> list[nn.Module]:
    if name == "none":
        return []
    if name == "batch":
        return [batch_norm(width)]
    return [nn.GroupNorm(1, width) if images else nn.LayerNorm(width)]


def _dropout(share: float) -> list[nn.Module]:
    return [nn.Dropout(share)] if share else []
