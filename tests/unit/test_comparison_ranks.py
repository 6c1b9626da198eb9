"""Ranks and tests: Demšar's tables, scipy as the oracle, distributions counted out."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from comparison_runs import full_trainings
from scipy import stats

from tuner.analysis.comparison import (
    Run,
    average_ranks,
    blocks,
    critical_difference,
    fewest_repeats,
    friedman,
    holm,
    incumbents,
    indistinguishable,
    pairwise_table,
    repeats_needed,
    signed_rank_p,
)

DRAWS = np.random.default_rng(0).normal([0.0, 0.3, 0.6, 1.2], 1, size=(12, 4))


def frame(values):
    index = pd.MultiIndex.from_product([["p"], range(len(values))], names=["problem", "repeat"])
    return pd.DataFrame(np.asarray(values, dtype=float), index=index, columns=list("abcdefgh")[: np.shape(values)[1]])


def test_blocks_pair_the_repeats_and_leave_out_what_is_not_complete():
    runs = [Run("a", r, full_trainings([0.1 * r])) for r in range(3)] + [
        Run("b", r, full_trainings([1])) for r in (0, 2)
    ]
    table = blocks(incumbents(runs, [0, 1]), 1)
    assert table.index.tolist() == [("default", 0), ("default", 2)]
    assert table["a"].tolist() == pytest.approx([0, 0.2])
    assert np.isinf(blocks(incumbents(runs, [0]), 0).to_numpy()).all()


def test_ties_share_their_rank():
    assert average_ranks(frame([[1, 2, 2], [3, 1, np.inf]])).to_dict() == {"b": 1.75, "a": 1.5, "c": 2.75}


@pytest.mark.parametrize("values", [DRAWS, DRAWS.round(0)], ids=["distinct", "ties"])
def test_friedmans_statistic_is_scipys(values):
    found = friedman(frame(values))
    assert found.chi_square == pytest.approx(stats.friedmanchisquare(*values.T).statistic)
    n, k = values.shape
    f = (n - 1) * found.chi_square / (n * (k - 1) - found.chi_square)
    assert found.f == pytest.approx(f)
    assert found.p_value == pytest.approx(stats.f.sf(f, k - 1, (k - 1) * (n - 1)))


def test_friedman_as_demsar_worked_it_out():
    # Demšar 2006, section 3.2.2: 14 data sets, 4 algorithms, average ranks 3.143, 2.000, 2.893, 1.964.
    chi_square = 12 * 14 / (4 * 5) * (3.143**2 + 2.0**2 + 2.893**2 + 1.964**2 - 4 * 25 / 4)
    assert chi_square == pytest.approx(9.28, abs=0.02)
    assert 13 * chi_square / (14 * 3 - chi_square) == pytest.approx(3.69, abs=0.01)
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)
    assert critical_difference(4, 14, alpha=0.1) == pytest.approx(1.12, abs=0.005)


def test_friedman_of_little_says_little():
    assert friedman(frame([[1, 2, 3]])).p_value == 1
    assert friedman(frame([[1, 1], [2, 2], [3, 3]])).p_value == 1
    assert friedman(frame([[1, 2], [3, 4]])).p_value == pytest.approx(0.5)  # two coins that fall alike
    assert friedman(frame([[1, 2, 3]] * 3)).p_value == pytest.approx(1 / 36)


@pytest.mark.parametrize(
    ("k", "q"),
    [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (6, 2.850), (7, 2.949), (8, 3.031), (9, 3.102), (10, 3.164)],
)
def test_the_critical_values_are_demsars_table_5(k, q):
    assert critical_difference(k, 1) / np.sqrt(k * (k + 1) / 6) == pytest.approx(q, abs=1.1e-3)


def test_groups_are_the_largest_that_lie_within_the_difference():
    ranks = pd.Series({"c": 2.9, "a": 1.0, "d": 3.4, "b": 1.9})
    assert indistinguishable(ranks, 1.2) == [("a", "b"), ("b", "c"), ("c", "d")]
    assert indistinguishable(ranks, 1.6) == [("a", "b"), ("b", "c", "d")]
    assert indistinguishable(ranks, 0.1) == []


@pytest.mark.parametrize("n", [1, 5, 12, 40])
def test_the_signed_rank_test_is_scipys_exact_one(n):
    values = np.random.default_rng(n).normal(0.3, 1, n)
    assert signed_rank_p(values) == pytest.approx(stats.wilcoxon(values, method="exact").pvalue)


@pytest.mark.parametrize("values", [[1, 1, -1, 2, 3, 3], [0, 0, 1, -2, 2, 3, 0.5], [0, 4, 4, 4, np.inf], [0, 0, -1]])
def test_ties_and_zeros_are_counted_out(values):
    values = np.asarray(values, dtype=float)
    ranks = stats.rankdata(np.abs(values))[values != 0]
    sums = [np.dot(signs, ranks) for signs in product([0, 1], repeat=len(ranks))]
    seen = ranks[values[values != 0] > 0].sum()
    tails = np.mean(np.array(sums) <= seen), np.mean(np.array(sums) >= seen)
    assert signed_rank_p(values) == pytest.approx(min(1, 2 * min(tails)))


def test_many_differences_take_the_normal_distribution_with_ties():
    values = np.random.default_rng(1).normal(0.2, 1, 300).round(1)
    expected = stats.wilcoxon(values, zero_method="pratt", method="asymptotic", correction=False).pvalue
    assert signed_rank_p(values) == pytest.approx(expected, rel=1e-6)
    assert signed_rank_p(np.zeros(8)) == 1


def test_holm_by_hand():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.5, 0.9]), [1, 1])


def test_pairs_count_failures_as_losses():
    pairs = pairwise_table(frame([[1, 2], [1, np.inf], [3, 3], [np.inf, np.inf]])).iloc[0]
    assert pairs[["wins", "ties", "losses"]].tolist() == [2, 2, 0]
    assert pairs["difference"] == pytest.approx(0.5)  # 1, 2, 0, 0


def test_the_fewest_repeats_that_can_be_significant():
    assert [fewest_repeats(0.05, n) for n in (1, 3, 6)] == [6, 7, 8]
    assert signed_rank_p(np.ones(6)) <= 0.05 < signed_rank_p(np.ones(5))


def test_no_number_of_repeats_comes_from_nothing():
    assert repeats_needed([1.0, 2.0]) is None
    assert repeats_needed([1.0, -1.0, 1.0, -1.0, 0.0]) is None
    assert repeats_needed([1.0, 2.0, 3.0]) == 11  # (1.960 + 0.842)² / (3 · ¼) = 10.5
    assert repeats_needed([1.0, 2.0, np.inf]) == 11


@pytest.mark.parametrize("shift", [0.4, 0.8])
def test_the_repeats_reckoned_have_the_power_promised_and_half_of_them_have_not(shift):
    n = repeats_needed(stats.norm.ppf((np.arange(1000) + 0.5) / 1000) + shift)
    rng = np.random.default_rng(7)

    def power(n):
        return np.mean([signed_rank_p(rng.normal(shift, 1, n)) <= 0.05 for _ in range(400)])

    assert power(n) >= 0.8 - 2 * np.sqrt(0.8 * 0.2 / 400)
    assert power(n // 2) < 0.8
