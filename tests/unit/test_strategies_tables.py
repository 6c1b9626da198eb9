"""The tables of the page Search strategies, held against values made by hand."""

from __future__ import annotations

import math

import little_comparisons
import numpy as np
import pandas as pd
import pytest

from tuner.analysis.bands import bands, runs_so_far
from tuner.analysis.compared import Comparison
from tuner.analysis.positions import axis_positions
from tuner.analysis.rankings import groups, least_repeats, pairs, ranks
from tuner.analysis.reaching import reach_curves, reach_medians, usual_target
from tuner.analysis.spread import _counted, samples, spread
from tuner.space import Choice, Int
from tuner.store import open_store


@pytest.fixture
def store(tmp_path):
    made = open_store(tmp_path / "tuner.db")
    yield made
    made.close()


@pytest.fixture
def two(store):
    """tpe is better than random from its second trial on; six repeats."""
    plan = little_comparisons.plan_of("two", ["random", "tpe"], 6)
    level = {"random": 4.0, "tpe": 2.0}
    little_comparisons.add(
        store, plan, lambda method, repeat, trial: level[method] + 0.1 * repeat + (5.0 if trial == 0 else 0.0)
    )
    return Comparison(store, "two")


@pytest.fixture
def begun(store):
    """Of two methods and three repeats one run of each, and one of random besides."""
    plan = little_comparisons.plan_of("begun", ["random", "tpe"], 3)
    little_comparisons.add(store, plan, lambda method, repeat, trial: math.nan, n_done=3)
    return Comparison(store, "begun")


def test_bands_are_the_median_over_repeats_and_its_interval(two):
    table = bands(two, "trials")
    assert list(table.columns) == ["method", "budget", "runs", "median", "low", "high"]
    assert list(dict.fromkeys(table["method"])) == ["random", "tpe"]
    assert set(table["runs"]) == {6}
    last = table.groupby("method").last()
    assert last["budget"].tolist() == [4, 4]
    assert last["median"].tolist() == pytest.approx([4.25, 2.25])
    assert (last["low"] >= [4.0, 2.0]).all()
    assert (last["high"] <= [4.5, 2.5]).all()
    told = table.dropna()
    assert ((told["low"] <= told["median"]) & (told["median"] <= told["high"])).all()


def test_before_the_first_trial_there_is_no_median(two):
    first = bands(two, "trials").iloc[0]
    assert first["budget"] < 1
    assert math.isnan(first["median"])


def test_a_line_ends_where_the_longest_run_of_its_method_ended(two):
    table = runs_so_far(two, "seconds")
    assert table["budget"].max() == 8
    assert table.groupby(["method", "repeat"]).last()["value"].tolist() == pytest.approx(
        [4, 4.1, 4.2, 4.3, 4.4, 4.5, 2, 2.1, 2.2, 2.3, 2.4, 2.5]
    )


def test_nothing_finite_has_no_median_and_no_interval(begun):
    table = bands(begun, "units")
    assert table["median"].isna().all()
    assert table["low"].isna().all()


def test_what_is_maximised_stays_the_metric(store):
    plan = little_comparisons.plan_of("up", ["random", "tpe"], 6, metric={"name": "loss", "direction": "maximize"})
    little_comparisons.add(store, plan, lambda method, repeat, trial: 0.5 + 0.01 * repeat + 0.1 * (method == "tpe"))
    found = Comparison(store, "up")
    last = bands(found, "trials").groupby("method").last()
    assert last["median"].tolist() == pytest.approx([0.525, 0.625])
    assert (last["low"] <= last["high"]).all()
    assert reach_medians(found, 0.6, "trials")["reached"].tolist() == [6, 0]


def test_the_usual_target_is_what_the_baseline_has_at_its_end(two, begun):
    assert usual_target(two) == pytest.approx(4.25)
    assert usual_target(begun) is None


def test_what_it_takes_to_reach_a_target(two):
    table = reach_medians(two, 2.55, "units").set_index("method")
    assert list(table.index) == ["tpe", "random"]
    assert table.loc["tpe"].tolist() == [6, 6, 4, 4, 4]
    assert table.loc["random", "reached"] == 0
    assert math.isinf(table.loc["random", "median"])


