"""A study in a notebook: how it stands, its best trials; as a piece of HTML in which all text is escaped."""

from __future__ import annotations

from html import escape

from tuner.analysis.leaderboard import best_trial, counts, leaderboard
from tuner.analysis.view import StudyView
from tuner.records import TrialState, TrialSummary

ROWS = 8
"""So many trials are listed."""


def study_html(study: StudyView) -> str:
    """The state, the trials by state, the best value and its configuration, the first ROWS of the leaderboard."""
    by_state = ", ".join(f"{n:,} {state}" for state, n in counts(study.trials).items() if n)
    limit = f" of {study.budget.trials:,}" if study.budget.trials else ""
    parts = [
        f"<strong>Study {escape(study.name)}</strong>: {escape(study.record.state.value)}",
        f"{len(study.trials):,}{limit} trials{f' ({by_state})' if by_state else ''}",
        _best(study),
        _failures(study.trials),
        _table(study),
    ]
    return "<div>" + "".join(f"<div>{part}</div>" for part in parts if part) + "</div>"


def _best(study: StudyView) -> str:
    best = best_trial(study.trials, study.spec.metric)
    if best is None:
        return "no trial has a value yet"
    unit = study.spec.scheduler.unit
    goal = f"{study.spec.metric.direction}d {study.spec.metric.name}"
    return f"best: trial {best.number}, {escape(goal)} {_text(best.value)} at {unit} {best.resource}"


def _failures(trials: list[TrialSummary]) -> str:
    failed = [trial for trial in trials if trial.state is TrialState.FAILED and trial.failure]
    if not failed:
        return ""
    last = failed[-1]
    assert last.failure is not None
    return f"the last failure: trial {last.number}, {_text(last.failure.message)}"


def _table(study: StudyView) -> str:
    ranked = leaderboard(study.trials, study.spec.metric)
    if not ranked:
        return ""
    axes = list(study.spec.space)
    names = ["trial", "state", study.spec.metric.name, f"{study.spec.scheduler.unit}s", *axes]
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    rows = []
    for trial in ranked[:ROWS]:
        values = [_text(trial.config[name]) if name in trial.config else "" for name in axes]
        cells = [str(trial.number), trial.state.value, _text(trial.value), str(trial.resource), *values]
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    more = f"<div>the best {ROWS} of {len(ranked):,} with a value</div>" if len(ranked) > ROWS else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>{more}"


def _text(value: object) -> str:
    if value is None:
        return "off"
    shown = f"{value:.5g}" if isinstance(value, float) else str(value)
    return escape(shown if len(shown) <= 200 else f"{shown[:199]}…")
