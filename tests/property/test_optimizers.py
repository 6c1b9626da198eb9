"""Update rules and the trainer's optimizer against torch.optim, over random settings and skipped steps."""

import math
from functools import lru_cache
from unittest.mock import patch

import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

from tuner.training import kernels
from tuner.training.optimizer import Optimizer
from tuner.training.settings import OptimizerSettings
from tuner.training.update_rules import AdamState, RMSpropState, SGDState, adam, adamw, rmsprop, sgd

SHAPES = ((4, 3), (4,), (2, 2, 2), ())
STEPS = 20  # at rates at which an adaptive rule with decay is no chaotic map: float32 could not be compared
TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-10}


def share(high, low=0.0):
    return st.floats(low, high, allow_subnormal=False)


rules = st.fixed_dictionaries(
    {
        "optimizer": st.sampled_from(["sgd", "adam", "adamw", "rmsprop"]),
        "weight_decay": st.just(0.0) | share(0.2),
        "momentum": share(0.95),
        "nesterov": st.booleans(),
        "beta1": share(0.99),
        "beta2": share(0.9999, low=0.5),
        "rms_decay": share(0.999, low=0.5),
        "eps": st.floats(1e-8, 1e-2),
        "decay_biases_and_norms": st.booleans(),
    }
).map(lambda values: OptimizerSettings(**values))
runs = st.fixed_dictionaries(
    {
        "lr": st.floats(2.0**-16, 2.0**-4, width=32),
        "divisor": st.none() | st.just(1.0) | st.floats(2.0**-4, 2.0**10, width=32),
        "skips": st.none() | st.lists(st.booleans(), min_size=STEPS, max_size=STEPS),
        "dtypes": st.sampled_from(
            [(torch.float32,) * 4, (torch.float64,) * 4, (torch.float32, torch.float64, torch.float64, torch.float32)]
        ),
        "seed": st.integers(0, 9),
    }
)


class Bag(nn.Module):
    """Parameters and nothing else."""

    def __init__(self, run):
        super().__init__()
        generator = torch.Generator().manual_seed(run["seed"])
        values = [torch.randn(shape, generator=generator) for shape in SHAPES]
        self.items = nn.ParameterList(v.to(dtype) for v, dtype in zip(values, run["dtypes"], strict=True))


@lru_cache
def drawn(seed, step):
    generator = torch.Generator().manual_seed(1000 * seed + step)
    return [torch.randn(shape, generator=generator) for shape in SHAPES]


def give_gradients(bag, seed, step):
    for parameter, gradient in zip(bag.parameters(), drawn(seed, step), strict=True):
        parameter.grad = gradient.to(parameter.dtype, copy=True)


def torchs_optimizer(rule, parameters, lr):
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": rule.weight_decay},
        {
            "params": [p for p in parameters if p.ndim <= 1],
            "weight_decay": rule.weight_decay * rule.decay_biases_and_norms,
        },
    ]
    match rule.optimizer:
        case "sgd":
            nesterov = rule.nesterov and rule.momentum > 0  # torch refuses what comes to the same
            return torch.optim.SGD(groups, lr, rule.momentum, nesterov=nesterov, fused=False)
        case "rmsprop":
            return torch.optim.RMSprop(groups, lr, alpha=rule.rms_decay, eps=rule.eps, momentum=rule.momentum)
        case "adam":
            return torch.optim.Adam(groups, lr, (rule.beta1, rule.beta2), rule.eps, fused=False)
        case "adamw":
            return torch.optim.AdamW(groups, lr, (rule.beta1, rule.beta2), rule.eps, fused=False)


def by_torch(rule, run):
    """A skipped step is one that is not taken."""
    bag = Bag(run)
    optimizer = torchs_optimizer(rule, list(bag.parameters()), run["lr"])
    for step in range(STEPS):
        if run["skips"] and run["skips"][step]:
            continue
        give_gradients(bag, run["seed"], step)
        for parameter in bag.parameters():
            parameter.grad /= run["divisor"] or 1.0
        optimizer.step()
    return list(bag.parameters())


