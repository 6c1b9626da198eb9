"""Search strategies: how the methods of a comparison get on, what they need, and how sure that is."""

from __future__ import annotations

import math
from typing import Any

import streamlit as st

from app import choosing, reading, sample_places, showing
from app.guarding import moving
from tuner.analysis.bands import bands, runs_so_far, view_of
from tuner.analysis.compared import Comparison
from tuner.analysis.comparison import Axis
from tuner.analysis.rankings import groups, least_repeats, pairs, ranks
from tuner.analysis.reaching import reach_curves, reach_medians, usual_target
from tuner.plots.strategies import bands_figure, ranks_figure, reach_figure
from tuner.plots.style import colours_of, with_unit


def page() -> None:
    """The page."""
    st.title("Search strategies")
    names = reading.store().comparisons.names()
    if not names:
        showing.nothing(
            "No methods have been compared in this store yet.",
            "Compare some: `tune compare search_spaces/mnist.yaml --methods random,tpe,asha+tpe --repeats 10 "
            "--replay benchmarks/tables/mnist.parquet` takes a minute and trains nothing.",
        )
        return
    name = choosing.one_of("Comparison", names, "comparison", where=st.sidebar)
    every = None if reading.comparison(name).state == "finished" else 2.0
    moving(_live, every)(name)


def _live(name: str) -> None:
    comparison = reading.comparison(name)
    if comparison.n_done < comparison.n_runs:
        done = f"{comparison.n_done} of {comparison.n_runs} runs have ended"
        st.progress(comparison.n_done / comparison.n_runs, f"{done}; the same `tune compare` command does what is left")
    if not comparison.n_done:
        showing.nothing("None of its runs has ended yet.", "What they show appears here as they end.")
        return
    _verdict(comparison)
    _so_far(comparison)
    _target(comparison)
    _ranks(comparison)
    sample_places.show(comparison)


def _verdict(comparison: Comparison) -> None:
    first, *others = comparison.findings.verdict.sentences
    with st.container(border=True):
        st.markdown(f"**{showing.plain(first)}** {' '.join(map(showing.plain, others))}")
    n, there = len(comparison.plan.methods), len(comparison.findings.paired)
    least = least_repeats(comparison)
    if there < least and n > 1:
        st.warning(
            f"Too few repeats to tell: {there} have been run with every method, and between {n} methods the tests "
            f"can find something from {least} on. Ask for more with `--repeats {least}`.",
            icon=":material/hourglass_empty:",
        )
    _summary(comparison)


def _summary(comparison: Comparison) -> None:
    metric, numbers = comparison.plan.spec.metric.name, st.column_config.NumberColumn
    unit = _unit(comparison, comparison.findings.budget[0])
    table = reading.worked_out(_table, comparison)
    showing.table(
        table.assign(budget=table["budget"].map(_or_never)),
        f"{comparison.name}-methods",
        hide_index=True,
        column_config={
            "value": numbers(f"median {metric}", format="%.5g"),
            "value_low": numbers("95 % from", format="%.5g"),
            "value_high": numbers("to", format="%.5g"),
            "regret": numbers(format="%.3f", help="The way still to go to the best known, in 0 to 1."),
            "regret_low": None,
            "regret_high": None,
            "rank": numbers("average rank", format="%.2f"),
            "budget": st.column_config.TextColumn(
                f"as good as {comparison.findings.baseline} after [{unit}]",
                alignment="right",
                help="As the median run of that method at its end. Never: fewer than half of the runs get there.",
            ),
            "ratio": None,
            "ratio_low": None,
            "ratio_high": None,
        },
    )


def _or_never(budget: float) -> str:
    return "never" if budget == math.inf else showing.number(budget, 4)


def _table(comparison: Comparison) -> Any:
    return comparison.findings.table()


def _unit(comparison: Comparison, by: Axis) -> str:
    return f"{comparison.plan.spec.scheduler.unit}s" if by == "units" else by


def _title(comparison: Comparison, by: Axis) -> str:
    unit = comparison.plan.spec.scheduler.unit
    if by == "seconds":
        return with_unit("virtual time" if comparison.plan.replay is not None else "time of running", "s")
    return with_unit("spent, all trials together", f"{unit}s") if by == "units" else "trials started"


