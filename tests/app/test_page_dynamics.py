"""The page Training dynamics."""

from __future__ import annotations

import json

import pytest
import studies


@pytest.mark.parametrize("make", studies.EDGES, ids=lambda make: make.__name__)
def test_it_survives(shown, store, make):
    shown("dynamics", study=make(store))


@pytest.mark.parametrize(
    ("along", "title"), [("steps", "steps"), ("samples", "samples"), ("seconds", "training and evaluation [s]")]
)
def test_it_runs_along_what_was_measured(shown, store, along, title):
    page = shown("dynamics", study=studies.ordinary(store), along=along)
    titles = [axis["title"]["text"] for axis in layout_of(page).values() if isinstance(axis, dict) and "title" in axis]
    assert titles.count(title) == 2


def test_an_empty_store_says_what_to_do(shown):
    assert "tune run" in shown("dynamics").info[0].value


def test_the_best_trial_is_shown_until_somebody_chooses(shown, store):
    page = shown("dynamics", study=studies.ordinary(store))
    assert page.markdown[0].value.startswith("**Trial 0**: complete, epoch 9 of 9, val\\_loss ")
    assert shown("dynamics", study="ordinary", trial="3").markdown[0].value.startswith("**Trial 3**: pruned, epoch 3")


def test_its_figure_has_the_clip_line_and_its_event(shown, store):
    page = shown("dynamics", study=studies.ordinary(store), trial="0")
    figure = json.loads(page.get("plotly_chart")[0].proto.spec)
    labels = [shape["label"]["text"] for shape in figure["layout"]["shapes"] if "text" in shape.get("label", {})]
    assert {"clip_norm 1", "recommended clip_norm 1.25", "usual: about 0.001"} == set(labels)
    star = next(trace for trace in figure["data"] if trace["name"] == "event")
    assert star["text"] == ["step 15: not finite, precision: bf16 -&gt; fp32"]
    assert page.dataframe[0].value["event"].tolist() == ["step 15: not finite, precision: bf16 -> fp32"]


def test_what_was_not_measured_is_named_with_the_reason(shown, store):
    page = shown("dynamics", study=studies.ordinary(store))
    said = " ".join(caption.value for caption in page.caption)
    assert r"peak memory \(it is measured on a GPU only\)" in said
    assert "only fp16 scales the loss" in said


def test_a_function_of_ones_own_is_told_what_it_could_report(shown, store):
    page = shown("dynamics", study=studies.custom(store))
    assert "`update_ratio`" in page.info[0].value
    assert not page.get("plotly_chart")


def test_the_failure_of_a_trial_is_text(shown, store):
    page = shown("dynamics", study=studies.failures(store))
    assert r"\<b\>no" in page.error[0].value
    assert r"\[x\]\(javascript" in page.error[0].value


def layout_of(page) -> dict:
    return json.loads(page.get("plotly_chart")[0].proto.spec)["layout"]
