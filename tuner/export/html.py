"""A study as one HTML file that opens without a server and loads nothing from elsewhere."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterable

import pandas as pd
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from tuner.analysis import StudyView, best_trial, counts
from tuner.analysis.best_so_far import best_so_far, trial_ends
from tuner.analysis.comparable import level_of
from tuner.analysis.edges import edges
from tuner.analysis.events import failures_table
from tuner.analysis.generalization import gaps
from tuner.analysis.importances import FEWEST, importances
from tuner.analysis.progress import progress_of
from tuner.analysis.rungs import ladders, rung_values, rungs_table
from tuner.analysis.scales import suits_log
from tuner.analysis.slices import slices
from tuner.analysis.trial_table import trial_table
from tuner.export.page import PAGE
from tuner.plots.best_so_far import best_so_far_figure
from tuner.plots.generalization import gaps_figure
from tuner.plots.importances import importances_figure
from tuner.plots.rungs import rungs_figure
from tuner.plots.slices import slices_figure
from tuner.spec import dump_spec

LEADERS = 100
"""So many trials are in the leaderboard."""

FAILURES = 20
"""So many kinds of failure are shown."""


def html_report(study: StudyView, made: str) -> str:
    """The report of a study as it stands; `made` says when that was, for its readers.

    All that comes from the store is text. Plotly is inside, once; a policy in the page forbids it to load anything.
    """
    sections: list[tuple[str, Callable[[StudyView], str]]] = [
        ("Best configuration", _best),
        ("Best so far", _best_so_far),
        ("Leaderboard", _leaderboard),
        ("Rungs", _rungs),
        ("Hyperparameters", _hyperparameters),
        ("Generalization gap", _gap),
        ("Failures", _failures),
        ("Spec", _spec),
    ]
    body = "".join(f"<section><h2>{title}</h2>{write(study)}</section>" for title, write in sections)
    parts = {"title": _text(study.name), "summary": _summary(study), "body": body, "made": _text(made)}
    page = PAGE
    for name, part in parts.items():
        page = page.replace(f"<!--{name}-->", part)
    return page.replace("/*plotly*/", get_plotlyjs().replace("</script", "<\\/script"))


def _summary(study: StudyView) -> str:
    spec, record = study.spec, study.record
    stands = progress_of(study)
    best = best_trial(study.trials, spec.metric)
    by_state = ", ".join(f"{count:,} {state}" for state, count in counts(study.trials).items() if count)
    unit = spec.scheduler.unit
    rows = {
        "State": record.state.value + (f" ({record.reason})" if record.reason else ""),
        f"Best {spec.metric.name}": "no value yet"
        if best is None
        else f"{_number(best.value)}, trial {best.number} at {unit} {best.resource}",
        "Metric": f"{spec.metric.direction} {spec.metric.name}, the {spec.metric.value} of each trial",
        "Trials": f"{len(study.trials):,}" + (f" ({by_state})" if by_state else ""),
        "Spent": f"{stands.units:,} {unit}s, {stands.seconds:,.0f} s of running",
        "Method": f"sampler {spec.sampler.name}, scheduler {spec.scheduler.name}, seed {spec.seed}",
        "Objective": spec.objective,
    }
    return _pairs(rows.items())


def _best(study: StudyView) -> str:
    best = best_trial(study.trials, study.spec.metric)
    if best is None:
        return _nothing("No trial has a value yet.")
    searched = {name: value for name, value in best.config.items() if name in study.spec.axes}
    fixed = {name: value for name, value in best.config.items() if name not in searched}
    return (
        _pairs((name, _value(value)) for name, value in searched.items())
        + _folded("What is fixed", _pairs((name, _value(value)) for name, value in fixed.items()))
        + _folded("What it reported last", _pairs((name, _number(value)) for name, value in best.metrics.items()))
    )


def _best_so_far(study: StudyView) -> str:
    table, ends = best_so_far(study), trial_ends(study)
    if table.empty:
        return _nothing("No trial has a finite value yet.")
    log_y = suits_log(ends["value"])
    return _figure(best_so_far_figure(table, ends, "trials", study.spec.metric.name, log_y=log_y))


def _leaderboard(study: StudyView) -> str:
    table = trial_table(study).dropna(subset=["rank"]).sort_values("rank").head(LEADERS)
    if table.empty:
        return _nothing("No trial has a value yet.")
    names = {column: column.removeprefix("config.") for column in table.columns}
    return _table(table.drop(columns=["segments", "note"]).rename(columns=names))


def _rungs(study: StudyView) -> str:
    if not ladders(study):
        return _nothing(f"The scheduler {study.spec.scheduler.name} has no rungs.")
    values = rung_values(study)
    table = rungs_table(study, values)
    if values.empty:
        return _nothing("No trial has reached a rung yet.")
    drawn = []
    for bracket, rows in table.groupby("bracket"):
        mine = values[values["bracket"] == bracket]
        if len(mine):
            unit, metric = study.spec.scheduler.unit, study.spec.metric.name
            drawn.append(_figure(rungs_figure(mine, rows, unit, metric, log_y=suits_log(mine["value"]))))
    return "".join(drawn)


def _hyperparameters(study: StudyView) -> str:
    level = level_of(study)
    unit, metric = study.spec.scheduler.unit, study.spec.metric.name
    where = "each at its own end" if level is None else f"at {unit} {level}"
    found = edges(study, level)
    told = "".join(f"<p class=note>{_text(text)}</p>" for text in found["sentence"] if text)
    table = importances(study, level)
    if table.empty:
        matters = _nothing(f"Importances need {FEWEST} trials that can be compared, with values that differ.")
    else:
        matters = _figure(importances_figure(table)) + (
            f"<p>PED-ANOVA (Watanabe et al. 2023) of {int(table['trials'].iloc[0]):,} trials, compared {where}; lines "
            "are 90 % bootstrap intervals, marks what chance alone stays below 19 times in 20.</p>"
        )
    each = slices(study, level)
    if each.empty:
        return told + matters
    return told + matters + _figure(slices_figure(each, study.spec.space, metric, unit))


def _gap(study: StudyView) -> str:
    table = gaps(study, "all")
    if table.empty:
        return _nothing("No trial reports both val_loss and train_eval_loss, whose difference is the gap.")
    return _figure(gaps_figure(table, study.spec.scheduler.unit))


def _failures(study: StudyView) -> str:
    table = failures_table(study.trials)
    if table.empty:
        return _nothing("No trial failed.")
    return _table(table.head(FAILURES))


def _spec(study: StudyView) -> str:
    return _folded("As YAML", f"<pre>{_text(dump_spec(study.spec))}</pre>")


def _figure(drawn: go.Figure) -> str:
    config = {"displaylogo": False, "responsive": True, "toImageButtonOptions": {"format": "svg"}}
    return f"<figure>{drawn.to_html(full_html=False, include_plotlyjs=False, config=config)}</figure>"


def _table(rows: pd.DataFrame) -> str:
    head = "".join(f"<th>{_text(name)}</th>" for name in rows.columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{_text(_value(value))}</td>" for value in row) + "</tr>"
        for row in rows.itertuples(index=False, name=None)
    )
    return f"<div class=wide><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _pairs(pairs: Iterable[tuple[str, object]]) -> str:
    rows = "".join(f"<tr><th>{_text(name)}</th><td>{_text(value)}</td></tr>" for name, value in pairs)
    return f"<table class=pairs>{rows}</table>"


def _folded(title: str, inside: str) -> str:
    return f"<details><summary>{_text(title)}</summary>{inside}</details>"


def _nothing(why: str) -> str:
    return f"<p class=nothing>{_text(why)}</p>"


def _value(value: object) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, float):
        return _number(value)
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"


def _text(value: object) -> str:
    """What comes from the store, as text. A marker of the page's own stays text, too."""
    return html.escape(str(value)).replace("/*", "&#47;*")
