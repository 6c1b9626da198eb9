"""The trainer's parts: settings, schedules, clipping, decay groups, data order, randomness, evaluation."""

import itertools
import math

import pytest
import torch
from torch import nn

from tuner.errors import SpecError
from tuner.training import Splits, Task, TrainerSettings
from tuner.training.clipping import clip_divisor, global_norm, norms
from tuner.training.data import Examples, device_data, epoch_batches, n_batches
from tuner.training.dynamics import RATIO_EVERY, Dynamics, is_sampled
from tuner.training.evaluation import EVALUATION_BATCH, evaluate
from tuner.training.optimizer import decays
from tuner.training.randomness import cpu_threads, permutation, seeded
from tuner.training.schedules import learning_rates

CPU = torch.device("cpu")


def rates(total, **settings):
    settings = TrainerSettings(**{"lr": 1.0, **settings})
    return learning_rates(settings, torch.arange(total), total).tolist()


def test_constant_schedule():
    assert rates(5) == [1.0] * 5


def test_warmup_rises_to_the_peak_and_stays():
    assert rates(10, warmup=0.3) == pytest.approx([0.25, 0.5, 0.75] + [1.0] * 7)
    assert rates(4, warmup=1.0) == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert rates(3, warmup=0.0) == [1.0] * 3


def test_cosine_is_the_closed_form_and_torchs():
    expected = [0.5 * (1 + math.cos(math.pi * s / 20)) for s in range(20)]
    assert rates(20, schedule="cosine") == pytest.approx(expected, abs=1e-7)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=20)
    seen = []
    for _ in range(20):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert rates(20, schedule="cosine") == pytest.approx(seen, abs=1e-6)


def test_cosine_after_warmup_starts_at_the_peak_and_ends_at_zero():
    values = rates(10, schedule="cosine", warmup=0.2)
    assert values[:3] == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert all(a > b for a, b in itertools.pairwise(values[2:]))
    beyond = learning_rates(TrainerSettings(lr=1.0, schedule="cosine"), torch.tensor([9, 10, 11]), 10)
    assert beyond[1:].tolist() == [0.0, 0.0]


def test_settings_take_their_keys_and_leave_the_rest():
    settings = TrainerSettings.from_config({"lr": 1, "width": 99, "clip_norm": None, "optimizer": "sgd"})
    assert (settings.lr, settings.clip_norm, settings.optimizer, settings.batch_size) == (1.0, None, "sgd", 128)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("lr", value) for value in (0, -1.0, math.nan, math.inf, "fast", None, True)),
        *(("batch_size", value) for value in (0, 1.5, "64")),
        *(("warmup", value) for value in (-0.1, 1.1)),
        *(("clip_norm", value) for value in (0.0, -1.0)),
        *(("momentum", 1.0), ("weight_decay", -1e-9), ("optimizer", "adam"), ("schedule", "linear"), ("nesterov", 1)),
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


def test_decay_spares_biases_and_norms_unless_told():
    model = nn.Sequential(nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4), nn.LayerNorm((4, 6)), nn.Linear(6, 2))
    model[3].weight.requires_grad_(False)
    names = {name for name, decay in decays(model, TrainerSettings()).items() if decay}
    assert names == {"0.weight"}
    assert all(decays(model, TrainerSettings(decay_biases_and_norms=True)).values())
    assert "3.weight" not in decays(model, TrainerSettings())


def test_an_epoch_sees_every_row_once_in_an_order_of_seed_and_epoch():
    examples = Examples(torch.arange(103), torch.arange(103) * 2)
    epoch = list(epoch_batches(examples, 10, seed=5, epoch=2))
    assert [len(batch) for batch in epoch] == [10] * 10 + [3]
    assert n_batches(103, 10) == 11
    order = torch.cat([batch.inputs for batch in epoch])
    assert torch.equal(order.sort().values, examples.inputs)
    assert all(torch.equal(batch.targets, batch.inputs * 2) for batch in epoch)
    torch.manual_seed(99)
    again, other_epoch, other_seed = (
        torch.cat([batch.inputs for batch in epoch_batches(examples, 10, seed=seed, epoch=number)])
        for seed, number in ((5, 2), (5, 3), (6, 2))
    )
    assert torch.equal(order, again)
    assert not torch.equal(order, other_epoch)
    assert not torch.equal(order, other_seed)


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
    examples = Examples(torch.arange(rows), torch.arange(rows))
    epoch = list(epoch_batches(examples, batch_size, seed=0, epoch=1))
    assert [len(batch) for batch in epoch] == sizes
    assert n_batches(rows, batch_size) == len(sizes)
    assert torch.equal(torch.cat([batch.inputs for batch in epoch]).sort().values, examples.inputs)


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


def test_evaluation_averages_over_rows_with_dropout_off_and_restores_the_mode():
    rows = torch.rand(2 * EVALUATION_BATCH + 7, 1)
    model = nn.Dropout(0.5).train()
    measured = evaluate(Identity(), model, Examples(rows, rows[:, 0]))
    assert measured["loss"].item() == pytest.approx(rows.double().mean().item() / 10, rel=1e-6)
    assert measured["largest"].item() == 1.0
    assert model.training


def test_the_train_subset_is_fixed_and_as_large_as_validation():
    data = device_data(Identity(), CPU)
    assert (len(data.train), len(data.validation), len(data.train_subset)) == (20, 10, 10)
    rows = data.train_subset.inputs[:, 0]
    assert len(set(rows.tolist())) == 10
    assert set(rows.tolist()) <= set(range(20))


def test_the_epoch_summary_by_hand():
    dynamics = Dynamics(
        losses=[torch.tensor(v) for v in (1.0, 2.0, math.nan, 4.0)],
        sizes=[10, 10, 10, 2],
        gradient_norms=dict(enumerate(map(torch.tensor, ([1.0], [3.0], [math.inf, 1.0], [3.0, 4.0])))),
        update_ratios=[torch.tensor(0.1), torch.tensor(0.3)],
    )
    summary = dynamics.summary(clip_norm=2.0)
    assert summary["nonfinite_steps"] == 1
    assert math.isnan(summary["train_loss"])
    assert (summary["grad_norm_p50"], summary["grad_norm_max"], summary["clip_rate"]) == (3.0, 5.0, 0.75)
    assert summary["update_ratio"] == pytest.approx(0.2)
    some = Dynamics([torch.tensor(1.0)] * 3, [1] * 3, {0: torch.tensor([2.0]), 2: torch.tensor([math.nan])})
    assert some.summary(None)["nonfinite_steps"] == 1
    assert some.summary(None)["grad_norm_p99"] == 2.0
    weighted = Dynamics(losses=[torch.tensor(1.0), torch.tensor(4.0)], sizes=[9, 1]).summary(None)
    assert weighted["train_loss"] == pytest.approx(1.3)


def test_the_update_ratio_is_sampled_on_few_steps_and_always_on_the_last():
    sampled = [step for step in range(391) if is_sampled(step, 391)]
    assert len(sampled) == 391 // RATIO_EVERY + 1
    assert sampled[-1] == 390
    assert [step for step in range(3) if is_sampled(step, 3)] == [2]