def by_us(rule, run):
    bag = Bag(run)
    optimizer = Optimizer(bag, rule)
    divisor = None if run["divisor"] is None else torch.tensor(run["divisor"])
    for step in range(STEPS):
        give_gradients(bag, run["seed"], step)
        skip = None if run["skips"] is None else torch.tensor(float(run["skips"][step]))
        if skip:
            for parameter in bag.parameters():
                parameter.grad.fill_(math.nan if step % 2 else math.inf)
        optimizer.step(torch.tensor(run["lr"]), divisor, skip)
    taken = STEPS - sum(run["skips"] or [])
    assert all(saved["step"] == taken for saved in optimizer.state_dict().values())
    return list(bag.parameters())


def assert_close(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        tolerance = TOLERANCE[b.dtype]
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance * max(1.0, b.abs().max().item()))


@settings(max_examples=60, deadline=None)
@given(rules, runs)
def test_the_update_is_torchs(rule, run):
    assert_close(by_us(rule, run), by_torch(rule, run))


CANCELLING = {"lr": 0.5, "divisor": None, "skips": None, "dtypes": (torch.float32,) * 4, "seed": 0}


@settings(max_examples=60, deadline=None)
@given(rules, runs)
@example(rule=OptimizerSettings(optimizer="adamw", beta1=0.0, beta2=0.9999), run=CANCELLING)  # 1 - βᵗ cancels
def test_the_pure_rules_are_torchs(rule, run):
    with patch.object(kernels, "kernel", lambda *_: kernels.plain):
        assert_close(by_us(rule, run), by_torch(rule, run))


@settings(max_examples=60, deadline=None)
@given(rules, runs, st.sampled_from([math.nan, math.inf, -math.inf]), st.booleans(), st.integers(0, 3))
def test_a_skipped_step_leaves_every_bit(rule, run, bad, is_plain, before):
    bag = Bag(run)
    with torch.no_grad():
        bag.items[0].view(-1)[0] = -0.0  # adding a zero would make it 0.0
    optimizer = Optimizer(bag, rule)
    chosen = patch.object(kernels, "kernel", lambda *_: kernels.plain if is_plain else PICK(*_))
    with chosen:
        for step in range(before):
            give_gradients(bag, run["seed"], step)
            optimizer.step(torch.tensor(run["lr"]), None, torch.tensor(0.0))
        was = as_bytes(bag, optimizer)
        for parameter in bag.parameters():
            parameter.grad = torch.full_like(parameter, bad)
        optimizer.step(torch.tensor(run["lr"]), torch.tensor(bad), torch.tensor(1.0))
    assert as_bytes(bag, optimizer) == was


PICK = kernels.kernel


def as_bytes(bag, optimizer):
    states = [tensor for saved in optimizer.state_dict().values() for tensor in saved.values()]
    return [tensor.detach().numpy().tobytes() for tensor in [*bag.parameters(), *states]]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.floats(1e-4, 0.1), share(0.5), share(0.99)), min_size=2, max_size=4))
def test_a_stack_of_slots_updates_as_its_slots_do(slots):
    """Hyperparameters of shape (slots, 1) broadcast: what fused lanes rely on."""
    columns = [torch.tensor(column)[:, None] for column in zip(*slots, strict=True)]
    stacked, gradient = torch.randn(2, len(slots), 6, generator=torch.Generator().manual_seed(0))
    together = updated(stacked, gradient, *columns, counts=torch.zeros(len(slots), 1))
    for i, slot in enumerate(slots):
        alone = updated(stacked[i], gradient[i], *slot, counts=torch.tensor(0.0))
        for stack, single in zip(together, alone, strict=True):
            torch.testing.assert_close(stack[i], single)


def updated(parameter, gradient, lr, decay, inertia, counts):
    """The parameter after a second update by each rule, the same gradient twice."""
    zeros = torch.zeros_like(parameter)
    rules = [
        (sgd, SGDState(zeros), {"momentum": inertia, "nesterov": True}),
        (adam, AdamState(zeros, zeros, counts), {"beta1": inertia, "beta2": 0.99, "eps": 1e-8}),
        (adamw, AdamState(zeros, zeros, counts), {"beta1": 0.9, "beta2": inertia, "eps": 1e-8}),
        (rmsprop, RMSpropState(zeros, zeros), {"momentum": inertia, "rms_decay": inertia, "eps": 1e-8}),
    ]
    after = []
    for rule, state, options in rules:
        first, state = rule(parameter, gradient, state, lr=lr, weight_decay=decay, **options)
        second, _ = rule(first, gradient, state, lr=lr, weight_decay=decay, **options)
        after.append(second)
    return after
