"""Mixup by hand, its λ against Beta's distribution; label smoothing against torch's own."""

import warnings

import pytest
import torch
from scipy import stats
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from tuner.errors import SpecError
from tuner.training import Splits, Task
from tuner.training.regularisation import Mixed, _beta, check_regularisation, mix, training_loss
from tuner.training.settings import RegularisationSettings

CPU = torch.device("cpu")


class Classifier(Task):
    n_classes = 5

    def data(self):
        return Splits((torch.rand(4, 3), torch.arange(4)), (torch.rand(4, 3), torch.arange(4)))

    def model(self, config):
        return nn.Linear(3, 5)

    def loss(self, outputs, targets):
        return cross_entropy(outputs, targets)


class Regression(Classifier):
    n_classes = None

    def loss(self, outputs, targets):
        return mse_loss(outputs, targets)


def batch(*places, rows=12, classes=5):
    return torch.randn(rows, classes, *places, requires_grad=True), torch.randint(classes, (rows, *places))


@pytest.mark.parametrize("places", [(), (7,), (3, 2)])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_label_smoothing_is_torchs(places, smoothing):
    outputs, targets = batch(*places)
    ours = training_loss(Classifier(), outputs, Mixed(outputs, targets), smoothing)
    expected = cross_entropy(outputs, targets, label_smoothing=smoothing)
    torch.testing.assert_close(ours, expected)
    (mine,) = torch.autograd.grad(ours, outputs, retain_graph=True)
    torch.testing.assert_close(mine, torch.autograd.grad(expected, outputs)[0])


@pytest.mark.parametrize("ignored", [-100, 255])
def test_ignored_targets_are_not_smoothed(ignored):
    class Ignoring(Classifier):
        def loss(self, outputs, targets):
            return cross_entropy(outputs, targets, ignore_index=ignored)

    outputs, targets = batch(6)
    targets[:, 2:] = ignored
    ours = training_loss(Ignoring(), outputs, Mixed(outputs, targets), 0.2)
    torch.testing.assert_close(ours, cross_entropy(outputs, targets, label_smoothing=0.2, ignore_index=ignored))


def test_logits_of_half_precision_are_smoothed_in_float32():
    outputs, targets = batch()
    ours = training_loss(Classifier(), outputs.bfloat16(), Mixed(outputs, targets), 1 - 1e-9)
    assert ours.item() == pytest.approx(cross_entropy(outputs, targets, label_smoothing=1 - 1e-9).item(), rel=2e-2)
    assert ours.dtype == torch.float32


@pytest.mark.parametrize("places", [(), (4,)])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_mixed_loss_is_the_cross_entropy_with_mixed_labels(places, smoothing):
    outputs, targets = batch(*places)
    partners, share = targets.flip(0), torch.tensor(0.3)
    ours = training_loss(Classifier(), outputs, Mixed(outputs, targets, partners, share), smoothing)
    one_hot = 0.3 * nn.functional.one_hot(targets, 5) + 0.7 * nn.functional.one_hot(partners, 5)
    expected = cross_entropy(outputs, one_hot.movedim(-1, 1), label_smoothing=smoothing, reduction="none").mean()
    torch.testing.assert_close(ours, expected)


def test_inputs_and_targets_are_mixed_with_the_same_partners_and_share():
    torch.manual_seed(3)
    rows = torch.arange(50.0)[:, None].repeat(1, 2)
    mixed = mix(rows, torch.arange(50), 1.0)
    share = mixed.share.item()
    assert 0 < share < 1
    assert sorted(mixed.partners.tolist()) == list(range(50))
    assert mixed.partners.tolist() != list(range(50))
    assert mixed.targets.tolist() == list(range(50))
    expected = share * rows + (1 - share) * rows[mixed.partners]
    torch.testing.assert_close(mixed.inputs, expected)


