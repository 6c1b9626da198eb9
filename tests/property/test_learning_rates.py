"""Every schedule, over random settings: bounds, continuity at the warm-up's end, and the closed form of a drop."""

import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from tuner.training.schedules import learning_rates, n_warmup_steps, needs_horizon, peak_lr
from tuner.training.settings import ScheduleSettings

SCHEDULES = ["constant", "step", "exponential", "cosine", "linear", "one_cycle"]

shares = st.floats(0, 1, allow_subnormal=False)
schedules = st.builds(
    lambda **settings: ScheduleSettings(**settings),
    lr=st.floats(1e-5, 10),
    schedule=st.sampled_from(SCHEDULES),
    warmup=shares,
    final_lr=st.floats(1e-4, 1),
    milestones=st.lists(st.floats(0.01, 0.99), max_size=4).map(lambda m: ", ".join(map(str, sorted(m)))),
    step_every=st.none() | st.floats(0.01, 1),
    gamma=st.floats(0.01, 1),
    cycle_peak=st.floats(0.01, 0.99),
    lr_scaling=st.sampled_from(["none", "linear", "sqrt"]),
)
totals = st.integers(1, 300)


@given(schedules, totals, st.integers(1, 4096))
def test_rates_are_finite_not_negative_and_at_most_the_peak(settings, total, batch_size):
    rates = learning_rates(settings, torch.arange(total + 5), total, batch_size)
    assert rates.dtype == torch.float32
    assert rates.isfinite().all()
    assert (rates >= 0).all()
    assert rates.max().item() <= peak_lr(settings, batch_size) * (1 + 1e-6)


@given(schedules, totals, st.data())
def test_a_rate_is_a_function_of_its_own_step(settings, total, data):
    steps = torch.tensor(data.draw(st.lists(st.integers(0, total), min_size=1, max_size=6)))
    whole = learning_rates(settings, torch.arange(total + 1), total, 64)
    assert torch.equal(learning_rates(settings, steps, total, 64), whole[steps])
    assert torch.equal(learning_rates(settings, steps[:, None], total, 64), whole[steps][:, None])


@given(schedules, totals)
def test_after_the_warmup_comes_the_schedule_over_what_is_left(settings, total):
    warm = n_warmup_steps(settings, total)
    rates = learning_rates(settings, torch.arange(total), total, 64)
    alone = learning_rates(settings.model_copy(update={"warmup": 0.0}), torch.arange(total - warm), total - warm, 64)
    torch.testing.assert_close(rates[warm:], alone)
    assert (rates[: warm + 1].diff() > 0).all()


@given(schedules, totals, st.integers(1, 300))
def test_what_needs_no_horizon_has_none(settings, total, longer):
    if not needs_horizon(settings):
        steps = torch.arange(total)
        assert torch.equal(
            learning_rates(settings, steps, total, 64), learning_rates(settings, steps, total + longer, 64)
        )


@given(st.floats(0.01, 1), st.integers(1, 300))
def test_drops_come_at_the_rounded_multiples_of_the_share(every, total):
    settings = ScheduleSettings(lr=1.0, schedule="step", step_every=every, gamma=0.9)
    rates = learning_rates(settings, torch.arange(total), total, 64)
    multiples = [j * every * total for j in range(1, math.ceil(1 / every) + 1)]
    if any(abs(m % 1 - 0.5) < 1e-9 for m in multiples):
        return  # where a multiple lies halfway, either step is right
    drops = torch.tensor([sum(math.floor(m + 0.5) <= s for m in multiples) for s in range(total)])
    torch.testing.assert_close(rates, (0.9 ** drops.double()).float())
