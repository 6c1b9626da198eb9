"""The trainer's optimizer: decay groups, layer-wise rates, checkpoints, number types, layouts, frozen parameters."""

import pytest
import torch
from torch import nn

from tuner.errors import CheckpointError
from tuner.training import kernels
from tuner.training.checkpoint import load, save
from tuner.training.optimizer import Optimizer, decays
from tuner.training.settings import OptimizerSettings

RULES = ["sgd", "adam", "adamw", "rmsprop"]
LR = 0.125


def network(dtype=torch.float32):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 5), nn.Linear(5, 2)).to(
        dtype
    )


def give_gradients(model, step):
    generator = torch.Generator().manual_seed(step)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator).to(parameter.dtype)


def run(model, optimizer, steps):
    for step in steps:
        give_gradients(model, step)
        optimizer.step(torch.tensor(LR), torch.tensor(2.0), torch.tensor(float(step == 1)))
    return [p.detach().clone() for p in model.parameters()]


def torchs(rule, groups, **options):
    made = {
        "sgd": torch.optim.SGD,
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
        "rmsprop": torch.optim.RMSprop,
    }
    momentum = {"momentum": 0.9} if rule in ("sgd", "rmsprop") else {}
    return made[rule](groups, lr=LR, weight_decay=0.1, **momentum, **options)


def test_decay_spares_biases_norms_and_embeddings_unless_told():
    model = nn.Sequential(
        nn.Embedding(9, 2), nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4), nn.LayerNorm((4, 6)), nn.Linear(6, 2)
    )
    model[4].weight.requires_grad_(False)
    assert {name for name, decay in decays(model, OptimizerSettings()).items() if decay} == {"1.weight"}
    assert all(decays(model, OptimizerSettings(decay_biases_and_norms=True)).values())
    assert "4.weight" not in decays(model, OptimizerSettings())


def test_parameters_and_names_are_in_one_order():
    model = network()
    model[3].bias.requires_grad_(False)
    optimizer = Optimizer(model, OptimizerSettings(weight_decay=0.1, layer_decay=0.5))
    named = dict(model.named_parameters())
    assert [named[name] for name in optimizer.names] == optimizer.parameters
    assert set(optimizer.names) == set(named) - {"3.bias"}