def test_mixing_follows_the_generator_and_keeps_the_type():
    def draw(seed):
        torch.manual_seed(seed)
        return mix(torch.arange(40.0, dtype=torch.float16), torch.arange(40), 0.4)

    first, again, other = draw(1), draw(1), draw(2)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.partners, other.partners)
    assert first.share != other.share
    assert first.inputs.dtype == torch.float16


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_the_share_is_betas(alpha):
    torch.manual_seed(5)
    draws = [_beta(alpha, CPU).item() for _ in range(10_000)]
    assert stats.kstest(draws, stats.beta(alpha, alpha).cdf).pvalue > 1e-3


@pytest.mark.parametrize("alpha", [1e-300, 1e-12, 1e-3, 1e6])
def test_extreme_alphas_give_shares(alpha):
    torch.manual_seed(5)
    draws = torch.stack([_beta(alpha, CPU) for _ in range(200)])
    assert draws.isfinite().all()
    if alpha < 1:
        assert 60 < (draws > 0.99).sum() < 140
        assert ((draws > 0.99) | (draws < 0.01)).float().mean() > 0.95
    else:
        assert ((draws - 0.5).abs() < 0.01).all()


def test_without_alpha_nothing_is_drawn_nor_changed():
    state = torch.get_rng_state()
    inputs = torch.arange(6)
    mixed = mix(inputs, inputs, 0.0)
    assert mixed.inputs is inputs
    assert mixed.partners is mixed.share is None
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_losses_of_parts_add_up_to_the_whole(alpha):
    mixed = mix(torch.randn(10, 5), torch.randint(5, (10,)), alpha)
    whole = training_loss(Classifier(), mixed.inputs, mixed, 0.1)
    parts = mixed.split(4)
    assert [len(part.inputs) for part in parts] == [4, 4, 2]
    summed = sum(training_loss(Classifier(), part.inputs, part, 0.1) * len(part.inputs) / 10 for part in parts)
    torch.testing.assert_close(summed, whole)


def test_mixup_of_a_regression():
    outputs, targets, partners = torch.rand(6), torch.rand(6), torch.rand(6)
    ours = training_loss(Regression(), outputs, Mixed(outputs, targets, partners, torch.tensor(0.25)), 0.0)
    torch.testing.assert_close(ours, 0.25 * mse_loss(outputs, targets) + 0.75 * mse_loss(outputs, partners))


def test_tokens_cannot_be_mixed():
    with pytest.raises(SpecError, match=r"torch\.int64") as error:
        mix(torch.randint(9, (4, 3)), torch.randint(9, (4, 3)), 0.2)
    assert error.value.path == "mixup"


def test_only_classes_can_be_smoothed():
    check_regularisation(Classifier(), RegularisationSettings(label_smoothing=0.1))
    check_regularisation(Regression(), RegularisationSettings(mixup=0.2))
    with pytest.raises(SpecError, match=r"n_classes") as error:
        check_regularisation(Regression(), RegularisationSettings(label_smoothing=0.1))
    assert error.value.path == "label_smoothing"
    outputs, targets = batch(classes=4)
    with pytest.raises(SpecError, match=r"\(rows, 5, \.\.\.\)"):
        training_loss(Classifier(), outputs, Mixed(outputs, targets), 0.1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="takes a GPU")
@pytest.mark.parametrize("rows", [32, 40_000])
def test_a_recorded_step_draws_anew_and_never_waits(rows):
    inputs, targets = torch.randn(rows, 5, device="cuda"), torch.randint(5, (rows,), device="cuda")

    def step():
        mixed = mix(inputs, targets, 0.4)
        return mixed, training_loss(Classifier(), mixed.inputs, mixed, 0.1)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls the mode a prototype
        torch.cuda.set_sync_debug_mode("error")
    try:
        step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        mixed, loss = step()
    seen = []
    for _ in range(3):
        graph.replay()
        torch.testing.assert_close(loss, training_loss(Classifier(), mixed.inputs, mixed, 0.1))
        seen.append(mixed.share.item())
    assert len(set(seen)) == 3
