"""The trainer's parts: settings, clipping, data order, randomness, evaluation."""

import math

import pytest
import torch
from torch import nn

from tuner.errors import SpecError
from tuner.training import Splits, Task, TrainerSettings
from tuner.training.backends import cpu_threads
from tuner.training.clipping import clip_divisor, global_norm, norms
from tuner.training.curriculum import epoch_order
from tuner.training.data import EvaluationSet, batch_rows, n_batches, open_data
from tuner.training.evaluation import evaluate
from tuner.training.examples import Examples
from tuner.training.randomness import permutation, seeded
from tuner.training.settings import BatchSettings, groups

CPU = torch.device("cpu")


def test_settings_take_their_keys_and_leave_the_rest():
    settings = TrainerSettings.from_config({"lr": 1, "width": 99, "clip_norm": None, "optimizer": "sgd"})
    assert (settings.schedule.lr, settings.gradients.clip_norm) == (1.0, None)
    assert (settings.optimizer.optimizer, settings.batches.batch_size) == ("sgd", 128)


def test_no_two_groups_have_a_setting_of_the_same_name():
    names = [name for group in groups().values() for name in group.model_fields]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("lr", value) for value in (0, -1.0, math.nan, math.inf, "fast", None, True)),
        *(("batch_size", value) for value in (0, 1.5, "64")),
        *(("warmup", value) for value in (-0.1, 1.1)),
        *(("clip_norm", value) for value in (0.0, -1.0)),
        *(("momentum", 1.0), ("weight_decay", -1e-9), ("optimizer", "lion"), ("schedule", "flat"), ("nesterov", 1)),
        *(("precision", "fp8"), ("nonfinite", "ignore"), ("skip_above", 1.0), ("micro_batch", 0), ("clip_value", 0)),
    ],
)
def test_a_wrong_setting_is_a_spec_error_at_its_key(key, value):
    with pytest.raises(SpecError) as error:
        TrainerSettings.from_config({key: value})
    assert error.value.path == key


@pytest.mark.parametrize("clip_norm", [0.01, 1.0, 100.0])
def test_clipping_is_torchs(clip_norm):
    gradients = [torch.randn(7, 3), torch.randn(5)]
    parameters = [torch.zeros_like(g, requires_grad=True) for g in gradients]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient.clone()
    expected_norm = nn.utils.clip_grad_norm_(parameters, clip_norm)
    norm = global_norm(gradients)
    assert norm.item() == pytest.approx(expected_norm.item(), rel=1e-6)
    divisor = clip_divisor(norm, clip_norm)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        torch.testing.assert_close(gradient / divisor, parameter.grad, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("dtypes", "wider"),
    [
        ((torch.float32, torch.float64), torch.float64),
        ((torch.float64,), torch.float64),
        ((torch.bfloat16, torch.float16, torch.float32), torch.float32),
        ((torch.bfloat16,), torch.float32),
    ],
)
def test_norms_are_of_the_wider_type_and_divisors_always_float32(dtypes, wider):
    tensors = [torch.full((2, 8), 0.5, dtype=dtype) for dtype in dtypes]
    assert norms(tensors).dtype == global_norm(tensors).dtype == wider
    assert norms(tensors).tolist() == [2.0] * len(tensors)
    assert clip_divisor(global_norm(tensors), 0.5).dtype == torch.float32


def order_of(n, seed, epoch):
    return epoch_order(n, seed, epoch, None, 1.0)


def test_an_epoch_sees_every_row_once_in_an_order_of_seed_and_epoch():
    examples = Examples(torch.arange(103) * 3, torch.arange(103) * 2)
    rows = batch_rows(order_of(103, 5, 2), 10)
    epoch = list(examples.batches(rows, 2))
    assert [len(batch) for batch in epoch] == [10] * 10 + [3]
    assert n_batches(103, 10) == 11
    inputs, targets = (torch.cat([getattr(batch, part) for batch in epoch]) for part in ("inputs", "targets"))
    assert torch.equal(inputs.sort().values, examples.inputs)
    assert torch.equal(targets * 3, inputs * 2)
    torch.manual_seed(99)
    assert torch.equal(order_of(103, 5, 2), order_of(103, 5, 2))
    assert not torch.equal(order_of(103, 5, 2), order_of(103, 5, 3))
    assert not torch.equal(order_of(103, 5, 2), order_of(103, 6, 2))


@pytest.mark.parametrize(
    ("rows", "batch_size", "sizes"),
    [
        (65, 32, [32, 33]),
        (66, 32, [32, 32, 2]),
        (64, 32, [32, 32]),
        (33, 32, [33]),
        (3, 2, [3]),
        (1, 32, [1]),
        (1, 1, [1]),
        (3, 1, [1, 1, 1]),
        (5, 8, [5]),
    ],
)
def test_a_last_row_alone_joins_the_batch_before_it(rows, batch_size, sizes):
    batches = batch_rows(order_of(rows, 0, 1), batch_size)
    assert [len(batch) for batch in batches] == sizes
    assert n_batches(rows, batch_size) == len(sizes)
    assert torch.equal(torch.cat(batches).sort().values, torch.arange(rows))


def test_permutations_are_pinned():
    """The order is part of what a seed means: a change of it changes every stored study."""
    assert permutation(8, 0, "order", 1).tolist() == PINNED


PINNED = [3, 6, 2, 4, 7, 0, 5, 1]


def test_seeded_and_threads_put_things_back():
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    with seeded(CPU, 3, "weights"):
        first = torch.rand(3)
    with seeded(CPU, 3, "weights"), cpu_threads(threads + 1):
        assert torch.equal(torch.rand(3), first)
        assert torch.get_num_threads() == threads + 1
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


class Identity(Task):
    """Loss and metric are the outputs' mean, so that means over uneven batches can be checked by hand."""

    def data(self):
        rows = torch.arange(30.0)[:, None]
        return Splits((rows[:20], rows[:20, 0]), (rows[20:], rows[20:, 0]))

    def model(self, config):
        return nn.Dropout(0.5)

    def loss(self, outputs, targets):
        return outputs.mean()

    def metrics(self, outputs, targets):
        return {"largest": outputs.max() * 0 + 1}

    def prepare(self, inputs):
        return inputs / 10


@pytest.mark.parametrize("chosen", [None, torch.arange(3, 17)], ids=["all", "some"])
def test_evaluation_averages_over_rows_with_dropout_off_and_restores_the_mode(chosen):
    rows = torch.rand(27, 1)
    model = nn.Dropout(0.5).train()
    measured = evaluate(Identity(), model, EvaluationSet(Examples(rows, rows[:, 0]), chosen), batch=10)
    expected = rows if chosen is None else rows[chosen]
    assert measured["loss"].item() == pytest.approx(expected.double().mean().item() / 10, rel=1e-6)
    assert measured["largest"].item() == 1.0
    assert model.training


def test_the_train_subset_is_fixed_and_as_large_as_validation():
    data = open_data(Identity(), CPU, BatchSettings(), seed=0, threads=1)
    assert (len(data.train), len(data.validation), len(data.train_subset)) == (20, 10, 10)
    (subset,) = data.train_subset.batches(100)
    rows = subset.inputs[:, 0].tolist()
    assert len(set(rows)) == 10
    assert set(rows) <= set(range(20))
