"""Comparisons as tables and sentences for the terminal."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tuner.analysis.compared import Comparison
from tuner.cli.tables import number
from tuner.store import ComparisonPlan
from tuner.workflows.comparing import budgets


def outline(plan: ComparisonPlan, executor: str | None = None) -> str:
    """What a comparison does, in a line; `executor` is the one asked for instead of the spec's."""
    parallel = 1 if (executor or plan.spec.executor) == "local" else plan.spec.parallel
    if plan.replay is not None:
        where = f"replayed from {plan.replay.table} with {_count(plan.replay.workers, 'simulated worker')}"
    elif parallel == "auto":
        where = "live, as many workers as there is room for"
    else:
        where = f"live, {_count(parallel, 'worker')}"
    repeats = _count(plan.repeats, "repeat")
    return f"{plan.name}: {', '.join(plan.methods)}; {repeats} of {budgets.in_words(plan.spec)}; {where}"


def print_comparison(out: Console, comparison: Comparison) -> None:
    """How a comparison stands, and what it shows."""
    done = f"{comparison.n_done} of {comparison.n_runs} runs"
    out.print(f"[bold]{escape(comparison.name)}[/bold]: {comparison.state}; {done}")
    if comparison.n_done:
        out.print()
        out.print(methods_table(comparison))
        out.print()
        if (difference := comparison.findings.critical_difference()) is not None:
            out.print(pairs_table(comparison))
            test = comparison.findings.friedman()
            tests = (
                f"ranks differ with p = {test.p_value:.2g} (Friedman); closer than {difference:.2f} they may be equal"
            )
            out.print(f"{tests} (Nemenyi)", highlight=False)
            out.print()
        out.print(escape(comparison.verdict), highlight=False)


def answered(distances: Sequence[float]) -> str:
    """How well a table knew what it was asked for."""
    middle, worst = statistics.median(distances), max(distances)
    return (
        f"the table's rows were at a distance of {middle:.2g} from what was asked for in the median, {worst:.2g} at "
        "worst (0 is the same configuration, 1 as far as from one end of an axis to the other)"
    )


def methods_table(comparison: Comparison) -> Table:
    """A row a method, the best first: medians, with their 95 % intervals where there are repeats enough for one."""
    findings = comparison.findings
    metric, (axis, limit) = comparison.plan.spec.metric, findings.budget
    spent = f"{limit:g} {comparison.plan.spec.scheduler.unit + 's' if axis == 'units' else axis}"
    title = f"after {spent}: medians over repeats, with 95 % intervals"
    table = Table(title=title, title_justify="left", title_style="bold", header_style="bold", box=None, pad_edge=False)
    table.add_column("method")
    headings = (
        "runs",
        f"best {escape(metric.name)}",
        "regret",
        "rank",
        f"as good as {escape(findings.baseline)} after",
    )
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in findings.table().to_dict("records"):
        saved = "" if row["method"] == findings.baseline else _share(row)
        value = interval(row["value"], row["value_low"], row["value_high"], 4)
        regret = interval(row["regret"], row["regret_low"], row["regret_high"], 2)
        table.add_row(escape(row["method"]), str(row["runs"]), value, regret, f"{row['rank']:.2f}", saved)
    return table


def pairs_table(comparison: Comparison) -> Table:
    """A row a pair of methods: in how many repeats the first was better, equal, worse, and how sure that is."""
    title = "pairs, in how many repeats the first is"
    table = Table(title=title, title_justify="left", title_style="bold", header_style="bold", box=None, pad_edge=False)
    for heading in ("pair", "better", "equal", "worse", "p (Wilcoxon, Holm)"):
        table.add_column(heading, justify="left" if heading == "pair" else "right", no_wrap=True)
    for pair in comparison.findings.pairs().to_dict("records"):
        counts = [str(pair[name]) for name in ("wins", "ties", "losses")]
        table.add_row(escape(f"{pair['one']} - {pair['other']}"), *counts, f"{pair['p_holm']:.2g}")
    return table


def comparisons_table(comparisons: Sequence[Comparison]) -> Table:
    """Comparisons, a row each."""
    table = Table(header_style="bold", box=None, pad_edge=False)
    for heading in ("comparison", "state", "runs", "methods"):
        table.add_column(heading, justify="right" if heading == "runs" else "left")
    for comparison in comparisons:
        done = f"{comparison.n_done} of {comparison.n_runs}"
        methods = escape(", ".join(comparison.plan.methods))
        table.add_row(escape(comparison.name), comparison.state, done, methods)
    return table


def interval(middle: float, low: float, high: float, digits: int) -> str:
    """A number with its interval, if there is one."""
    if math.isnan(low) or math.isnan(high):
        return number(middle, digits)
    return f"{number(middle, digits)} ({number(low, digits)} to {number(high, digits)})"


def _share(row: Mapping[Any, Any]) -> str:
    """After which share of the budget a method has what the baseline has at its end."""
    if math.isnan(row["ratio"]):
        return "-"
    if math.isinf(row["ratio"]):
        return "never"
    low, high = row["ratio_low"], row["ratio_high"]
    between = "" if math.isnan(low) else f" ({_percent(low)} to {_percent(high)})"
    return f"{_percent(row['ratio'])}{between} of it"


def _percent(ratio: float) -> str:
    return "never" if math.isinf(ratio) else f"{100 * ratio:.0f} %"


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
