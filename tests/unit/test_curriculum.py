"""A curriculum's pace, and what an epoch reads under it."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tuner.errors import SpecError
from tuner.training.curriculum import easiest_first, epoch_order, open_share, order_state
from tuner.training.randomness import shuffled
from tuner.training.settings import BatchSettings


def test_the_share_grows_linearly_and_is_whole_in_time():
    settings = BatchSettings(curriculum=0.2, curriculum_until=0.5)
    shares = [open_share(settings, progress) for progress in (0.0, 0.125, 0.25, 0.5, 0.9, 1.0)]
    assert shares == pytest.approx([0.2, 0.4, 0.6, 1.0, 1.0, 1.0])
    assert open_share(BatchSettings(), 0.0) == 1.0
    assert open_share(BatchSettings(curriculum=1.0), 0.1) == 1.0


def test_without_a_curriculum_the_order_is_the_usual_one():
    usual = shuffled(torch.tensor([order_state(4, 2)]), 30)[0]
    assert torch.equal(epoch_order(30, 4, 2, None, 1.0), usual)
    assert torch.equal(epoch_order(30, 4, 2, None, 0.5), usual)
    assert torch.equal(epoch_order(30, 4, 2, torch.arange(30), 1.0), usual)


@given(st.integers(1, 200), st.floats(0.001, 0.999), st.integers(0, 5), st.integers(1, 3))
def test_an_epoch_is_n_rows_in_passes_over_the_easiest(n, share, seed, epoch):
    easiest = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    order = epoch_order(n, seed, epoch, easiest, share)
    n_open = min(n, math.ceil(share * n))
    assert order.shape == (n,)
    passes = order.split(n_open)
    assert all(sorted(one.tolist()) == sorted(easiest[:n_open].tolist()) for one in passes[:-1])
    assert len(set(passes[-1].tolist())) == len(passes[-1])
    assert set(passes[-1].tolist()) <= set(easiest[:n_open].tolist())


def test_orders_differ_between_passes_epochs_and_seeds_and_nothing_else():
    easiest = torch.arange(100)
    order = epoch_order(100, 1, 1, easiest, 0.25)
    passes = order.split(25)
    assert len({tuple(one.tolist()) for one in passes}) == 4
    torch.manual_seed(8)
    assert torch.equal(epoch_order(100, 1, 1, easiest, 0.25), order)
    assert not torch.equal(epoch_order(100, 1, 2, easiest, 0.25), order)
    assert not torch.equal(epoch_order(100, 2, 1, easiest, 0.25), order)


def test_whole_numbers_of_rows_are_not_rounded_up():
    assert set(epoch_order(30, 0, 1, torch.arange(30), 0.1).tolist()) == {0, 1, 2}


def test_the_easiest_come_first_and_ties_stay_in_order():
    assert easiest_first(torch.tensor([2.0, 0.5, 2.0, -1.0, math.inf, 0.5])).tolist() == [3, 1, 5, 0, 2, 4]
    assert easiest_first(torch.tensor([3, 1, 2])).tolist() == [1, 2, 0]


@pytest.mark.parametrize(
    ("scores", "says"),
    [
        (None, "does not say"),
        (torch.tensor([1.0, math.nan, math.nan]), "2 of 3 rows"),
        (torch.ones(4, 2), r"\(4, 2\)"),
    ],
)
def test_scores_that_order_nothing(scores, says):
    with pytest.raises(SpecError, match=says) as error:
        easiest_first(scores)
    assert error.value.path == "curriculum"
    assert "difficulty" in error.value.hint


def test_scores_for_other_rows():
    with pytest.raises(SpecError, match="7 scores for 8 rows"):
        epoch_order(8, 0, 1, torch.arange(7), 0.5)
