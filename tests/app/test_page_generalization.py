"""The page Generalization."""

from __future__ import annotations

import dataclasses

import pytest
import studies


@pytest.mark.parametrize("make", studies.EDGES, ids=lambda make: make.__name__)
def test_it_survives(shown, store, make):
    shown("generalization", study=make(store))


def test_an_empty_store_says_what_to_do(shown):
    assert "tune run" in shown("generalization").info[0].value


def test_a_study_without_gaps_says_how_to_report_them(shown, store):
    page = shown("generalization", study=studies.custom(store))
    assert "train_eval_loss" in page.info[0].value
    assert "trial.report" in page.info[0].value
    assert not page.get("plotly_chart")


def test_front_axes_and_curves_are_there_and_what_is_not_says_why(shown, store):
    page = shown("generalization", study=studies.ordinary(store))
    assert [heading.value for heading in page.subheader] == [
        "Gap against validation loss",
        "Gap against hyperparameters",
        "Training and validation of a trial",
        "Batch size, sharpness and gap",
        "Validation against test",
    ]
    assert len(page.get("plotly_chart")) == 3
    assert page.caption[0].value.startswith("3 trials, at epoch 9.")
    assert [told.value.split(".")[0] for told in page.info] == [
        "Sharpness was not measured here",
        "No final evaluation has been made: finalists, trained anew with fresh seeds, and the test set read once",
    ]


def test_all_trials_another_axis_and_a_trial_by_link(shown, store):
    page = shown("generalization", study=studies.ordinary(store), which="all", axis="optimizer", trial="1")
    assert page.caption[0].value.startswith("6 trials, each at its own end.")
    assert page.selectbox(key="axis").value == "optimizer"
    assert page.number_input[0].value == 1


def test_sharpness_is_drawn_where_it_was_measured_and_the_onset_where_it_was_found(shown, store):
    spec = studies.spec_of("sharp")
    reports = {
        number: [
            studies.trained(number, epoch, **({"sharpness": 0.1, "overfitting_from": 4.0} if epoch == 9 else {}))
            for epoch in range(1, 10)
        ]
        for number in range(3)
    }
    trials = [studies.summary_of(spec, number, reports[number]) for number in range(3)]
    page = shown("generalization", study=studies.write(store, spec, trials, reports))
    assert len(page.get("plotly_chart")) == 4
    assert any("overfits from epoch 4" in caption.value for caption in page.caption)
    assert "overfitting in 3" in page.caption[0].value


def test_odd_names_stay_text(shown, store):
    spec = studies.spec_of("odd", space={"[x](javascript:alert(1)) <b>": {"choice": ["<script>", "b"]}})
    report = studies.trained(0, 9)
    trial = studies.summary_of(spec, 0, [report], config={"[x](javascript:alert(1)) <b>": "<script>"})
    page = shown("generalization", study=studies.write(store, spec, [dataclasses.replace(trial)], {0: [report]}))
    chart = next(chart.proto.spec for chart in page.get("plotly_chart") if "javascript" in chart.proto.spec)
    assert "<script>" not in chart
    assert "<b>" not in chart
