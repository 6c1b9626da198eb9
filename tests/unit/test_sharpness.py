"""Sharpness and the Hessian's largest eigenvalue, against closed forms and torch.autograd.functional.hessian."""

import pytest
import torch
from torch import nn

from tuner.errors import TrialFailed
from tuner.training import Task
from tuner.training.data import EvaluationSet
from tuner.training.examples import Examples
from tuner.training.sharpness import sharpness, top_hessian_eigenvalue

ONE = EvaluationSet(Examples(torch.zeros(1, 1), torch.zeros(1)))


class Free(Task):
    """A loss made of functions."""

    def __init__(self, loss):
        self._loss = loss

    def data(self):
        raise NotImplementedError

    def model(self, config):
        raise NotImplementedError

    def loss(self, outputs, targets):
        return self._loss(outputs, targets)


class Weights(nn.Module):
    """Outputs its only tensor, whatever the inputs."""

    def __init__(self, values):
        super().__init__()
        self.w = nn.Parameter(values)

    def forward(self, inputs):
        return self.w


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def rows(n, n_inputs, n_outputs=1, seed=0, dtype=torch.float64):
    inputs = torch.randn(n, n_inputs, generator=generator(seed), dtype=dtype)
    targets = torch.randn(n, n_outputs, generator=generator(seed + 1), dtype=dtype)
    return EvaluationSet(Examples(inputs, targets))


def quadratic(hessian):
    """L(w) = wᵀHw / 2."""
    return Free(lambda w, _: w @ hessian @ w / 2)


def with_eigenvalues(values, seed=0):
    n = len(values)
    basis, _ = torch.linalg.qr(torch.randn(n, n, generator=generator(seed), dtype=torch.float64))
    return basis @ torch.diag(torch.tensor(values, dtype=torch.float64)) @ basis.T


def mse():
    return Free(nn.functional.mse_loss)


@pytest.mark.parametrize("values", [[5.0, 2.0, 1.0, 0.1], [3.0, -7.0, 1.0], [-4.0, -1.0], [2.5]])
def test_of_a_quadratic_it_is_the_eigenvalue_farthest_from_zero(values):
    model = Weights(torch.ones(len(values), dtype=torch.float64))
    found = top_hessian_eigenvalue(quadratic(with_eigenvalues(values)), model, ONE, iterations=60)
    assert found.item() == pytest.approx(max(values, key=abs), rel=1e-6)


def test_of_linear_regression_it_is_that_of_twice_xtx_over_n():
    examples = rows(50, 6)
    x = examples.source.inputs
    expected = torch.linalg.eigvalsh(2 * x.T @ x / 50).max().item()
    model = nn.Linear(6, 1, bias=False).double()
    for batch in (50, 7):  # 7 does not divide 50: a batch counts by its rows
        found = top_hessian_eigenvalue(mse(), model, examples, iterations=300, batch=batch)
        assert found.item() == pytest.approx(expected, rel=1e-9)


def small_net():
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()


def full_hessian(task, model, examples):
    names, values = zip(*model.named_parameters(), strict=True)
    shapes = [value.shape for value in values]
    sizes = [value.numel() for value in values]

    def loss(flat):
        parts = [part.reshape(shape) for part, shape in zip(flat.split(sizes), shapes, strict=True)]
        inputs = examples.source.inputs
        outputs = torch.func.functional_call(model, dict(zip(names, parts, strict=True)), (inputs,))
        return task.loss(outputs, examples.source.targets)

    return torch.autograd.functional.hessian(loss, torch.cat([value.detach().flatten() for value in values]))


def test_of_a_small_net_it_is_that_of_torchs_hessian():
    model, examples = small_net(), rows(20, 3, 2)
    values = torch.linalg.eigvalsh(full_hessian(mse(), model, examples))
    expected = max(values.tolist(), key=abs)
    found = top_hessian_eigenvalue(mse(), model, examples, iterations=300, batch=8)
    assert found.item() == pytest.approx(expected, rel=1e-6)


def test_frozen_weights_are_left_out_of_it():
    model, examples = small_net(), rows(20, 3, 2)
    for parameter in model[0].parameters():
        parameter.requires_grad_(False)
    within = full_hessian(mse(), model, examples)[16:, 16:]
    found = top_hessian_eigenvalue(mse(), model, examples, iterations=300)
    assert found.item() == pytest.approx(torch.linalg.eigvalsh(within).max().item(), rel=1e-6)


def test_of_many_rows_the_first_are_looked_at(monkeypatch):
    monkeypatch.setattr("tuner.training.sharpness.MAX_ROWS", 10)
    model, examples = small_net(), rows(20, 3, 2)
    first = EvaluationSet(examples.source.take(torch.arange(10)))
    for batch in (3, 10, 20):
        assert sharpness(mse(), model, examples, 0.1, batch).item() == pytest.approx(
            sharpness(mse(), model, first, 0.1).item(), rel=1e-9
        )


def test_it_belongs_to_the_seed_and_leaves_torchs_generator_alone():
    model, examples = small_net(), rows(20, 3, 2)
    state = torch.get_rng_state()
    one, same, other = (top_hessian_eigenvalue(mse(), model, examples, iterations=2, seed=s) for s in (1, 1, 2))
    assert one == same != other
    assert torch.get_rng_state().equal(state)


def test_a_linear_loss_has_no_curvature():
    model = Weights(torch.ones(3))
    assert top_hessian_eigenvalue(Free(lambda w, _: w.sum()), model, ONE) == 0


