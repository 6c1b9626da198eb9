"""Fine-tuning with few labels, and what it forgets: digits 5 to 9 for a network that knows 0 to 4."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional

from objectives.config import probability, word
from objectives.data.download import cache_folder, locked
from objectives.data.mnist import training_images
from objectives.mnist import MEAN, N_TRAIN, N_VALIDATION, STD
from tuner.errors import CheckpointError, DataError, SpecError, shown
from tuner.records import Config
from tuner.training import Splits, Task
from tuner.training.augmentation import rotate_and_shift
from tuner.training.backends import cpu_threads
from tuner.training.checkpoint import load, save
from tuner.training.randomness import permutation, seeded

N_OLD = 5
"""Digits below are the old classes, of the pretraining; the others are the new ones."""
POOL_PER_CLASS = 100
REHEARSED = 50
"""Old images in a step's rehearsal."""


@dataclass(frozen=True)
class Recipe:
    """How the network is pretrained: what a kept result depends on."""

    seed: int = 0
    epochs: int = 3
    batch_size: int = 128
    lr: float = 2e-3
    dropout: float = 0.3
    rotate: float = 10.0
    shift: float = 0.1
    fisher_images: int = 500
    pool_per_class: int = POOL_PER_CLASS


RECIPE = Recipe()


class FineTune(Task):
    """Digits 5 to 9 from `labels_per_class` images each; how many of 0 to 4 are still told is reported as well.

    A small convolutional network with outputs for all ten digits is pretrained on 0 to 4, once, and kept in the data
    cache. A configuration may give `start` (pretrained or scratch), `dropout` (0, before the output layer), and two
    remedies against forgetting: `rehearsal`, the weight of the loss on a random batch of 500 kept old images, and
    `ewc`, the λ of elastic weight consolidation (Kirkpatrick et al. 2017). The trainer's freeze, unfreeze_at and
    layer_decay see four layers. Measured on the new digits alone (val_loss, val_accuracy) and on the old ones
    (old_loss, old_accuracy).
    """

    n_classes: ClassVar[int | None] = 10

    def __init__(self, labels_per_class: int = 100) -> None:
        self.labels_per_class = labels_per_class

    def fetch(self) -> None:
        pretrained()

    def data(self) -> Splits:
        images, labels = digits()
        new = first_of_each(labels[:N_TRAIN], range(N_OLD, 10), self.labels_per_class)
        held_out, answers = images[-N_VALIDATION:], labels[-N_VALIDATION:]
        is_old = answers < N_OLD
        return Splits(
            train=(images[new], labels[new]),
            validation=(held_out[~is_old], answers[~is_old]),
            also={"old": (held_out[is_old], answers[is_old])},
        )

    def prepare(self, inputs: Tensor) -> Tensor:
        return torch.rsub(inputs.float(), -MEAN / STD, alpha=-1 / STD)  # (x - mean) / std in one pass

    def model(self, config: Config) -> nn.Module:
        start = word(config, "start", "pretrained", ("pretrained", "scratch"))
        dropout, rehearsal, ewc = probability(config, "dropout"), _weight(config, "rehearsal"), _weight(config, "ewc")
        if ewc and start == "scratch":
            raise SpecError(
                f"it ties the weights to the pretrained ones, but start is 'scratch', got {ewc!r}",
                path="ewc",
                hint="In a space: `when: {start: [pretrained]}`.",
            )
        network, known = Network(dropout), pretrained()
        if start == "pretrained":
            network.load_state_dict(dict(known.weights))
        network.memory = Memory(known, rehearsal, ewc)
        return network

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return functional.cross_entropy(outputs, targets)

    def metrics(self, outputs: Tensor, targets: Tensor) -> Mapping[str, Tensor]:
        return {"accuracy": (outputs.argmax(1) == targets).double().mean()}

    def penalty(self, model: nn.Module) -> Tensor | None:
        memory = cast("Network", model).memory
        assert memory is not None
        terms = []
        if memory.rehearsal:
            images, labels = memory.draw()
            terms.append(memory.rehearsal * self.loss(model(self.prepare(images)), labels))
        if memory.ewc:
            terms.append(memory.ewc * memory.distance(model))
        return torch.stack(terms).sum() if terms else None


