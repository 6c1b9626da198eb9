"""The schedules by hand, and over whole runs against torch.optim.lr_scheduler."""

import itertools
import math

import pytest
import torch
from torch.optim import lr_scheduler

from tuner.errors import SpecError
from tuner.training.schedules import learning_rates, n_warmup_steps, needs_horizon, peak_lr
from tuner.training.settings import ScheduleSettings


def rates(total, batch_size=128, **settings):
    settings = ScheduleSettings(**{"lr": 1.0, **settings})
    return learning_rates(settings, torch.arange(total), total, batch_size).tolist()


def torchs(make, total, lr=1.0):
    """What a scheduler of torch's sets for each of `total` steps."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler = make(optimizer)
    seen = []
    for _ in range(total):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return seen


def test_constant():
    assert rates(5) == [1.0] * 5


def test_warmup_rises_to_the_peak_and_stays():
    assert rates(10, warmup=0.3) == pytest.approx([0.25, 0.5, 0.75] + [1.0] * 7)
    assert rates(4, warmup=1.0) == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert rates(3, warmup=0.0) == [1.0] * 3


def test_warmup_may_be_a_number_of_steps():
    assert rates(10, warmup_steps=3) == rates(10, warmup=0.3)
    assert rates(5, warmup_steps=9) == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
    assert rates(3, warmup_steps=0, schedule="cosine") == rates(3, schedule="cosine")
    assert n_warmup_steps(ScheduleSettings(warmup=0.25), 10) == 2


def test_cosine_is_the_closed_form():
    assert rates(20, schedule="cosine") == pytest.approx([0.5 * (1 + math.cos(math.pi * s / 20)) for s in range(20)])


def test_cosine_after_warmup_starts_at_the_peak_and_ends_at_zero():
    values = rates(10, schedule="cosine", warmup=0.2)
    assert values[:3] == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert all(a > b for a, b in itertools.pairwise(values[2:]))
    beyond = learning_rates(ScheduleSettings(lr=1.0, schedule="cosine"), torch.tensor([9, 10, 11]), 10, 128)
    assert beyond[1:].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("total", [8, 60, 399])
@pytest.mark.parametrize(
    ("settings", "scheduler"),
    [
        ({"schedule": "constant"}, lambda o, n: lr_scheduler.ConstantLR(o, factor=1.0)),
        ({"schedule": "cosine"}, lambda o, n: lr_scheduler.CosineAnnealingLR(o, n)),
        ({"schedule": "cosine", "final_lr": 0.1}, lambda o, n: lr_scheduler.CosineAnnealingLR(o, n, eta_min=0.03)),
        ({"schedule": "linear"}, lambda o, n: lr_scheduler.LinearLR(o, 1.0, 0.0, total_iters=n)),
        ({"schedule": "linear", "final_lr": 0.2}, lambda o, n: lr_scheduler.LinearLR(o, 1.0, 0.2, total_iters=n)),
        ({"schedule": "exponential", "final_lr": 1e-3}, lambda o, n: lr_scheduler.ExponentialLR(o, 1e-3 ** (1 / n))),
        ({"schedule": "step"}, lambda o, n: lr_scheduler.MultiStepLR(o, [round(n / 2), round(n * 0.75)])),
        (
            {"schedule": "step", "milestones": "0.25,0.25, 0.9", "gamma": 0.5},
            lambda o, n: lr_scheduler.MultiStepLR(o, [math.floor(m * n + 0.5) for m in (0.25, 0.25, 0.9)], gamma=0.5),
        ),
        ({"schedule": "one_cycle"}, lambda o, n: lr_scheduler.OneCycleLR(o, 0.3, total_steps=n)),
        (
            {"schedule": "one_cycle", "cycle_peak": 0.45},
            lambda o, n: lr_scheduler.OneCycleLR(o, 0.3, total_steps=n, pct_start=0.45),
        ),
    ],
)
def test_a_whole_run_is_torchs(settings, scheduler, total):
    settings = ScheduleSettings(lr=0.3, **settings)
    expected = torchs(lambda o: scheduler(o, total), total, lr=0.3)
    ours = learning_rates(settings, torch.arange(total), total, 128)
    torch.testing.assert_close(ours, torch.tensor(expected), rtol=1e-5, atol=1e-7)


def test_one_cycle_ends_at_the_least_rate_and_stays_there():
    settings = ScheduleSettings(lr=1.0, schedule="one_cycle", cycle_peak=0.5)
    values = learning_rates(settings, torch.tensor([0, 9, 19, 20, 99]), 20, 128).tolist()
    assert values == pytest.approx([0.04, 1.0, 4e-6, 4e-6, 4e-6])


@pytest.mark.parametrize(("total", "cycle_peak"), [(1, 0.3), (2, 0.3), (2, 0.5), (3, 0.1), (4, 0.25), (5, 0.99)])
def test_one_cycle_over_a_few_steps_is_finite_and_ends_low(total, cycle_peak):
    values = rates(total, schedule="one_cycle", cycle_peak=cycle_peak)
    assert all(0 < value <= 1 for value in values)
    assert values[-1] == pytest.approx(4e-6, rel=1e-4)


def test_warmup_before_one_cycle_rises_to_its_first_rate():
    values = rates(104, schedule="one_cycle", warmup_steps=4)
    assert values[:5] == pytest.approx([0.008, 0.016, 0.024, 0.032, 0.04])
    assert values[4:] == rates(100, schedule="one_cycle")


@pytest.mark.parametrize(("share", "every"), [(0.1, 6), (0.25, 15), (1.0, 60)])
def test_step_every_is_torchs(share, every):
    expected = torchs(lambda o: lr_scheduler.StepLR(o, every, gamma=0.5), 60)
    assert rates(60, schedule="step", step_every=share, gamma=0.5) == pytest.approx(expected)


def test_step_every_third_drops_where_the_thirds_are():
    values = rates(100, schedule="step", step_every=1 / 3, gamma=0.5)
    assert [s for s in range(1, 100) if values[s] < values[s - 1]] == [33, 67]


def test_step_without_milestones_never_drops():
    assert rates(4, schedule="step", milestones="") == [1.0] * 4


@pytest.mark.parametrize("scaling", ["none", "linear", "sqrt"])
def test_the_rate_grows_with_the_batch(scaling):
    expected = {"none": 0.1, "linear": 0.8, "sqrt": 0.1 * 8**0.5}[scaling]
    settings = ScheduleSettings(lr=0.1, lr_scaling=scaling, base_batch_size=256)
    assert peak_lr(settings, 2048) == pytest.approx(expected)
    assert peak_lr(settings, 256) == 0.1
    assert rates(3, batch_size=2048, lr=0.1, lr_scaling=scaling, base_batch_size=256) == pytest.approx([expected] * 3)


@pytest.mark.parametrize(
    ("needed", "settings"),
    [
        (False, {}),
        (False, {"warmup_steps": 100}),
        (True, {"warmup": 0.1}),
        (True, {"schedule": "step", "step_every": 0.5}),
        (True, {"schedule": "cosine"}),
    ],
)
def test_what_needs_a_horizon(needed, settings):
    settings = ScheduleSettings(**settings)
    assert needs_horizon(settings) == needed
    steps = torch.arange(50)
    same = torch.equal(learning_rates(settings, steps, 50, 128), learning_rates(settings, steps, 80, 128))
    assert same == (not needed)


@pytest.mark.parametrize(
    ("path", "settings"),
    [
        ("final_lr", {"schedule": "exponential"}),
        ("warmup_steps", {"warmup": 0.1, "warmup_steps": 5}),
        ("milestones", {"schedule": "step", "milestones": "0.5, later"}),
        ("milestones", {"schedule": "step", "milestones": "0.75, 0.5"}),
        ("cycle_peak", {"schedule": "one_cycle", "cycle_peak": 1.0}),
        ("schedule", {"schedule": "triangular"}),
    ],
)
def test_what_cannot_be_scheduled(path, settings):
    with pytest.raises(SpecError) as error:
        ScheduleSettings(**settings)
    assert error.value.path == path
