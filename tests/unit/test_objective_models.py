"""The tasks' networks: their sizes in closed form, their norms against torch's definitions, and no synchronisation."""

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from objectives.config import count, probability, word
from objectives.digits import Digits
from objectives.mnist import Mnist
from objectives.mnist1d import Mnist1d
from objectives.models import cnn, mlp
from tuner.errors import SpecError

NORMS = ("batch", "layer", "none")
NETWORKS = [
    (Digits(), {}),
    *((Mnist(), {"model": model, "norm": norm, "dropout": 0.1}) for model in ("mlp", "cnn") for norm in NORMS),
    *((Mnist1d(), {"model": model, "dropout": 0.1, "layers": 2}) for model in ("mlp", "cnn", "gru")),
]
NAMES = [" ".join([type(task).__name__, *map(str, config.values())]) for task, config in NETWORKS]


def stored(task, rows):
    """Rows as the task stores them."""
    if isinstance(task, Mnist1d):
        return torch.randn(rows, 40)
    size = 8 if isinstance(task, Digits) else 28
    return torch.randint(17, (rows, 1, size, size), dtype=torch.uint8)


def step(task, model, inputs, targets):
    outputs = model(task.augment(task.prepare(inputs)))
    loss = task.loss(outputs, targets)
    loss.backward()
    return outputs, loss, task.metrics(outputs, targets)


@pytest.mark.parametrize(("task", "config"), NETWORKS, ids=NAMES)
def test_a_step_gives_every_weight_a_gradient(task, config):
    model = task.model(config)
    outputs, loss, metrics = step(task, model, stored(task, 6), torch.arange(6))
    assert (outputs.shape, outputs.dtype, loss.shape) == ((6, 10), torch.float32, ())
    assert metrics["accuracy"].item() == pytest.approx((outputs.argmax(1) == torch.arange(6)).sum().item() / 6)
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize(("task", "config"), NETWORKS, ids=NAMES)
def test_a_step_never_asks_a_tensor_for_its_value(task, config):
    """Fake tensors have shapes and no values: what would wait for a GPU, or depend on its data, raises."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        _, loss, _ = step(task, task.model(config), stored(task, 6), torch.arange(6))
        with pytest.raises(DataDependentOutputException):
            loss.item()


@pytest.mark.parametrize(("task", "config"), NETWORKS, ids=NAMES)
def test_weights_are_drawn_from_torchs_generator(task, config):
    def weights(seed):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return nn.utils.parameters_to_vector(task.model(config).parameters())

    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))


def n_weights(model):
    return sum(parameter.numel() for parameter in model.parameters())


def test_sizes():
    assert n_weights(mlp({}, 784, 10, width=256, layers=2)) == 785 * 256 + 257 * 128 + 129 * 10
    assert n_weights(mlp({"norm": "batch"}, 64, 10, width=32, layers=1)) == 65 * 32 + 2 * 32 + 33 * 10
    two = cnn({"norm": "none"}, 28, 10, dimensions=2, kernel=3, width=4)
    assert n_weights(two) == (9 + 1) * 4 + (9 * 4 + 1) * 8 + (9 * 8 + 1) * 16 + (16 * 3 * 3 + 1) * 10
    one = cnn({"layers": 2, "width": 8}, 40, 10, dimensions=1, kernel=5, width=4)
    assert n_weights(one) == (5 + 2) * 8 + (5 * 8 + 2) * 16 + (16 * 10 + 1) * 10  # no biases before a norm


def test_a_wide_network_narrows_no_further_than_its_outputs():
    model = mlp({"layers": 5, "width": 64}, 8, 10, width=1, layers=1)
    assert [layer.out_features for layer in model if isinstance(layer, nn.Linear)] == [64, 32, 16, 10, 10, 10]


def test_layer_norm_of_images_takes_a_row_as_one():
    model = cnn({"norm": "layer", "layers": 1}, 8, 10, dimensions=2, kernel=3, width=4)
    inputs = torch.randn(3, 1, 8, 8)
    pooled = model[1](model[0](inputs))
    assert torch.allclose(model[2](pooled), nn.functional.layer_norm(pooled, pooled.shape[1:]), atol=1e-6)


def test_dropout_acts_in_training_only():
    model = mlp({"dropout": 0.5}, 8, 10, width=64, layers=1)
    inputs = torch.randn(4, 8)
    assert not torch.equal(model(inputs), model(inputs))
    model.eval()
    assert torch.equal(model(inputs), model(inputs))


def test_stages_that_would_leave_nothing_are_refused():
    assert cnn({"layers": 4}, 28, 10, dimensions=2, kernel=3, width=2)(torch.randn(2, 1, 28, 28)).shape == (2, 10)
    with pytest.raises(SpecError, match=r"layers: must be at most 4 for a CNN, got 5"):
        cnn({"layers": 5}, 28, 10, dimensions=2, kernel=3, width=2)


@pytest.mark.parametrize("wrong", [0, -1, 1.0, True, "3", None])
def test_what_is_no_count(wrong):
    with pytest.raises(SpecError, match=r"width: must be a whole number of at least 1, got"):
        count({"width": wrong}, "width", 7)
    assert count({}, "width", 7) == 7


@pytest.mark.parametrize("wrong", [1.0, -0.1, float("nan"), True, "0.5", None])
def test_what_is_no_probability(wrong):
    with pytest.raises(SpecError, match=r"dropout: must be a number of at least 0 and below 1, got"):
        probability({"dropout": wrong}, "dropout")
    assert probability({"dropout": 0}, "dropout") == 0.0


def test_a_word_is_corrected():
    with pytest.raises(SpecError, match=r"norm: must be one of batch, layer, none, got 'Batch'") as error:
        word({"norm": "Batch"}, "norm", "none", NORMS)
    assert error.value.hint.startswith("Did you mean 'batch'?")