class Network(nn.Module):
    """Two strided convolutions, a hidden layer and an output layer: (rows, 1, 28, 28) to (rows, 10)."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 16, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * 7 * 7, 128),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(128, 10),
        )
        self.memory: Memory | None = None

    def forward(self, images: Tensor) -> Tensor:
        return cast("Tensor", self.layers(images))


@dataclass(frozen=True)
class Pretrained:
    """What pretraining leaves: weights, their importance, and some of what they were learnt from."""

    weights: Mapping[str, Tensor]
    fisher: Mapping[str, Tensor]
    """The diagonal of the Fisher information on old images, by the weights' names and in their shapes."""
    images: Tensor
    """Old training images (uint8, rows x 1 x 28 x 28), POOL_PER_CLASS of each class."""
    labels: Tensor


class Memory(nn.Module):
    """What a model keeps of its pretraining, as buffers: they go where it goes and stay out of its checkpoints."""

    def __init__(self, known: Pretrained, rehearsal: float, ewc: float) -> None:
        super().__init__()
        self.rehearsal, self.ewc = rehearsal, ewc
        self.register_buffer("images", known.images.clone() if rehearsal else None, persistent=False)
        self.register_buffer("labels", known.labels.clone() if rehearsal else None, persistent=False)
        for name in known.weights if ewc else ():
            self.register_buffer(_buffer("anchor", name), known.weights[name].clone(), persistent=False)
            self.register_buffer(_buffer("fisher", name), known.fisher[name].clone(), persistent=False)

    def draw(self) -> tuple[Tensor, Tensor]:
        """REHEARSED random old images, as stored, and their labels, from the default generator of their device."""
        images, labels = self.get_buffer("images"), self.get_buffer("labels")
        rows = torch.randint(len(labels), (REHEARSED,), device=labels.device)
        return images[rows], labels[rows]

    def distance(self, model: nn.Module) -> Tensor:
        """½ Σ F_i (θ_i - θ*_i)² over the model's weights: Kirkpatrick et al. 2017, equation 3, without its λ."""
        terms = [
            self.get_buffer(_buffer("fisher", name)) * (weight - self.get_buffer(_buffer("anchor", name))).square()
            for name, weight in model.named_parameters()
        ]
        return torch.stack([term.sum() for term in terms]).sum() / 2


def pretrained() -> Pretrained:
    """The network that knows the old digits, from the data cache, where it is put if it is not there.

    Raises DataError when neither can be done.
    """
    what = f"{asdict(RECIPE)} {Network()}"
    digest = hashlib.sha256(what.encode()).hexdigest()[:16]
    return _pretrained(cache_folder() / f"fine-tune-{digest}.safetensors")


@lru_cache(maxsize=1)
def _pretrained(path: Path) -> Pretrained:
    try:
        found = _read(path)
        if found is None:
            with locked(path.parent / "fine-tune.lock"):  # of several workers that lack it, one makes it
                found = _read(path)
                if found is None:
                    found = pretrain(RECIPE)
                    save(vars(found), path)
    except OSError as error:
        raise DataError(
            f"the data cache {path.parent} cannot be used: {error}", hint="Set TUNER_DATA to a folder that can."
        ) from error
    return found


def _read(path: Path) -> Pretrained | None:
    """What a cached file holds; None if it is absent, damaged, or has other parts."""
    try:
        return Pretrained(**load(path))
    except (CheckpointError, TypeError):
        return None