def _so_far(comparison: Comparison) -> None:
    st.subheader("Best so far")
    left, middle, right = st.columns([3, 2, 2], vertical_alignment="bottom")
    by: Axis = left.segmented_control(
        "Along",
        ["trials", "units", "seconds"],
        default=comparison.findings.budget[0],
        key="along",
        bind="query-params",
        required=True,
        format_func=lambda by: _unit(comparison, by),
    )
    logs = middle.pills("Log axes", ["x", "y"], selection_mode="multi", key="log", bind="query-params")
    single = right.toggle("Each run", key="runs", bind="query-params")
    table = reading.worked_out(bands, comparison, by)
    metric = comparison.plan.spec.metric
    better = "lower" if metric.direction == "minimize" else "higher"
    drawn = bands_figure(
        table,
        colours_of(list(comparison.plan.methods)),
        _title(comparison, by),
        f"best {with_unit(metric.name)} so far ({better} is better)",
        runs=reading.worked_out(runs_so_far, comparison, by) if single else None,
        log_x="x" in logs,
        log_y="y" in logs,
        view=view_of(table),
    )
    showing.figure(drawn, f"{comparison.name}-so-far", table=table)
    if table["low"].isna().all():
        st.caption("Medians over repeats. An interval takes six repeats of a method, all of them with a value.")
    else:
        st.caption(
            "Medians over repeats, with the 95 % interval of the median as a band. Best so far is among the trials at "
            "the highest resource that any had reached. A line ends with its method's longest run; shorter runs keep "
            "their last value. The figure opens on what comes after the first quarter: a double click shows all."
        )


def _target(comparison: Comparison) -> None:
    st.subheader("Budget to reach a target")
    usual = reading.worked_out(usual_target, comparison)
    if usual is None:
        showing.nothing("No run has a finite value at its end, so that there is nothing to reach.")
        return
    metric = comparison.plan.spec.metric.name
    left, right = st.columns([2, 5], vertical_alignment="bottom")
    target = left.number_input(
        f"Target: {showing.plain(metric)}",
        value=usual,
        step=abs(usual) / 100 or 0.01,
        format="%.5g",
        key="target",
        bind="query-params",
        help="To begin with, what the median run of the baseline has at its end.",
    )
    by: Axis = right.segmented_control(
        "Counted in",
        ["trials", "units", "seconds"],
        default=comparison.findings.budget[0],
        key="in",
        bind="query-params",
        required=True,
        format_func=lambda by: _unit(comparison, by),
    )
    _reached(comparison, target, by)


def _reached(comparison: Comparison, target: float, by: Axis) -> None:
    picture, table = st.columns(2)
    curves = reading.worked_out(reach_curves, comparison, target, by)
    with picture:
        colours = colours_of(list(comparison.plan.methods))
        showing.figure(reach_figure(curves, colours, _title(comparison, by)), f"{comparison.name}-reach", table=curves)
    unit, texts = _unit(comparison, by), st.column_config.TextColumn
    with table:
        found = reading.worked_out(reach_medians, comparison, target, by)
        showing.table(
            found.assign(**{column: found[column].map(_or_never) for column in ("median", "low", "high")}),
            f"{comparison.name}-target",
            hide_index=True,
            column_config={
                "runs": None,
                "reached": "reached it",
                "median": texts(f"median {unit}", alignment="right"),
                "low": texts("95 % from", alignment="right"),
                "high": texts("to", alignment="right"),
            },
        )
        st.caption("Kaplan and Meier's median: runs that did not reach it count as far as they went.")


def _ranks(comparison: Comparison) -> None:
    st.subheader("Ranks and tests")
    table = reading.worked_out(ranks, comparison)
    if len(table) < 2:
        showing.nothing("There is nothing to rank: no repeat has been run with two methods yet.")
        return
    findings = comparison.findings
    picture, tests = st.columns([1, 2])
    with picture:
        drawn = ranks_figure(
            table,
            reading.worked_out(groups, comparison),
            findings.critical_difference(),
            colours_of(list(comparison.plan.methods)),
        )
        showing.figure(drawn, f"{comparison.name}-ranks", table=table)
    found = findings.friedman()
    with tests:
        numbers = st.column_config.NumberColumn
        showing.table(
            reading.worked_out(pairs, comparison),
            f"{comparison.name}-pairs",
            hide_index=True,
            column_config={
                "one": "method",
                "other": "against",
                "difference": numbers("loss lower by", format="%.3g"),
                "p": None,
                "p_holm": numbers("p (Holm)", format="%.2g"),
                "needed": numbers("needed", help="Repeats that would tell them apart, if they differ as they seem to."),
            },
        )
    st.caption(
        f"At the end of the budget, over the {found.n_blocks} repeats that every method has. Friedman's test: ranks "
        f"differ with p = {found.p_value:.2g} (F = {found.f:.3g}). Grey bars join methods whose average ranks are "
        "closer than Nemenyi's critical difference. Pairs: Wilcoxon's signed-rank test, with Holm's correction over "
        "all of them; better, equal and worse count the repeats of the first against the second."
    )
