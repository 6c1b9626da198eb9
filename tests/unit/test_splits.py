"""Splits: they cover every row once, keep together or apart what they promise, and refuse what cannot be."""

import itertools
import math

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from tuner.errors import DataError, SpecError
from tuner.training import splits

shares = st.lists(st.integers(1, 9), min_size=1, max_size=4).map(lambda parts: [part / sum(parts) for part in parts])
labels = st.lists(st.integers(0, 6), min_size=1, max_size=120).map(torch.tensor)
seeds = st.integers(0, 3)


def check_cover(parts, n):
    assert all(part.dtype == torch.int64 and len(part) > 0 for part in parts)
    assert torch.cat(parts).sort().values.tolist() == list(range(n))


def made(split, *arguments):
    try:
        return split(*arguments)
    except DataError:
        return None


@given(st.integers(1, 200), shares, seeds)
def test_random_parts_have_their_share(n, shares, seed):
    parts = made(splits.random, n, shares, seed)
    if parts is None:
        assert min(shares) * n < 1
        return
    check_cover(parts, n)
    assert all(abs(len(part) - share * n) <= 1 + 1e-6 for part, share in zip(parts, shares, strict=True))


@given(labels, shares, seeds)
def test_each_stratified_part_has_its_share_of_each_class(targets, shares, seed):
    parts = made(splits.stratified, targets, shares, seed)
    if parts is None:
        assert min(shares) * len(targets) < len(shares)
        return
    check_cover(parts, len(targets))
    within = max(1, len(shares) - 1) + 1e-6
    for part, share in zip(parts, shares, strict=True):
        assert abs(len(part) - share * len(targets)) <= within
        for label in range(7):
            n_all, n_here = (targets == label).sum().item(), (targets[part] == label).sum().item()
            assert abs(n_here - share * n_all) <= within


def test_a_stratified_split_is_exact_where_it_can_be():
    targets = torch.arange(10).repeat(60)
    train, validation, test = splits.stratified(targets, [0.8, 0.1, 0.1], seed=0)
    for part, each in ((train, 48), (validation, 6), (test, 6)):
        assert torch.bincount(targets[part]).tolist() == [each] * 10
    assert not torch.equal(train, splits.stratified(targets, [0.8, 0.1, 0.1], seed=1)[0])
    other = splits.stratified(-5 * targets, [0.8, 0.1, 0.1], seed=0)
    assert torch.bincount(targets[other[1]]).tolist() == [6] * 10


def test_which_rows_of_a_class_are_taken_is_chance():
    """Of classes of one row each, every row comes to validation about as often as its share."""
    targets = torch.arange(10)
    taken = torch.zeros(10)
    for seed in range(400):
        taken[splits.stratified(targets, [0.8, 0.2], seed)[1]] += 1
    assert taken.sum() == 800
    assert all(50 < n < 115 for n in taken.tolist())


@given(labels, shares, seeds)
def test_no_group_is_in_two_parts(groups, shares, seed):
    parts = made(splits.grouped, groups, shares, seed)
    if parts is None:
        assert len(groups.unique()) < len(shares)
        return
    check_cover(parts, len(groups))
    for one, other in itertools.combinations(parts, 2):
        assert not set(groups[one].tolist()) & set(groups[other].tolist())


def test_groups_are_balanced_by_their_size():
    groups = torch.arange(200).repeat_interleave(torch.randint(1, 20, (200,)))
    parts = splits.grouped(groups, [0.7, 0.2, 0.1], seed=0)
    for part, share in zip(parts, (0.7, 0.2, 0.1), strict=True):
        assert abs(len(part) - share * len(groups)) <= 2
    assert len(splits.grouped(torch.tensor([1, 1, 2, 2]), [0.9, 0.1], seed=0)[1]) == 2


@given(st.lists(st.integers(0, 30), min_size=1, max_size=80), shares)
def test_time_goes_on_from_part_to_part(times, shares):
    times = torch.tensor(times)
    parts = made(splits.in_time_order, times, shares)
    assume(parts is not None)
    check_cover(parts, len(times))
    for earlier, later in itertools.pairwise(parts):
        assert times[earlier].max() < times[later].min()
    joined = times[torch.cat(parts)]
    assert torch.equal(joined, joined.sort().values)


def test_a_cut_among_equal_times_moves_to_the_nearer_end():
    parts = splits.in_time_order(torch.tensor([1.0, 2, 2, 2, 2, 3, 4, 5, 6, 7]), [0.4, 0.6])
    assert len(parts[0]) == 5  # 4 is one row from the run's end, three from its beginning
    parts = splits.in_time_order(torch.tensor([1, 2, 2, 3]), [0.5, 0.5])
    assert [part.tolist() for part in parts] == [[0], [1, 2, 3]]  # as near: the earlier
    parts = splits.in_time_order(torch.tensor([9, 1, 5, 3]), [0.5, 0.5])
    assert [part.tolist() for part in parts] == [[1, 3], [2, 0]]


def test_splits_are_functions_of_their_seed():
    state = torch.get_rng_state()
    for split in (
        lambda seed: splits.random(50, [0.5, 0.5], seed),
        lambda seed: splits.grouped(GROUPS, [0.5, 0.5], seed),
    ):
        assert all(torch.equal(a, b) for a, b in zip(split(1), split(1), strict=True))
        assert not torch.equal(split(1)[0], split(2)[0])
    assert torch.equal(torch.get_rng_state(), state)


GROUPS = torch.arange(25).repeat_interleave(2)


@pytest.mark.parametrize("wrong", [[0.8, 0.1], [], [1.2, -0.2], [1.0, 0.0], [math.nan, 0.5], [0.5, math.inf]])
def test_impossible_shares(wrong):
    for split in (
        lambda: splits.random(10, wrong, 0),
        lambda: splits.stratified(GROUPS, wrong, 0),
        lambda: splits.grouped(GROUPS, wrong, 0),
        lambda: splits.in_time_order(GROUPS, wrong),
    ):
        with pytest.raises(SpecError) as error:
            split()
        assert error.value.path == "shares"


def test_parts_that_would_be_empty():
    with pytest.raises(DataError, match=r"part 2, a share of 0.001, .* 100 rows"):
        splits.random(100, [0.999, 0.001], 0)
    with pytest.raises(DataError, match="part 1"):
        splits.stratified(torch.zeros(3, dtype=torch.int64), [0.1, 0.9], 0)
    with pytest.raises(DataError, match="1 groups"):
        splits.grouped(torch.zeros(9, dtype=torch.int64), [0.5, 0.5], 0)
    with pytest.raises(DataError, match="1 different times"):
        splits.in_time_order(torch.zeros(9), [0.5, 0.5])
    with pytest.raises(DataError, match="0 rows"):
        splits.random(0, [0.5, 0.5], 0)


@pytest.mark.parametrize("wrong", [torch.rand(5), torch.ones(5, 2, dtype=torch.int64)])
def test_what_does_not_name_classes_or_groups(wrong):
    with pytest.raises(DataError, match=r"torch\."):
        splits.stratified(wrong, [0.5, 0.5], 0)
    with pytest.raises(DataError, match=r"torch\."):
        splits.grouped(wrong, [0.5, 0.5], 0)
    with pytest.raises(DataError, match="NaN"):
        splits.in_time_order(torch.tensor([1.0, math.nan]), [0.5, 0.5])