def test_sharpness_of_a_quadratic_is_the_closed_form():
    hessian = with_eigenvalues([5.0, 2.0, 1.0])
    w = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    g = hessian @ w
    step = 0.05 * w.norm() * g / g.norm()
    expected = (w + step) @ hessian @ (w + step) / 2 - w @ hessian @ w / 2
    found = sharpness(quadratic(hessian), Weights(w.clone()), ONE, 0.05)
    assert found.dtype == torch.float64
    assert found.item() == pytest.approx(expected.item(), rel=1e-9)


def test_sharpness_steps_in_each_tensor_by_its_own_size():
    model, examples = small_net(), rows(20, 3, 2)
    x, y = examples.source.inputs, examples.source.targets
    base = nn.functional.mse_loss(model(x), y)
    moved = {}
    for (name, p), g in zip(model.named_parameters(), torch.autograd.grad(base, list(model.parameters())), strict=True):
        moved[name] = p.detach() + 0.1 * p.detach().norm() * g / g.norm()
    expected = nn.functional.mse_loss(torch.func.functional_call(model, moved, (x,)), y) - base
    for batch in (20, 3):
        assert sharpness(mse(), model, examples, 0.1, batch).item() == pytest.approx(expected.item(), rel=1e-9)


def test_sharpness_does_not_change_when_layers_are_scaled_against_each_other():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 5, bias=False), nn.ReLU(), nn.Linear(5, 2, bias=False)).double()
    examples = rows(20, 3, 2)
    before = sharpness(mse(), model, examples, 0.1)
    with torch.no_grad():
        model[0].weight.mul_(50)
        model[2].weight.div_(50)
    assert sharpness(mse(), model, examples, 0.1).item() == pytest.approx(before.item(), rel=1e-9)


def test_zero_tensors_and_unused_ones_stay_and_divide_nothing():
    class Partly(nn.Module):
        def __init__(self):
            super().__init__()
            self.used = nn.Linear(3, 1)
            self.unused = nn.Linear(3, 1)
            nn.init.zeros_(self.used.bias)

        def forward(self, inputs):
            return self.used(inputs)

    examples = rows(10, 3, dtype=torch.float32)
    for found in (sharpness(mse(), Partly(), examples, 0.1), top_hessian_eigenvalue(mse(), Partly(), examples)):
        assert found.isfinite()
        assert found > 0


def noisy_net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.5), nn.Linear(6, 1))


@pytest.mark.parametrize(
    "measure",
    [
        lambda model, examples: sharpness(mse(), model, examples, 0.1, 7),
        lambda model, examples: top_hessian_eigenvalue(mse(), model, examples, iterations=3, batch=7),
    ],
)
def test_the_model_is_left_as_it_was_bit_for_bit_and_nothing_is_random(measure):
    model, examples = noisy_net(), rows(20, 3, dtype=torch.float32)
    model[1].eval()
    nn.functional.mse_loss(model(examples.source.inputs), examples.source.targets).backward()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    gradients = [parameter.grad.clone() for parameter in model.parameters()]
    assert measure(model, examples) == measure(model, examples)
    for name, tensor in model.state_dict().items():
        assert tensor.equal(before[name]), name
    assert all(p.grad.equal(g) for p, g in zip(model.parameters(), gradients, strict=True))
    assert [module.training for module in model] == [True, False, True, True, True]


def test_weights_come_back_although_the_loss_fails():
    calls = []

    def loss(w, _):
        calls.append(1)
        if len(calls) > 1:
            raise ValueError("cheese")
        return w.square().sum()

    model = Weights(torch.ones(3))
    with pytest.raises(ValueError, match="cheese"):
        sharpness(Free(loss), model, ONE, 0.1)
    assert model.w.equal(torch.ones(3))
    assert model.training


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.project = nn.Linear(4, 12)
        self.out = nn.Linear(4, 1)

    def forward(self, inputs):
        q, k, v = self.project(inputs.unsqueeze(1) * torch.ones(1, 5, 1)).chunk(3, -1)
        return self.out(nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)).mean(1)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(4, 5, batch_first=True)
        self.out = nn.Linear(5, 1)

    def forward(self, inputs):
        return self.out(self.rnn(inputs.unsqueeze(1).expand(-1, 3, -1))[0][:, -1])


@pytest.mark.parametrize("made", [Attention, Recurrent])
def test_attention_and_rnns_are_differentiated_twice(made):
    torch.manual_seed(0)
    exact = rows(10, 4)
    examples = EvaluationSet(Examples(exact.source.inputs.float(), exact.source.targets.float()))
    model = made()
    found = top_hessian_eigenvalue(mse(), model, examples, iterations=60)
    values = torch.linalg.eigvalsh(hessian_by_differences(model.double(), exact))
    assert found.item() == pytest.approx(max(values.tolist(), key=abs), rel=1e-4)


def hessian_by_differences(model, examples, h=1e-4):
    """From central differences of gradients, which need no second derivative."""
    inputs, targets = examples.source.inputs, examples.source.targets
    parameters = list(model.parameters())
    flat = nn.utils.parameters_to_vector(parameters).detach()

    def gradient(weights):
        nn.utils.vector_to_parameters(weights, parameters)
        loss = nn.functional.mse_loss(model(inputs), targets)
        return torch.cat([g.flatten() for g in torch.autograd.grad(loss, parameters)])

    columns = [
        (gradient(flat + h * unit) - gradient(flat - h * unit)) / (2 * h) for unit in torch.eye(len(flat)).double()
    ]
    hessian = torch.stack(columns)
    return (hessian + hessian.T) / 2


class Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        return gradient * 2


def test_what_cannot_be_differentiated_twice_is_told():
    with pytest.raises(TrialFailed, match="second derivative") as caught:
        top_hessian_eigenvalue(Free(lambda w, _: Once.apply(w).square().sum()), Weights(torch.ones(3)), ONE)
    assert "hessian: false" in str(caught.value)
