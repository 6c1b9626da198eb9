"""The page Hyperparameters."""

from __future__ import annotations

import math

import numpy as np
import pytest
import studies

from tuner.records import Report, TrialState

VIEWS = ("Importances", "Slices", "Parallel coordinates", "Pairs", "Coverage")


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("make", studies.EDGES, ids=lambda make: make.__name__)
def test_it_survives(shown, store, make, view):
    shown("hyperparameters", study=make(store), look=view)


def test_an_empty_store_says_what_to_do(shown):
    assert "tune run" in shown("hyperparameters").info[0].value


def many(store, name="many", n=60, loss=None, **parts):
    """Trials at random places of the space; `loss` is of (lr's place in 0..1, config)."""
    spec = studies.spec_of(name, **parts)
    rng = np.random.default_rng(0)
    reports, trials = {}, []
    for number in range(n):
        config = spec.space.from_unit(rng.random(len(spec.space)))
        place = spec.space["lr"].to_unit(config["lr"])
        value = loss(place, config) if loss else abs(place - 0.5) + 0.01 * rng.random()
        reports[number] = [Report(number, 0, epoch, {"val_loss": value}, 0.1) for epoch in (1, 3, 9)]
        trials.append(studies.summary_of(spec, number, reports[number], config=config))
    return studies.write(store, spec, trials, reports)


def test_every_view_shows_a_figure(shown, store):
    name = many(store)
    for view in VIEWS:
        page = shown("hyperparameters", study=name, look=view)
        assert not page.error
        assert len(page.get("plotly_chart")) == 1, view


def test_an_edge_is_told(shown, store):
    name = many(store, loss=lambda place, config: 1 - place)
    page = shown("hyperparameters", study=name)
    assert any("upper edge of lr" in warning.value and "wider range" in warning.value for warning in page.warning)


def test_an_optimum_inside_is_no_edge(shown, store):
    assert not shown("hyperparameters", study=many(store)).warning


def test_a_branch_that_was_never_tried_is_told(shown, store):
    spec = studies.spec_of("one-branch")
    reports = {number: [studies.trained(number, epoch) for epoch in (1, 2, 3)] for number in range(4)}
    trials = [
        studies.summary_of(spec, number, reports[number], config=studies.config_of(1 + 2 * number))
        for number in range(4)
    ]
    studies.write(store, spec, trials, reports)
    page = shown("hyperparameters", study="one-branch", look="Coverage")
    assert any("optimizer \\= sgd" in w.value or "optimizer = sgd" in w.value for w in page.warning)


def test_an_outlier_does_not_break_a_view(shown, store):
    name = many(store, loss=lambda place, config: 1e18 if place > 0.95 else place)
    for view in VIEWS:
        assert not shown("hyperparameters", study=name, look=view).error


def test_names_and_values_stay_text(shown, store):
    axis = "<script>alert(1)</script>[x](javascript:alert(1))"
    parts = {"space": {axis: {"float": [0.0, 1.0]}, "lr": {"float": [1e-4, 1.0], "log": True}}}
    name = many(store, loss=lambda place, config: 1 - config[axis], **parts)
    page = shown("hyperparameters", study=name)
    text = next(warning.value for warning in page.warning if "upper edge" in warning.value)
    assert "<script>" not in text
    assert "[x](" not in text


def test_the_level_is_in_the_address(shown, store):
    page = shown("hyperparameters", study=studies.ordinary(store, n=8), at="epoch 3", look="Slices")
    assert page.selectbox(key="at").value == "epoch 3"
    assert "4" in page.caption[-1].value or "8" in page.caption[-1].value


def test_ten_thousand_trials_are_thinned_and_it_is_said(shown, store):
    spec = studies.spec_of("large", scheduler={"name": "none", "max_resource": 1})
    rng = np.random.default_rng(1)
    trials = []
    for number in range(10_000):
        config = spec.space.from_unit(rng.random(len(spec.space)))
        made = {"config": config, "value": float(rng.random()), "resource": 1, "state": TrialState.COMPLETE}
        trials.append(studies.summary_of(spec, number, [], **made))
    studies.write(store, spec, trials, {})
    page = shown("hyperparameters", study="large", look="Slices")
    assert "of 10,000" in page.caption[-1].value
    assert not math.isnan(len(page.get("plotly_chart")))
