"""What runs show: medians held against numpy, losses told as the metric, unfinished and odd comparisons."""

from __future__ import annotations

import math

import numpy as np
import pytest
from synthetic_table import synthetic_spec

from tuner.analysis.comparison import Run, Trace
from tuner.analysis.findings import Findings
from tuner.spec import Budget
from tuner.workflows.comparing.planning import make_plan

MINIMISED = make_plan(synthetic_spec(), ["random", "tpe"], 6, budget=Budget(trials=None, epochs=20))
MAXIMISED = make_plan(
    synthetic_spec(metric={"name": "accuracy", "direction": "maximize"}), ["tpe", "gp"], 6, budget=Budget(trials=4)
)


def run(method, repeat, losses):
    """Trials of one report each, of five units and seconds."""
    n = len(losses)
    spent = 5.0 * np.arange(1, n + 1)
    numbers = np.arange(n)
    return Run(method, repeat, Trace(spent, spent, numbers + 1, numbers, np.full(n, 9), np.array(losses), 9))


def findings(plan, **losses):
    """`losses`: method -> of each repeat the losses of its trials."""
    return Findings(
        plan, [run(method, repeat, each) for method, repeats in losses.items() for repeat, each in enumerate(repeats)]
    )


TPE = [[0.5, 0.3, 0.2, 0.1 + r / 100] for r in range(6)]
RANDOM = [[0.5, 0.4, 0.4, 0.3 + r / 100] for r in range(6)]


def test_the_table_holds_medians_ranks_and_what_is_saved():
    table = findings(MINIMISED, random=RANDOM, tpe=TPE).table().set_index("method")
    assert list(table.index) == ["tpe", "random"]
    assert table["value"].tolist() == pytest.approx([0.125, 0.325])
    assert table["rank"].tolist() == [1, 2]
    assert (table["value_low"] < table["value"]).all()
    assert (table["value"] < table["value_high"]).all()
    assert table.loc["tpe", ["budget", "ratio"]].tolist() == [10, 0.5], "0.3 after two trials of 5 units each, of 20"
    assert table.loc["random", ["budget", "ratio"]].isna().all()
    reference, best = 0.5, 0.1
    assert table["regret"].tolist() == pytest.approx([(0.125 - best) / (reference - best), (0.325 - 0.1) / 0.4])


def test_what_is_maximised_is_told_as_it_was_reported():
    found = findings(MAXIMISED, tpe=[[-loss for loss in each] for each in TPE], gp=[[-0.2]] * 6)
    table = found.table().set_index("method")
    assert table.loc["tpe", "value"] == 0.5
    assert table.loc["gp", ["value", "value_low", "value_high"]].tolist() == [0.2, 0.2, 0.2]
    assert (table["value_low"] <= table["value_high"]).all()
    assert found.baseline == "tpe"
    assert found.budget == ("trials", 4)
    values = found.incumbents()
    assert values["value"].max() == 0.5
    assert (
        values.groupby(["method", "repeat"])["value"].apply(lambda curve: curve.dropna().is_monotonic_increasing).all()
    )


def test_incumbents_over_another_axis():
    found = findings(MINIMISED, random=RANDOM, tpe=TPE)
    by_trials = found.incumbents("trials")
    assert by_trials["budget"].max() == 4
    assert found.incumbents()["budget"].max() == 20
    at_end = by_trials[(by_trials["budget"] == 4) & (by_trials["method"] == "tpe")]
    assert at_end["value"].tolist() == pytest.approx([each[-1] for each in TPE])


def test_seconds_are_a_budget_too():
    plan = make_plan(synthetic_spec(), ["random"], 1, budget=Budget(trials=None, minutes=0.5))
    assert findings(plan, random=RANDOM[:1]).budget == ("seconds", 30)


def test_the_pairs_and_the_verdict():
    found = findings(MINIMISED, random=RANDOM, tpe=TPE)
    (pair,) = found.pairs().to_dict("records")
    assert (pair["wins"] + pair["losses"], pair["ties"], pair["p"]) == (6, 0, 2 * 0.5**6)
    assert found.verdict.leader == "tpe"
    assert found.verdict.ahead_of == ("random",)
    assert "tpe is ahead of random after 20 epochs: its val_loss is lower by 0.2" in str(found.verdict)


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        ({}, "Nothing was run."),
        ({"random": RANDOM[:1]}, "There is nothing to compare it with."),
        ({"random": RANDOM[:1], "tpe": TPE[:1]}, "Cannot tell tpe from random after 20 epochs with 1 repeat"),
        ({"random": [[math.inf]], "tpe": [[math.inf]]}, "every trial failed"),
        ({"random": RANDOM, "tpe": RANDOM}, "All methods have the same val_loss"),
        ({"random": RANDOM[:2], "tpe": [*TPE[:1], [], []]}, "Cannot tell"),
    ],
)
def test_odd_comparisons(losses, said):
    found = findings(MINIMISED, **losses)
    assert said in str(found.verdict)
    shown = found.to_dict()
    assert {row["method"] for row in shown["table"]} == set(losses)
    assert shown["verdict"] == str(found.verdict)
    assert len(shown["pairs"]) == (1 if len(losses) == 2 else 0)