def pretrain(recipe: Recipe) -> Pretrained:
    """Train a new network on the old digits of the training split: AdamW, a cosine to 0, one CPU thread.

    Only the outputs of old digits are in the loss. Those of digits that it never sees would learn to say no, whatever
    the image, and so would the features for them: a network that had to unlearn this would be no help to start from.
    """
    images, labels = digits()
    rows = (labels[:N_TRAIN] < N_OLD).nonzero().flatten()
    images, labels = images[rows], labels[rows]
    task, cpu = FineTune(), torch.device("cpu")
    # A thread pool of another size would sum in another order: not the same weights on machines with more cores.
    with cpu_threads(1), torch.enable_grad(), seeded(cpu, recipe.seed, "weights"):
        network = Network(recipe.dropout)
        optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.lr)
        n_steps = recipe.epochs * -(-len(rows) // recipe.batch_size)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps)
        for epoch in range(recipe.epochs):
            order = permutation(len(rows), recipe.seed, "order", epoch)
            for batch in torch.split(order, recipe.batch_size):
                optimizer.zero_grad()
                inputs = rotate_and_shift(task.prepare(images[batch]), recipe.rotate, recipe.shift)
                torch.autograd.backward(task.loss(network(inputs)[:, :N_OLD], labels[batch]))
                optimizer.step()
                schedule.step()
        some = permutation(len(rows), recipe.seed, "fisher")[: recipe.fisher_images]
        fisher = fisher_diagonal(network.eval(), task.prepare(images[some]), N_OLD)
    pool = first_of_each(labels, range(N_OLD), recipe.pool_per_class)
    weights = {name: weight.detach().clone() for name, weight in network.state_dict().items()}
    return Pretrained(weights, fisher, images[pool], labels[pool])


def fisher_diagonal(model: nn.Module, inputs: Tensor, n_classes: int, rows_at_a_time: int = 25) -> dict[str, Tensor]:
    """F_i = E_x E_y~p(y|x) (∂ log p(y|x) / ∂θ_i)², the mean over `inputs`; by parameter, in its shape.

    p is the softmax of the model's first `n_classes` outputs: weights of others have an F of 0 and stay free. The inner
    expectation is a sum over the classes, not a draw, and not the squared gradients of the labels at hand (the
    "empirical" Fisher, which differs: Kunstner et al. 2019).
    """
    parameters = {name: parameter.detach() for name, parameter in model.named_parameters()}

    def log_probability(weights: dict[str, Tensor], row: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        logs = functional_call(model, weights, (row.unsqueeze(0),))[0, :n_classes].log_softmax(0)
        chosen = logs.gather(0, label.unsqueeze(0))[0]
        return chosen, chosen.exp()

    gradients = vmap(grad(log_probability, has_aux=True), in_dims=(None, 0, 0))
    totals = {name: torch.zeros_like(parameter) for name, parameter in parameters.items()}
    for rows in torch.split(inputs, rows_at_a_time):
        for label in range(n_classes):
            found, probabilities = gradients(parameters, rows, torch.full((len(rows),), label))
            for name, gradient in found.items():
                totals[name] += torch.tensordot(probabilities.detach(), gradient.square(), 1)
    return {name: total / len(inputs) for name, total in totals.items()}


def digits() -> tuple[Tensor, Tensor]:
    """MNIST's training images (uint8, 60000 x 1 x 28 x 28) and labels (int64)."""
    images, labels = training_images()
    return torch.from_numpy(images).unsqueeze(1), torch.from_numpy(labels).long()


def first_of_each(labels: Tensor, classes: range, n: int) -> Tensor:
    """The rows of the first `n` of each of the classes, in order. Raises DataError if a class has fewer."""
    rows = [(labels == label).nonzero().flatten()[:n] for label in classes]
    for label, found in zip(classes, rows, strict=True):
        if len(found) < n:
            raise DataError(f"class {label} has {len(found)} images, fewer than the {n} asked for")
    return torch.cat(rows).sort().values


def _buffer(kind: str, parameter: str) -> str:
    return f"{kind}_{parameter.replace('.', '_')}"  # a buffer's name has no dots


def _weight(config: Config, name: str) -> float:
    value = config.get(name) or 0.0
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise SpecError(f"must be a number of at least 0, got {shown(value)}", path=name, hint="0 or null is off.")
    return float(value)
