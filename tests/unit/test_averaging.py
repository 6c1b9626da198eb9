"""Lookahead, the moving average and Polyak's mean of the weights."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tuner.errors import CheckpointError
from tuner.training.averaging import Averages
from tuner.training.checkpoint import load, save
from tuner.training.settings import AveragingSettings

STEPS = 12


def network(dtype=torch.float32):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).to(dtype)


def averages(model, **how):
    names, parameters = zip(*model.named_parameters(), strict=True)
    return Averages(parameters, AveragingSettings(**how), names)


@torch.no_grad()
def move(model, step):
    """What an optimizer does: changes the weights in place, at random."""
    generator = torch.Generator().manual_seed(step)
    for parameter in model.parameters():
        parameter.add_(torch.randn(parameter.shape, generator=generator))


def train(model, kept, steps=range(STEPS)):
    for step in steps:
        move(model, step)
        kept.after_step(step, (step + 1) / STEPS)


def values(model):
    return [parameter.detach().clone() for parameter in model.parameters()]


def torchs_average(how, from_step):
    model = network()
    averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9) if how == "ema" else None)
    for step in range(STEPS):
        move(model, step)
        if step >= from_step:
            averaged.update_parameters(model)
    return list(averaged.module.parameters())


@pytest.mark.parametrize("how", ["ema", "polyak"])
@pytest.mark.parametrize(("average_from", "from_step"), [(0.0, 0), (0.25, 2), (0.99, 11)])
def test_averages_are_torchs(how, average_from, from_step):
    model = network()
    kept = averages(model, averaging=how, ema_decay=0.9, average_from=average_from)
    train(model, kept)
    expected = torchs_average(how, from_step)
    for ours, theirs in zip(kept.averaged().values(), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-7)
    assert list(kept.averaged()) == [name for name, _ in model.named_parameters()]


def test_polyaks_average_is_the_mean_of_the_weights():
    model = network(torch.float64)
    kept = averages(model, averaging="polyak", average_from=0.5)
    seen = []
    for step in range(STEPS):
        train(model, kept, [step])
        seen.append(values(model))
    for average, *weights in zip(kept.averaged().values(), *seen[5:], strict=True):  # progress after step 5 is 6/12
        torch.testing.assert_close(average, torch.stack(weights).mean(0), rtol=1e-12, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.floats(0.01, 1.0), st.lists(st.floats(-1, 1), min_size=1, max_size=20))
def test_lookahead_is_the_papers_loop(every, rate, updates):
    """Zhang et al. 2019, algorithm 1, in one dimension."""
    model = nn.Linear(1, 1, bias=False, dtype=torch.float64)
    with torch.no_grad():
        model.weight.fill_(2.0)
    kept = averages(model, lookahead=every, lookahead_rate=rate)
    slow = fast = 2.0
    for step, update in enumerate(updates):
        with torch.no_grad():
            model.weight.add_(update)
        kept.after_step(step, 0.0)
        fast += update
        if (step + 1) % every == 0:
            slow += rate * (fast - slow)
            fast = slow
        assert model.weight.item() == pytest.approx(fast, rel=1e-12, abs=1e-12)


def test_lookahead_over_a_whole_loop_has_its_closed_form():
    """With a constant update u, every k steps move the slow weights by α·k·u."""
    model = nn.Linear(2, 2, bias=False, dtype=torch.float64)
    start = model.weight.detach().clone()
    kept = averages(model, lookahead=4, lookahead_rate=0.25)
    for step in range(12):
        with torch.no_grad():
            model.weight.add_(0.5)
        kept.after_step(step, 0.0)
    torch.testing.assert_close(model.weight.detach(), start + 3 * 0.25 * 4 * 0.5)
    assert kept.averaged() is None
    with kept.evaluated():
        torch.testing.assert_close(model.weight.detach(), start + 1.5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.complex64])
def test_evaluation_sees_the_average_and_gives_every_bit_back(dtype):
    model = nn.ModuleList([nn.Linear(3, 2, dtype=dtype), nn.Linear(2, 2, dtype=torch.float64)])
    kept = averages(model, averaging="ema", ema_decay=0.5)
    train(model, kept)
    with torch.no_grad():
        model[0].weight.view(-1)[:2] = torch.tensor([-0.0, torch.nan], dtype=dtype)
    before, places = as_bytes(model), [parameter.data_ptr() for parameter in model.parameters()]
    with kept.evaluated():
        assert all(map(torch.equal, model.parameters(), kept.averaged().values()))
        assert as_bytes(model) != before
        assert [parameter.data_ptr() for parameter in model.parameters()] == places  # a CUDA graph relies on it
    assert as_bytes(model) == before
    with pytest.raises(ZeroDivisionError), kept.evaluated():
        raise ZeroDivisionError
    assert as_bytes(model) == before
    assert all(parameter.requires_grad for parameter in model.parameters())


def as_bytes(model):
    return [bytes(p.detach().clone().view(-1).view(torch.uint8).tolist()) for p in model.parameters()]


def test_before_the_average_begins_the_weights_are_evaluated():
    model = network()
    kept = averages(model, averaging="ema", average_from=0.5)
    train(model, kept, range(5))
    assert kept.averaged() is None
    before = values(model)
    with kept.evaluated():
        assert all(map(torch.equal, model.parameters(), before))
    train(model, kept, [5])
    assert all(map(torch.equal, kept.averaged().values(), model.parameters()))  # the first step copies


def test_a_narrow_types_average_still_moves():
    """In bfloat16 a thousandth of the way to the new weight would be rounded away."""
    model = nn.Linear(1, 1, bias=False, dtype=torch.bfloat16)
    kept = averages(model, averaging="ema", ema_decay=0.999)
    for step, value in enumerate([1.0] + [2.0] * 1000):
        with torch.no_grad():
            model.weight.fill_(value)
        kept.after_step(step, 1.0)
    average = kept.averaged()["weight"]
    assert average.dtype == torch.bfloat16
    assert average.item() == pytest.approx(2 - 0.999**1000, rel=0.01)


HOWS = [
    {"lookahead": 3},
    {"averaging": "ema", "average_from": 0.3},
    {"averaging": "polyak", "lookahead": 2, "average_from": 0.8},
    {},
]


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("stop", [1, 4, 11])
def test_going_on_from_a_checkpoint_is_not_stopping(how, dtype, stop, tmp_path):
    whole = network(dtype)
    kept = averages(whole, **how)
    train(whole, kept)
    first = network(dtype)
    before = averages(first, **how)
    train(first, before, range(stop))
    save({"model": first.state_dict(), "averages": before.state_dict()}, tmp_path / "state")
    state = load(tmp_path / "state")
    second = network(dtype)
    after = averages(second, **how)
    second.load_state_dict(state["model"])
    after.load_state_dict(state["averages"])
    state["averages"].clear()
    train(second, after, range(stop, STEPS))
    assert all(map(torch.equal, second.parameters(), whole.parameters()))
    for ours, expected in zip((after.averaged() or {}).items(), (kept.averaged() or {}).items(), strict=True):
        assert ours[0] == expected[0]
        assert torch.equal(ours[1], expected[1])


@pytest.mark.parametrize(
    ("how", "model", "complaint"),
    [
        ({}, network(), "nothing"),
        ({"averaging": "ema", "lookahead": 2}, network(), "slow"),
        ({"averaging": "ema"}, nn.Linear(3, 2), "parameters"),
        ({"averaging": "ema"}, nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Linear(5, 2)), "shape"),
        ({"averaging": "ema"}, network(torch.float64), "float64"),
    ],
)
def test_what_does_not_fit_is_refused(how, model, complaint):
    written = network()
    kept = averages(written, averaging="ema")
    train(written, kept)
    with pytest.raises(CheckpointError, match=complaint):
        averages(model, **how).load_state_dict(kept.state_dict())


def test_with_everything_off_nothing_is_kept_or_done():
    model = network()
    kept = averages(model)
    before = values(model)
    kept.after_step(0, 1.0)
    assert all(map(torch.equal, model.parameters(), before))
    assert kept.state_dict() == {}
    assert kept.averaged() is None


def test_a_states_tensors_are_copies():
    model = network()
    kept = averages(model, averaging="ema", lookahead=5)
    train(model, kept, range(3))
    state, averaged = kept.state_dict(), kept.averaged()
    was = {name: tensor.clone() for name, tensor in averaged.items()}
    train(model, kept, range(3, STEPS))
    assert all(torch.equal(state["average"][name], was[name]) for name in was)
    assert all(torch.equal(averaged[name], was[name]) for name in was)
