"""The page Compare trials."""

from __future__ import annotations

import pytest
import studies
from streamlit.testing.v1 import AppTest


@pytest.mark.parametrize("make", studies.EDGES, ids=lambda make: make.__name__)
def test_it_survives(shown, store, make):
    shown("compare", study=make(store))


@pytest.mark.parametrize("make", studies.EDGES, ids=lambda make: make.__name__)
def test_every_choice_survives(shown, store, make):
    choices = {"together": "true", "smoothing": "0.5", "log": ["x", "y"], "along": "seconds"}
    shown("compare", study=make(store), trials="0-3", **choices)


def test_an_empty_store_says_what_to_do(shown):
    assert "tune run" in shown("compare").info[0].value


def test_the_best_are_shown_until_somebody_chooses(shown, store):
    assert lines(shown("compare", study=studies.ordinary(store))) == ["trial 0", "trial 2", "trial 4"]


def test_trials_are_named_in_a_text_and_by_buttons(shown, store):
    page = shown("compare", study=studies.ordinary(store), trials="4, 1-2")
    assert lines(page) == ["trial 1", "trial 2", "trial 4"]
    page.button(key="pick-latest 5").click().run()
    assert page.text_input(key="trials").value == "latest 5"
    assert lines(page) == [f"trial {number}" for number in (1, 2, 3, 4, 5)]


def test_trials_that_the_address_gives_one_by_one(shown, store):
    page = shown("compare", study=studies.ordinary(store), trials=["3", "5"])
    assert lines(page) == ["trial 3", "trial 5"]
    assert page.text_input(key="trials").value == "3, 5"


def test_what_names_no_trial_is_said(shown, store):
    page = shown("compare", study=studies.ordinary(store), trials="1, 99, [x](y)")
    assert page.warning[0].value == r"No trial is named by\: 99, \[x\]\(y\)\. There are 0 to 5\."
    assert lines(page) == ["trial 1"]


def test_no_more_than_twenty(shown, store):
    page = shown("compare", study=studies.ordinary(store, n=24), trials="0-23")
    assert page.warning[0].value == "24 trials are named; the first 20 are shown."
    assert len(lines(page)) == 20


def test_smoothing_and_events_say_so(shown, store):
    page = shown("compare", study=studies.ordinary(store), smoothing="0.5")
    assert any("weight 0.5 on the past" in caption.value for caption in page.caption)
    assert any("What happened" in expander.label for expander in page.expander)
    assert "not finite" in page.dataframe[0].value["event"][0]


def test_train_and_validation_together(shown, store):
    page = shown("compare", study=studies.ordinary(store), together="true")
    assert "train_eval_loss" in plotted(page)["layout"]["yaxis"]["title"]["text"]


def test_what_differs_and_what_does_not(shown, store):
    page = shown("compare", study=studies.ordinary(store), trials="0,2")
    _, chosen, differing, shared = (frame.value for frame in page.dataframe)
    assert list(chosen["trial"]) == [0, 2]
    assert list(differing.index) == ["lr", "clip_norm", "momentum", "layers"]
    assert list(shared.index) == ["optimizer", "batch_size"]


def plotted(page: AppTest) -> dict:
    import json

    return json.loads(page.get("plotly_chart")[0].proto.spec)


def lines(page: AppTest) -> list[str]:
    """The trials of the legend."""
    listed = [trace["name"] for trace in plotted(page)["data"] if trace.get("showlegend") and "trial" in trace["name"]]
    return sorted(listed, key=lambda name: int(name.split()[1]))
