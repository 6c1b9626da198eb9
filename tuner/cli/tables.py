"""Tables for the terminal."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tuner.records import Details, Report, TrialSummary, Value
from tuner.space import describe
from tuner.spec import StudySpec
from tuner.store import StudyRecord
from tuner.training.findings import Finding

WIDE = 150
"""Columns of a table that nobody's terminal limits."""

EVENTS_SHOWN = 30

CURVE_FIRST = (
    "train_loss",
    "train_eval_loss",
    "val_loss",
    "val_accuracy",
    "gap",
    "lr",
    "grad_norm_p50",
    "grad_norm_p99",
    "clip_rate",
    "update_ratio",
)
"""The metrics of a curve that are shown first, if they are there."""


def number(value: float | None, digits: int = 5) -> str:
    """A number for a table: significant digits, or a dash."""
    return "-" if value is None else f"{value:.{digits}g}"


def seconds(value: float) -> str:
    """A duration."""
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def setting(value: Value) -> str:
    """A value of a configuration; None is an axis that is off."""
    if value is None:
        return "off"
    return number(value, 3) if isinstance(value, float) else escape(str(value))


def configuration(config: Mapping[str, Value], names: Sequence[str]) -> str:
    """The searched part of a configuration in a line."""
    return "  ".join(f"{escape(name)}={setting(config[name])}" for name in names if name in config)


def console(*, stderr: bool = False) -> Console:
    """The terminal; wide enough for tables where the output goes to a file or a pipe, or as wide as $COLUMNS says."""
    made = Console(stderr=stderr, emoji=False)
    columns = os.environ.get("COLUMNS", "")
    asked = columns.isdecimal() and int(columns) > 0
    return made if made.is_terminal or asked else Console(stderr=stderr, emoji=False, width=WIDE)


def leaderboard_table(spec: StudySpec, trials: Sequence[TrialSummary], title: str, width: int) -> Table:
    """Trials, best first, with a column per axis; fewer other columns where `width` is narrow."""
    metric = spec.metric
    which = "" if metric.value == "last" else " (best)"
    table = Table(title=title, title_justify="left", title_style="bold", header_style="bold", box=None, pad_edge=False)
    narrow = width < WIDE - 40
    fixed = ["trial", f"{escape(metric.name)}{which}", f"{spec.scheduler.unit}s"]
    for heading in fixed if narrow else [*fixed, "gap", "time", "state"]:
        table.add_column(heading, justify="left" if heading == "state" else "right", no_wrap=True)
    for name in spec.axes:
        table.add_column(escape(name), justify="right", no_wrap=True)
    for trial in trials:
        more = [] if narrow else [number(trial.gap, 3), seconds(trial.seconds), trial.state.value]
        axes = [setting(trial.config[name]) if name in trial.config else "" for name in spec.axes]
        table.add_row(str(trial.number), number(trial.value), str(trial.resource), *more, *axes)
    return table


def failures_table(trials: Sequence[TrialSummary]) -> Table:
    """Failed trials and why."""
    table = Table(
        title="failed", title_justify="left", title_style="bold", header_style="bold", box=None, pad_edge=False
    )
    table.add_column("trial", justify="right")
    table.add_column("why")
    for trial in trials:
        if trial.failure is not None:
            table.add_row(str(trial.number), escape(f"{trial.failure.kind}: {trial.failure.message}"))
    return table


def studies_table(rows: Sequence[tuple[StudyRecord, int, TrialSummary | None]], unreadable: Sequence[str]) -> Table:
    """Studies, each with its number of trials and its best; at the end those of which no more is known."""
    table = Table(header_style="bold", box=None, pad_edge=False)
    table.add_column("study")
    table.add_column("state")
    table.add_column("trials", justify="right")
    table.add_column("best", justify="right")
    table.add_column("metric")
    for record, trials, best in rows:
        metric = record.spec.metric
        table.add_row(
            escape(record.name),
            record.state.value,
            str(trials),
            number(best.value if best else None),
            escape(metric.name),
        )
    for name in unreadable:
        table.add_row(escape(name), "unreadable", "", "", "")
    return table


def curve_table(reports: Sequence[Report], spec: StudySpec, width: int) -> Table:
    """A trial's reports, a row each, with as many metrics as `width` has room for: the tuned one first."""
    unit = spec.scheduler.unit
    there = dict.fromkeys(name for report in reports for name in report.metrics)
    first = [name for name in (spec.metric.name, *CURVE_FIRST) if name in there]
    ordered = [name for name in dict.fromkeys([*first, *there]) if name not in (unit, "step", "seconds")]
    names, left = [], width - 16
    for name in ordered:
        left -= max(len(name), 8) + 2
        if left < 0:
            break
        names.append(name)
    table = Table(header_style="bold", box=None, pad_edge=False)
    for heading in (unit, "seconds", *names):
        table.add_column(escape(heading), justify="right", no_wrap=True)
    for report in reports:
        table.add_row(
            str(report.resource),
            f"{report.seconds:.2f}",
            *(number(report.metrics.get(name), 4) for name in names),
        )
    if len(names) < len(ordered):
        table.caption = escape(f"and {', '.join(ordered[len(names) :])}: with --json")
        table.caption_justify = "left"
    return table


def event_lines(details: Sequence[tuple[int, Details]], spec: StudySpec) -> list[str]:
    """What happened in a trial, a line each: the newest EVENTS_SHOWN of them."""
    lines = [f"  {spec.scheduler.unit} {resource}: {event}" for resource, found in details for event in found.events]
    if not lines:
        return []
    left_out = len(lines) - EVENTS_SHOWN
    more = [f"  {left_out} earlier ones: with --json"] if left_out > 0 else []
    return ["events", *more, *lines[-EVENTS_SHOWN:]]


def findings_table(findings: Sequence[Finding]) -> Table:
    """What a pre-flight found, a line each; the remedy below what needs one."""
    colours = {"fine": "green", "warning": "yellow", "wrong": "red", "skipped": "dim"}
    table = Table(box=None, pad_edge=False)
    table.add_column("verdict")
    table.add_column("check")
    table.add_column("evidence", overflow="fold")
    for finding in findings:
        verdict = f"[{colours[finding.verdict]}]{finding.verdict}[/]"
        remedy = f"\n[bold]{escape(finding.remedy)}[/]" if finding.remedy else ""
        table.add_row(verdict, escape(finding.check), escape(finding.evidence) + remedy)
    return table


def axes_table(spec: StudySpec) -> Table:
    """The search space."""
    table = Table(
        title="space", title_justify="left", title_style="bold", header_style="bold", box=None, pad_edge=False
    )
    table.add_column("axis")
    table.add_column("values")
    table.add_column("exists when")
    for name, axis in spec.axes.items():
        when = ", ".join(f"{parent} in {list(values)}" for parent, values in (axis.when or {}).items())
        log = " (log)" if getattr(axis, "log", False) else ""
        table.add_row(escape(name), escape(describe(axis) + log), escape(when))
    for name, value in spec.fixed.items():
        table.add_row(escape(name), f"always {setting(value)}", "")
    return table