def test_the_share_of_runs_that_have_the_target(two):
    table = reach_curves(two, 2.25, "units")
    tpe = table[table["method"] == "tpe"]
    assert tpe["budget"].tolist() == [0, 4, 4, 4, 8]
    assert tpe["share"].tolist() == pytest.approx([0, 1 / 6, 2 / 6, 3 / 6, 3 / 6])
    assert table[table["method"] == "random"]["share"].tolist() == [0, 0]


def test_ranks_and_what_cannot_be_told_apart(two, begun):
    assert ranks(two).to_dict("list") == {"method": ["tpe", "random"], "rank": [1, 2]}
    assert groups(two).empty
    assert groups(begun).empty
    assert ranks(begun)["rank"].tolist() == [1.5, 1.5]


def test_pairs_say_how_many_repeats_it_takes(two):
    (row,) = pairs(two).to_dict("records")
    assert (row["one"], row["other"]) == ("random", "tpe")
    assert (row["better"], row["equal"], row["worse"]) == (0, 0, 6)
    assert row["difference"] == pytest.approx(-2)
    assert row["p_holm"] == pytest.approx(2 / 64)
    assert row["needed"] == 11
    assert least_repeats(two) == 6


def test_pairs_of_too_few_repeats(begun):
    assert pairs(begun)["needed"].isna().all()


def test_samples_lie_where_their_values_are_on_the_axes(two):
    table = samples(two)
    assert len(table) == 2 * 6 * 4
    first = table[(table["method"] == "tpe") & (table["repeat"] == 0)]
    assert first["config.lr"].tolist() == pytest.approx([1, 0.75, 0.5, 0.25])
    assert first["config.clip_norm"].tolist() == pytest.approx([0.5, 0.5, -1, 0.5])
    assert first["config.optimizer"].tolist() == [0, 1, 0, 1]
    np.testing.assert_array_equal(first["config.momentum"].isna(), [False, True, False, True])


def test_the_spread_counts_off_and_leaves_out_what_is_absent(two):
    table = spread(two, "trials")
    assert list(dict.fromkeys(table["axis"])) == ["lr", "clip_norm", "optimizer", "momentum", "layers"]
    assert table.groupby(["axis", "method"])["share"].sum().tolist() == pytest.approx([1.0] * 10)
    off = table[(table["axis"] == "clip_norm") & (table["values"] == "off")]
    assert off["share"].tolist() == [0.25, 0.25]
    layers = table[(table["axis"] == "layers") & (table["method"] == "tpe")]
    assert layers["values"].tolist() == ["1", "2", "3", "4"]
    assert layers["share"].tolist() == [0.25] * 4
    momentum = table[(table["axis"] == "momentum") & (table["method"] == "tpe")]
    assert momentum["share"].max() == 1


def test_the_spread_by_units_is_the_same_where_all_were_trained_alike(two):
    pd.testing.assert_frame_equal(spread(two, "units"), spread(two, "trials"))


def test_nothing_was_run(store):
    little_comparisons.add(store, little_comparisons.plan_of("empty", ["random", "tpe"], 2), lambda *_: 0.0, n_done=0)
    empty = Comparison(store, "empty")
    assert len(bands(empty, "units")) == len(samples(empty)) == len(ranks(empty)) == len(pairs(empty)) == 0
    assert spread(empty, "trials")["share"].sum() == 0
    assert usual_target(empty) is None


@pytest.mark.parametrize("axis", [Int(1, 4, log=True), Int(1000, 1015), Int(2, 4, none=True), Choice(("a", "b"))])
def test_a_bin_of_one_value_is_named_by_it_and_lies_where_it_does(axis):
    values = [value for value in (axis.values if isinstance(axis, Choice) else axis.grid(16)) if value is not None]
    places = axis_positions(axis, values)
    counted = _counted(places, np.ones(len(places)), axis)
    counted = counted[counted["values"] != "off"]
    assert list(counted["values"]) == [str(value) for value in values]
    np.testing.assert_allclose(counted["position"], places)
    np.testing.assert_allclose(counted["share"], 1 / len(values))
