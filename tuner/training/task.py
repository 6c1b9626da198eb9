"""Task: a declarative training job that the trainer (and later the lanes) can run. Importing this loads no torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from tuner.records import Config

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.utils.data import Dataset

    Pair = tuple[Tensor, Tensor]
    Rows = Pair | Dataset[Pair]


class Splits(NamedTuple):
    """The examples that train and the examples that choose.

    Each is a pair (inputs, targets) of equally many rows, which is kept on the device, or a map-style torch Dataset of
    such pairs, one row each, which is loaded batch by batch. Any statistics used to prepare them (a mean, a
    vocabulary) come from `train` alone. Test data has no place here.
    """

    train: Rows
    validation: Rows
    also: Mapping[str, Pair] = {}
    """Further examples to measure on, by name: reported as `<name>_loss` and `<name>_<metric>`."""


class Task(ABC):
    """A training job: data, model, loss, metrics. Subclass it, name it as a study's objective, and that is all.

    Keep attributes to numbers and strings: tasks with equal attributes then share one copy of the data in a process.
    Whatever is drawn from torch's generators, in a model or a hook, is a function of the trial's seed and the step.
    """

    __tuner_task__: ClassVar[bool] = True
    """How the other rooms recognise a Task without importing this one."""
    wants_gpu: ClassVar[bool] = True
    """Whether `gpus: auto` should give it a GPU where there is one."""
    uses_horizon: ClassVar[bool] = False
    """Whether `forward` looks at `progress`: then a trial that is to go further than was planned starts again."""
    n_classes: ClassVar[int | None] = None
    """For classification with cross-entropy: outputs (rows, n_classes, ...) of logits and targets of whole numbers.
    Label smoothing and several of `tune check --deep`'s questions need to know.
    """

    def fetch(self) -> None:
        """Put what `data` reads where it finds it: called where the study is started, before anything is written, and
        once on every other node of a cluster, before its workers begin. Raises DataError.
        """
        return

    @abstractmethod
    def data(self) -> Splits:
        """All the data, on the CPU; called once per process. Raises DataError if it cannot be had."""

    @abstractmethod
    def model(self, config: Config) -> nn.Module:
        """A new model, its weights drawn from torch's generator (which the trainer seeds and restores)."""

    @abstractmethod
    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of a batch: a scalar with a gradient."""

    def metrics(self, outputs: Tensor, targets: Tensor) -> Mapping[str, Tensor]:  # noqa: ARG002 - for those who measure
        """Means over a batch, such as {"accuracy": ...}: reported on the validation split as `val_accuracy`."""
        return {}

    def prepare(self, inputs: Tensor) -> Tensor:
        """A batch of the stored inputs as the model takes them: runs on the device, in training and evaluation.

        The place to turn bytes into normalised floats, so that the data stays small where it is kept.
        """
        return inputs

    def augment(self, inputs: Tensor) -> Tensor:
        """A prepared training batch, varied at random: runs on the device, in training only. Same shape."""
        return inputs

    def forward(self, model: nn.Module, inputs: Tensor, progress: Tensor | None) -> Tensor:  # noqa: ARG002 - for some
        """The model's outputs for a prepared batch. `progress` is the share of training done (a scalar), None in
        evaluation: for what changes along the way, as scheduled sampling does.
        """
        outputs: Tensor = model(inputs)
        return outputs

    def measures(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Mapping[str, Tensor]:
        """Means over a prepared batch in evaluation: "loss" and the metrics. Override for what takes the model."""
        outputs = self.forward(model, inputs, None)
        return {"loss": self.loss(outputs, targets), **self.metrics(outputs, targets)}

    def penalty(self, model: nn.Module) -> Tensor | None:  # noqa: ARG002 - for those who have one
        """A term that the training loss has besides the batch's (an elastic penalty, say): a scalar with a gradient."""
        return None

    def difficulty(self, inputs: Tensor, targets: Tensor) -> Tensor | None:  # noqa: ARG002 - for those who know it
        """A score of each training row (rows,), lower is easier: what a curriculum goes by. `inputs` as stored."""
        return None


def identity(task: Task) -> Hashable | None:
    """What two tasks with the same data have in common; None if the task holds more than numbers and strings."""
    attributes: dict[str, Any] = vars(task)
    if all(isinstance(value, bool | int | float | str | None) for value in attributes.values()):
        return (type(task), *sorted((name, repr(value)) for name, value in attributes.items()))
    return None
