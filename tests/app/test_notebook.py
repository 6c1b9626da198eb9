"""A study in a notebook: its figures, and what it shows of itself."""

from __future__ import annotations

import pytest
import studies

import tuner
from tuner import plots
from tuner.analysis import StudyView
from tuner.errors import UserMistake
from tuner.workflows.study import Study


@pytest.fixture
def study(store):
    return Study(store, studies.ordinary(store, n=12))


@pytest.mark.parametrize("name", plots.__all__)
def test_every_figure_is_drawn_of_a_study_and_of_a_view(store, name):
    study = Study(store, studies.ordinary(store, n=60))
    plot = getattr(tuner.plots, name)
    assert plot.__doc__
    assert plot(study).data
    assert plot(study.view()).to_json() == plot(study).to_json()


@pytest.mark.parametrize("make", studies.EDGES, ids=lambda make: make.__name__)
@pytest.mark.parametrize("name", plots.__all__)
def test_or_it_says_why_it_is_not(store, name, make):
    try:
        figure = getattr(plots, name)(StudyView(store, make(store)))
    except UserMistake as mistake:
        assert mistake.message  # noqa: PT017
    else:
        assert figure.layout.to_plotly_json()


def test_chosen_curves(study):
    figure = plots.plot_curves(study, [1, 3], ["val_loss", "train_loss"], along="step", smoothing=0.5, log_y=True)
    assert {trace.name for trace in figure.data} == {"val_loss", "train_loss", "trial 1", "trial 3", None}
    assert figure.layout.xaxis.title.text == "steps"
    assert plots.plot_curves(study, 3).data[0].name == "trial 3"


def test_what_is_not_there(study):
    with pytest.raises(UserMistake, match=r"has no trials \[99\]"):
        plots.plot_curves(study, [0, 99])
    with pytest.raises(UserMistake, match="have not reported nothing") as told:
        plots.plot_curves(study, metric="nothing")
    assert "val_loss" in told.value.hint
    with pytest.raises(UserMistake, match="has no trials"):
        plots.plot_dynamics(study, -1)


def test_only_what_is_named_is_there():
    assert set(dir(plots)) == set(plots.__all__)
    with pytest.raises(AttributeError, match="'plot_cures'"):
        plots.plot_cures  # noqa: B018


def test_a_study_shows_itself(study):
    shown = study._repr_html_()
    assert "<strong>Study ordinary</strong>: finished" in shown
    assert "12 of 12 trials (6 complete, 6 pruned)" in shown
    assert "best: trial 0, minimized val_loss 0.28 at epoch 9" in shown
    assert shown.count("<tr>") == 9
    assert "the best 8 of 12" in shown
    assert "<td>off</td>" in shown


def test_what_it_shows_is_text(store):
    shown = Study(store, studies.failures(store))._repr_html_()
    assert "no trial has a value yet" in shown
    assert "&lt;b&gt;no&lt;/b&gt;" in shown
    assert "score &lt;i&gt;" in Study(store, studies.custom(store))._repr_html_()


@pytest.mark.parametrize("make", studies.EDGES, ids=lambda make: make.__name__)
def test_whatever_a_study_is_it_shows_itself(store, make):
    assert "<strong>" in Study(store, make(store))._repr_html_()
