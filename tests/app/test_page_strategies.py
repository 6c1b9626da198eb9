"""The page Search strategies."""

from __future__ import annotations

import math

import little_comparisons
import pytest

METHODS = ["grid", "random", "asha+tpe"]


def loss(method, repeat, trial):
    return {"grid": 3.0, "random": 2.0, "asha+tpe": 1.0}[method] + 0.1 * repeat + 0.3 * ((trial + repeat) % 3)


def compared(store, repeats=7, of=loss, n_done=None, methods=METHODS, **parts):
    return little_comparisons.add(store, little_comparisons.plan_of("methods", methods, repeats, **parts), of, n_done)


def test_an_empty_store_says_what_to_do(shown):
    assert "tune compare" in shown("strategies").info[0].value


def test_the_verdict_comes_first_in_words(shown, store):
    compared(store)
    page = shown("strategies")
    assert page.markdown[0].value.startswith("**asha\\+tpe is ahead of random and grid after 4 trials")
    assert [heading.value for heading in page.subheader] == [
        "Best so far",
        "Budget to reach a target",
        "Ranks and tests",
        "Where the samples went",
    ]
    assert len(page.get("plotly_chart")) == 5
    assert not page.warning
    assert page.dataframe[0].value["method"].tolist() == ["asha+tpe", "random", "grid"]


def test_too_few_repeats_say_how_many_it_takes(shown, store):
    compared(store, repeats=2)
    page = shown("strategies")
    assert "2 have been run with every method" in page.warning[0].value
    assert "--repeats 7" in page.warning[0].value


def test_what_is_there_of_an_unfinished_comparison(shown, store):
    compared(store, n_done=4)
    page = shown("strategies")
    assert "4 of 21 runs" in page.get("progress")[0].proto.text
    assert len(page.get("plotly_chart")) == 5


def test_none_of_its_runs_has_ended(shown, store):
    compared(store, n_done=0)
    assert "None of its runs has ended" in shown("strategies").info[0].value


def test_every_run_failed(shown, store):
    compared(store, of=lambda *_: math.nan)
    page = shown("strategies")
    assert "every trial failed" in page.markdown[0].value
    assert "nothing to reach" in page.info[0].value


@pytest.mark.parametrize(
    "parts",
    [
        {"repeats": 1},
        {"methods": ["random"]},
        {"of": lambda *_: 1.0},
        {"n_done": 1},
        {"metric": {"name": "[x](javascript:alert(1)) <b>", "direction": "maximize"}},
        {"space": {"x": {"float": [0.0, 1.0]}}},
        {"budget": {"trials": None, "epochs": 6}},
        {"budget": {"trials": None, "minutes": 0.1}},
    ],
    ids=["one repeat", "one method", "all alike", "one run", "odd metric", "other axes", "epochs", "minutes"],
)
def test_it_survives(shown, store, parts):
    compared(store, **{"repeats": 3, **parts})
    shown("strategies")


def test_a_link_reopens_the_view(shown, store):
    compared(store)
    page = shown(
        "strategies", along="seconds", log=["x"], runs="true", target="1.5", **{"in": "epochs"}, by="epochs", x="layers"
    )
    assert [control.value for control in page.get("button_group")] == ["seconds", ["x"], "units", "units"]
    assert page.number_input[0].value == 1.5
    assert page.selectbox(key="x").value == "layers"
    assert page.toggle(key="runs").value
