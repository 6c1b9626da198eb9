"""Update rules and the trainer's optimizer against torch.optim, over random settings; resuming over random splits."""

import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

from tuner.training import Splits, Task, TrainerSettings, train
from tuner.training import optimizer as optimizer_module
from tuner.training.clipping import clip_divisor, global_norm
from tuner.training.optimizer import Optimizer
from tuner.training.update_rules import AdamWState, SGDState, adamw, sgd

SHAPES = ((4, 3), (4,), (2, 2, 2), ())
STEPS = 5


def share(high):
    return st.floats(0, high, allow_subnormal=False)


rules = st.fixed_dictionaries(
    {
        "optimizer": st.sampled_from(["sgd", "adamw"]),
        "lr": st.floats(1e-6, 1.0),
        "weight_decay": share(0.5),
        "momentum": share(0.99),
        "nesterov": st.booleans(),
        "beta1": share(0.99),
        "beta2": share(0.9999),
        "decay_biases_and_norms": st.booleans(),
        "clip_norm": st.none() | st.floats(1e-2, 1e2),
    }
).filter(lambda c: not (c["nesterov"] and c["momentum"] == 0))


class Bag(nn.Module):
    """Parameters and nothing else."""

    def __init__(self, seed):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.items = nn.ParameterList([nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES])


def gradients(seed, step):
    generator = torch.Generator().manual_seed(1000 * seed + step)
    return [torch.randn(shape, generator=generator) for shape in SHAPES]


def by_torch(config, seed):
    parameters = list(Bag(seed).parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {
            "params": [p for p in parameters if p.ndim <= 1],
            "weight_decay": config.weight_decay * config.decay_biases_and_norms,
        },
    ]
    if config.optimizer == "adamw":
        torchs = torch.optim.AdamW(groups, lr=config.lr, betas=(config.beta1, config.beta2), eps=config.eps)
    else:
        torchs = torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum, nesterov=config.nesterov)
    for step in range(STEPS):
        for parameter, gradient in zip(parameters, gradients(seed, step), strict=True):
            parameter.grad = gradient
        if config.clip_norm is not None:
            nn.utils.clip_grad_norm_(parameters, config.clip_norm)
        torchs.step()
    return parameters


def by_us(config, seed):
    bag = Bag(seed)
    optimizer = Optimizer(bag, config)
    for step in range(STEPS):
        for parameter, gradient in zip(bag.parameters(), gradients(seed, step), strict=True):
            parameter.grad = gradient
        divisor = None
        if config.clip_norm is not None:
            divisor = clip_divisor(global_norm(optimizer.gradients()), config.clip_norm)
        optimizer.step(torch.tensor(config.lr), divisor)
    return list(bag.parameters())


def assert_close(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(rules, st.integers(0, 9))
def test_the_fused_update_is_torchs(config, seed):
    config = TrainerSettings.from_config(config)
    assert_close(by_us(config, seed), by_torch(config, seed))


@settings(max_examples=60, deadline=None)
@given(rules, st.integers(0, 9))
@example(config={"optimizer": "adamw", "lr": 1.0, "beta1": 0.0, "beta2": 0.9999}, seed=0)  # 1 - βᵗ cancels
def test_the_pure_rules_are_torchs(config, seed):
    config = TrainerSettings.from_config(config)
    fusable = optimizer_module._is_fusable
    optimizer_module._is_fusable = lambda slots: False
    try:
        assert_close(by_us(config, seed), by_torch(config, seed))
    finally:
        optimizer_module._is_fusable = fusable


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.floats(1e-4, 0.1), share(0.5), share(0.99)), min_size=2, max_size=4))
def test_a_stack_of_slots_updates_as_its_slots_do(slots):
    """Hyperparameters of shape (slots, 1) broadcast: what fused lanes rely on."""
    lr, decay, momentum = (torch.tensor(column)[:, None] for column in zip(*slots, strict=True))
    generator = torch.Generator().manual_seed(0)
    stacked, gradient = torch.randn(2, len(slots), 6, generator=generator)
    state, moments = (
        SGDState(torch.zeros_like(stacked)),
        AdamWState(*torch.zeros(2, len(slots), 6), torch.zeros(len(slots), 1)),
    )
    options = {"lr": lr, "weight_decay": decay}
    by_sgd, _ = sgd(stacked, gradient, state, momentum=momentum, nesterov=True, **options)
    by_adamw, _ = adamw(stacked, gradient, moments, beta1=momentum, beta2=0.99, eps=1e-8, **options)
    for i, (rate, pull, inertia) in enumerate(slots):
        options = {"lr": rate, "weight_decay": pull}
        alone, _ = sgd(stacked[i], gradient[i], SGDState(torch.zeros(6)), momentum=inertia, nesterov=True, **options)
        torch.testing.assert_close(by_sgd[i], alone)
        zeros = AdamWState(torch.zeros(6), torch.zeros(6), torch.tensor(0.0))
        alone, _ = adamw(stacked[i], gradient[i], zeros, beta1=inertia, beta2=0.99, eps=1e-8, **options)
        torch.testing.assert_close(by_adamw[i], alone)


class Line(Task):
    """A regression in one dimension, through a network with dropout."""

    def data(self):
        x = torch.linspace(-1, 1, 40)[:, None]
        return Splits((x[::2], 2 * x[::2]), (x[1::2], 2 * x[1::2]))

    def model(self, config):
        return nn.Sequential(nn.Linear(1, 8), nn.LayerNorm(8), nn.Dropout(0.2), nn.Linear(8, 1))

    def loss(self, outputs, targets):
        return nn.functional.mse_loss(outputs, targets)


class Trial:
    device, threads, number, folder = "cpu", 1, 0, None

    def __init__(self, start, until, checkpoint, seed):
        self.start, self.until, self.checkpoint, self.seed, self.horizon = start, until, checkpoint, seed, 6

    def report(self, resource, /, *, checkpoint, **metrics):
        self.state, self.loss = checkpoint(), metrics["val_loss"]


training = st.fixed_dictionaries(
    {"schedule": st.sampled_from(["constant", "cosine"]), "warmup": share(1.0), "batch_size": st.integers(1, 25)}
)


@settings(max_examples=15, deadline=None)
@given(rules, training, st.sets(st.integers(1, 5)), st.integers(0, 99))
def test_resuming_anywhere_is_not_stopping(rule, how, stops, seed):
    config = {**rule, **how}
    whole = Trial(0, 6, None, seed)
    train(Line(), config, whole)
    start, state = 0, None
    for until in [*sorted(stops), 6]:
        part = Trial(start, until, state, seed)
        train(Line(), config, part)
        start, state = until, part.state
    assert repr(part.loss) == repr(whole.loss)
    for name, weight in whole.state["model"].items():
        assert torch.equal(weight.nan_to_num(), state["model"][name].nan_to_num()), name