@pytest.mark.parametrize("rule", RULES)
def test_layer_decay_is_torchs_with_a_group_for_each_layer(rule):
    settings = OptimizerSettings(optimizer=rule, weight_decay=0.1, layer_decay=0.5, decay_biases_and_norms=True)
    ours, theirs = network(), network()
    layers = [[theirs[0], theirs[1]], [theirs[3]], [theirs[4]]]  # the norm belongs to the convolution before it
    groups = [
        {"params": [p for module in layer for p in module.parameters()], "lr": LR * 0.5 ** (2 - depth)}
        for depth, layer in enumerate(layers)
    ]
    oracle = torchs(rule, groups)
    for step in (0, 2, 3):
        give_gradients(theirs, step)
        for parameter in theirs.parameters():
            parameter.grad /= 2
        oracle.step()
    for a, b in zip(run(ours, Optimizer(ours, settings), range(4)), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_going_on_from_a_checkpoint_is_not_stopping(rule, dtype, tmp_path):
    settings = OptimizerSettings(optimizer=rule, weight_decay=0.1, layer_decay=0.9)
    whole = network(dtype)
    expected = run(whole, Optimizer(whole, settings), range(8))
    first = network(dtype)
    optimizer = Optimizer(first, settings)
    run(first, optimizer, range(5))
    save({"model": first.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "state")
    state = load(tmp_path / "state")
    second = network(dtype)
    second.load_state_dict(state["model"])
    again = Optimizer(second, settings)
    again.load_state_dict(state["optimizer"])
    assert all(map(torch.equal, run(second, again, range(5, 8)), expected))


@pytest.mark.parametrize(
    ("other", "settings"),
    [(nn.Linear(3, 4), OptimizerSettings()), (nn.Linear(4, 3), OptimizerSettings(optimizer="sgd"))],
)
def test_another_models_or_rules_state_is_refused(other, settings):
    state = Optimizer(nn.Linear(4, 3), OptimizerSettings()).state_dict()
    with pytest.raises(CheckpointError, match="weight"):
        Optimizer(other, settings).load_state_dict(state)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("rule", ["sgd", "adam", "adamw"])
def test_in_half_precision_the_update_is_torchs_fused_one_bit_for_bit(rule, dtype):
    settings = OptimizerSettings(optimizer=rule, weight_decay=0.1, decay_biases_and_norms=True)
    ours, theirs = network(dtype), network(dtype)
    optimizer, oracle = Optimizer(ours, settings), torchs(rule, theirs.parameters(), fused=True)
    for step in range(5):
        for model in (ours, theirs):
            give_gradients(model, step)
        optimizer.step(torch.tensor(LR))
        oracle.step()
        assert all(map(torch.equal, ours.parameters(), theirs.parameters()))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("is_plain", [False, True])
def test_complex_parameters_are_torchs(rule, is_plain, monkeypatch):
    if is_plain:
        monkeypatch.setattr(kernels, "kernel", lambda *_: kernels.plain)
    ours, theirs = (nn.Linear(3, 2, dtype=torch.complex128) for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    optimizer = Optimizer(ours, OptimizerSettings(optimizer=rule, weight_decay=0.1, decay_biases_and_norms=True))
    oracle = torchs(rule, theirs.parameters())
    inputs = torch.randn(5, 3, dtype=torch.complex128)
    for _ in range(5):
        for model in (ours, theirs):
            model.zero_grad()
            model(inputs).abs().square().mean().backward()
        optimizer.step(torch.tensor(LR))
        oracle.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


def transposed(tensor):
    return tensor.t().contiguous().t()


def with_gaps(tensor):
    return tensor.repeat_interleave(2, 1)[:, ::2]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("parameters_layout", [torch.clone, transposed, with_gaps])
@pytest.mark.parametrize("gradients_layout", [torch.clone, transposed])
@pytest.mark.parametrize("is_laid_out_late", [False, True])
def test_the_layout_in_memory_does_not_matter(rule, parameters_layout, gradients_layout, is_laid_out_late):
    """A fused kernel that walked through two layouts at once would mix up the elements."""
    values = torch.arange(12.0).reshape(4, 3) + 1
    settings = OptimizerSettings(optimizer=rule, weight_decay=0.1)

    def after(parameters_layout, gradients_layout):
        model = nn.Linear(3, 4, bias=False)
        model.weight.data = values.clone() if is_laid_out_late else parameters_layout(values)
        optimizer = Optimizer(model, settings)
        model.weight.data = parameters_layout(values)
        for _ in range(3):
            model.weight.grad = gradients_layout(values.square() / 10)
            optimizer.step(torch.tensor(LR), torch.tensor(2.0))
        return model.weight.detach()

    expected = after(torch.clone, torch.clone)
    torch.testing.assert_close(after(parameters_layout, gradients_layout), expected)


@pytest.mark.parametrize("rule", RULES)
def test_a_parameter_without_a_gradient_keeps_its_weights_state_and_count(rule):
    model = network()
    optimizer = Optimizer(model, OptimizerSettings(optimizer=rule, weight_decay=0.1))
    run(model, optimizer, [0])
    weight, state = model[3].weight.detach().clone(), optimizer.state_dict()
    give_gradients(model, 2)
    model[3].weight.grad = None
    optimizer.step(torch.tensor(LR))
    assert torch.equal(model[3].weight, weight)
    after = optimizer.state_dict()
    assert all(torch.equal(after["3.weight"][name], tensor) for name, tensor in state["3.weight"].items())
    assert (after["3.weight"]["step"], after["3.bias"]["step"]) == (1, 2)
    assert len(optimizer.gradients()) == len(optimizer.parameters) - 1
    optimizer.zero_grad()
    assert optimizer.gradients() == []
    optimizer.step(torch.tensor(LR))  # nothing to do


@pytest.mark.skipif(not torch.cuda.is_available(), reason="runs where there is a CUDA GPU")
@pytest.mark.parametrize("rule", RULES)
def test_a_step_in_a_cuda_graph_is_the_same_step(rule):
    settings = OptimizerSettings(optimizer=rule, weight_decay=0.1, layer_decay=0.5)
    on_cpu, model = network(), network().cuda()
    expected = run(on_cpu, Optimizer(on_cpu, settings), range(6))
    optimizer = Optimizer(model, settings)
    lr, divisor, skip = (torch.tensor(value, device="cuda") for value in (LR, 2.0, 1.0))
    give_on_gpu(model, 0)
    fresh = [parameter.grad.clone() for parameter in model.parameters()]
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):  # warm up, every step skipped
        optimizer.step(lr, divisor, skip)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for parameter, gradient in zip(model.parameters(), fresh, strict=True):
            parameter.grad.copy_(gradient)
        optimizer.step(lr, divisor, skip)
    for step in range(6):
        generator = torch.Generator().manual_seed(step)
        for gradient in fresh:
            gradient.copy_(torch.randn(gradient.shape, generator=generator))
            if step == 1:
                gradient.fill_(torch.nan)
        skip.fill_(float(step == 1))
        graph.replay()
    for a, b in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(a.cpu(), b, rtol=1e-4, atol=1e-5)
    assert all(saved["step"] == 5 for saved in optimizer.state_dict().values())


def give_on_gpu(model, step):
    generator = torch.Generator().manual_seed(step)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator).cuda()
