"""The explorer's figures of a study, for a notebook: each is a Plotly figure, which shows itself.

    import tuner
    tuner.plots.plot_curves(study, trials=[3, 7], metric="val_loss")

A study is a `tuner.Study`, or a `tuner.analysis.StudyView` where the same moment is to be looked at several times.
Every function raises UserMistake where there is nothing to draw, and says what is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import pandas as pd

from tuner.analysis import StudyView, best_trial, leaderboard
from tuner.analysis.best_so_far import best_so_far, trial_ends
from tuner.analysis.comparable import level_of
from tuner.analysis.comparison import Axis
from tuner.analysis.curves import Along, curves, marked, metrics_of, remarks_table
from tuner.analysis.dynamics import dynamics, references, telling
from tuner.analysis.generalization import gaps
from tuner.analysis.importances import importances
from tuner.analysis.rungs import rung_values, rungs_table
from tuner.analysis.scales import suits_log
from tuner.analysis.slices import parallel, slices
from tuner.analysis.stragglers import stragglers, with_paces
from tuner.analysis.stretches import Stretches, remarks_along
from tuner.analysis.timeline import merged, timeline, workers
from tuner.errors import UserMistake
from tuner.plots.best_so_far import best_so_far_figure
from tuner.plots.curves import curves_figure
from tuner.plots.dynamics import dynamics_figure
from tuner.plots.generalization import gaps_figure
from tuner.plots.importances import importances_figure
from tuner.plots.parallel import parallel_figure
from tuner.plots.rungs import rungs_figure
from tuner.plots.slices import slices_figure
from tuner.plots.style import Figure
from tuner.plots.timeline import timeline_figure


class Viewed(Protocol):
    """What can be looked at: a tuner.Study."""

    def view(self) -> StudyView:
        """The study as it stands now."""
        ...


def plot_curves(
    study: Viewed | StudyView,
    trials: int | Sequence[int] | None = None,
    metric: str | Sequence[str] | None = None,
    *,
    along: Along = "resource",
    smoothing: float = 0.0,
    log_x: bool = False,
    log_y: bool = False,
) -> Figure:
    """The curves of some trials (by default of the best three) of one metric or several (by default the study's), along
    epochs, "step", "samples" or "seconds". `smoothing`, in 0..1, is the weight of the past in a moving average.
    """
    view = _view(study)
    best = [trial.number for trial in leaderboard(view.trials, view.spec.metric)[:3]]
    chosen = best if trials is None else [trials] if isinstance(trials, int) else list(trials)
    _know(view, chosen)
    metrics = [view.spec.metric.name] if metric is None else [metric] if isinstance(metric, str) else list(metric)
    reports = view.reports(chosen)
    table = curves(reports, metrics, along, smoothing)
    if table.empty:
        there = ", ".join(metrics_of(reports)) or "nothing"
        raise UserMistake(f"these trials have not reported {', '.join(metrics)}", hint=f"They reported {there}.")
    told = remarks_table(view.remarks(chosen), [view.trials[number] for number in chosen])
    return curves_figure(marked(table, told), _along(view, along), log_x=log_x, log_y=log_y)


def plot_dynamics(
    study: Viewed | StudyView, trial: int | None = None, *, along: Along = "resource", steps: bool = True
) -> Figure:
    """How the training of a trial (by default the best) went: a panel for each thing that was measured, with the steps
    between reports, if wanted.
    """
    view = _view(study)
    if trial is None:
        best = best_trial(view.trials, view.spec.metric)
        trial = best.number if best else len(view.trials) - 1
    _know(view, [trial])
    reports, config = view.reports(trial), view.trials[trial].config
    table = dynamics(reports, view.details(trial) if steps else [], along)
    shown = telling(_some(table, f"trial {trial} has reported nothing of its training's dynamics"), config)
    remarks = remarks_along(view.remarks([trial]), Stretches.of(reports, along))
    return dynamics_figure(shown, references(reports, config), remarks, trial, _along(view, along))


def plot_best_so_far(study: Viewed | StudyView, along: Axis = "trials") -> Figure:
    """The best value so far along "trials", "seconds" of running, or "units" of resource spent."""
    view = _view(study)
    ends = trial_ends(view, along)
    table = _some(best_so_far(view, along), "no trial has a finite value yet")
    unit = view.spec.scheduler.unit
    x = {"trials": "trials", "seconds": "running time [s]", "units": f"spent over all trials [{unit}s]"}[along]
    return best_so_far_figure(table, ends, x, view.spec.metric.name, log_y=suits_log(ends["value"]))


def plot_rungs(study: Viewed | StudyView, bracket: int = 0) -> Figure:
    """Who was stopped and who went on at each rung of a bracket."""
    view = _view(study)
    values = rung_values(view)
    table = rungs_table(view, values)
    here = _some(values[values["bracket"] == bracket], f"no trial has reached a rung of bracket {bracket}")
    rungs = table[table["bracket"] == bracket].drop(columns="bracket")
    spec = view.spec
    return rungs_figure(here, rungs, spec.scheduler.unit, spec.metric.name, log_y=suits_log(here["value"]))


def plot_timeline(study: Viewed | StudyView) -> Figure:
    """Which worker ran what, when it was idle, and whether it is slow."""
    view = _view(study)
    segments = _some(timeline(view), "no segment has been given to a worker yet")
    each = with_paces(workers(segments), stragglers(view))
    return timeline_figure(merged(segments)[0], each, view.spec.scheduler.unit)


def plot_parallel_coordinates(study: Viewed | StudyView) -> Figure:
    """All trials as lines across the axes of the space, coloured by their rank."""
    view = _view(study)
    table = _some(parallel(view, level_of(view)), "no trial has a value that can be compared yet")
    return parallel_figure(table, view.spec.space, view.spec.metric.name, view.spec.metric.direction)


def plot_slices(study: Viewed | StudyView) -> Figure:
    """The value against each axis of the space."""
    view = _view(study)
    table = _some(slices(view, level_of(view)), "no trial has a value that can be compared yet")
    return slices_figure(table, view.spec.space, view.spec.metric.name, view.spec.scheduler.unit)


def plot_importances(study: Viewed | StudyView) -> Figure:
    """How much each axis says about which trials are the best, with its uncertainty."""
    view = _view(study)
    return importances_figure(_some(importances(view, level_of(view)), "too few trials can be compared"))


def plot_gaps(study: Viewed | StudyView) -> Figure:
    """The generalization gap against the validation loss, with the Pareto front, of the trials trained furthest."""
    view = _view(study)
    table = _some(gaps(view, "furthest"), "no trial has reported val_loss and train_eval_loss")
    return gaps_figure(table, view.spec.scheduler.unit)


def _view(study: Viewed | StudyView) -> StudyView:
    return study if isinstance(study, StudyView) else study.view()


def _know(view: StudyView, trials: Sequence[int]) -> None:
    if not trials:
        raise UserMistake(f"study {view.name} has no trial with a value yet", hint="Name some: trials=[0, 1].")
    unknown = [number for number in trials if not 0 <= number < len(view.trials)]
    if unknown:
        raise UserMistake(f"study {view.name} has no trials {unknown}", hint=f"It has {len(view.trials)}, from 0 on.")


def _some(table: pd.DataFrame, otherwise: str) -> pd.DataFrame:
    if table.empty:
        raise UserMistake(f"there is nothing to draw: {otherwise}")
    return table


def _along(view: StudyView, along: Along) -> str:
    unit = f"{view.spec.scheduler.unit}s"
    return {"resource": unit, "seconds": "training and evaluation [s]", "step": "steps", "samples": "samples"}[along]
