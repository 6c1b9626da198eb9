"""Generalization: how far validation lies from training, what that depends on, and where trials overfit."""

from __future__ import annotations

import math

import streamlit as st

from app import choosing, reading, showing
from app.guarding import moving
from tuner.analysis import StudyView, best_trial
from tuner.analysis.generalization import Which, gap_along, gap_correlations, gaps, learning_curves
from tuner.plots.generalization import gap_along_figure, gaps_figure, learning_curves_figure, sharpness_figure
from tuner.plots.thinning import MOST_MARKS


def page() -> None:
    """The page."""
    st.title("Generalization")
    study = choosing.begun_study()
    if study is None:
        return
    moving(_live, reading.every(study))(study.name)


def _live(name: str) -> None:
    study = reading.view(name)
    if reading.worked_out(gaps, study, "all").empty:
        showing.nothing(
            "No trial has reported a gap, the difference of val_loss and train_eval_loss.",
            "The built-in trainer reports both. A function of your own can: "
            "`trial.report(epoch, val_loss=..., train_eval_loss=..., ...)`, both measured in evaluation mode.",
        )
        _final()
        return
    which: Which = st.segmented_control(
        "Trials",
        ["furthest", "all"],
        default="furthest",
        key="which",
        bind="query-params",
        required=True,
        help="Furthest: at the highest resource that any reached, so that they compare. All: each at its own end.",
    )
    _front(study, which)
    _axes(study, which)
    _curves(study)
    _sharpness(study, which)
    _final()


def _front(study: StudyView, which: Which) -> None:
    st.subheader("Gap against validation loss")
    table = reading.worked_out(gaps, study, which)
    unit = study.spec.scheduler.unit
    showing.figure(gaps_figure(table, unit), f"{study.name}-gaps", table=table)
    reach = f"at {unit} {table['resource'].max()}" if which == "furthest" else "each at its own end"
    thinned = f" {MOST_MARKS:,} of them are drawn, spread evenly over the gaps." if len(table) > MOST_MARKS else ""
    onsets = int(table["overfitting_from"].notna().sum())
    st.caption(
        f"{len(table):,} trials, {reach}.{thinned} Pareto front ({int(table['front'].sum()):,}): no other trial has "
        "both a lower loss and a smaller gap; a gap below 0 counts as 0. "
        f"The trainer found overfitting in {onsets:,}."
    )


def _axes(study: StudyView, which: Which) -> None:
    st.subheader("Gap against hyperparameters")
    space = study.spec.space
    if not len(space):
        showing.nothing("The space has no axes.")
        return
    correlations = reading.worked_out(gap_correlations, study, which)
    strongest = correlations["axis"].tolist()
    names = strongest + [name for name in space if name not in strongest]
    picture, told = st.columns([3, 2])
    with picture:
        name = choosing.one_of("Axis", names, "axis")
        table = reading.worked_out(gap_along, study, which, name)
        if table.empty:
            showing.nothing("No trial with a gap has this axis.", "Its condition did not hold; choose another axis.")
        else:
            drawn = gap_along_figure(table, name, space[name], study.spec.scheduler.unit)
            showing.figure(drawn, f"{study.name}-gap-along", table=table)
    with told:
        number = st.column_config.NumberColumn
        showing.table(
            correlations,
            f"{study.name}-gap-correlations",
            hide_index=True,
            column_config={
                "rho": number("rho", format="%.2f", help="Spearman's rank correlation."),
                "low": number("from", format="%.2f", help="The lower end of its 95 % interval."),
                "high": number("to", format="%.2f", help="The upper end of its 95 % interval."),
            },
            placeholder="-",
        )
        st.caption(
            "Spearman's rank correlation (rho) of the gap with each ordered axis, over the trials that have it "
            "switched on. "
            "Each 95 % interval stands on its own (Bonett and Wright 2000), from ten trials on. A search does not try "
            "values at random, so this shows what goes together, not what causes what."
        )


def _curves(study: StudyView) -> None:
    st.subheader("Training and validation of a trial")
    usual = best_trial(study.trials, study.spec.metric) or study.trials[-1]
    number = st.number_input(
        f"Trial, 0 to {len(study.trials) - 1}",
        0,
        len(study.trials) - 1,
        None,
        key="trial",
        bind="query-params",
        placeholder=f"{'latest' if usual.value is None else 'best'}: {usual.number}",
        width=240,
    )
    trial = usual if number is None else study.trials[number]
    table = reading.worked_out(learning_curves, study, trial.number)
    if not table[["val_loss", "train_eval_loss"]].notna().any(axis=None):
        showing.nothing(
            f"Trial {trial.number} has reported neither val_loss nor train_eval_loss.", "Choose another one."
        )
        return
    said = trial.metrics.get("overfitting_from", math.nan)
    onset = said if math.isfinite(said) else None
    unit = study.spec.scheduler.unit
    drawn = learning_curves_figure(table, trial.number, unit, onset)
    showing.figure(drawn, f"{study.name}-trial-{trial.number}-losses", table=table)
    st.caption(
        "The trainer found no onset of overfitting as of the last report: a val_loss that turned, and rose by more "
        "than its noise while train_eval_loss fell. It takes five reports of the built-in trainer."
        if onset is None
        else f"Trial {trial.number} overfits from {unit} {onset:g} on, says the trainer: val_loss turned there, and "
        "train_eval_loss still fell."
    )


def _sharpness(study: StudyView, which: Which) -> None:
    st.subheader("Batch size, sharpness and gap")
    table = reading.worked_out(gaps, study, which)
    sharp = table[table["sharpness"].notna()]
    there = sharp[sharp["batch_size"].notna()]
    if there.empty:
        showing.nothing(
            "No configuration of these trials names batch_size." if len(sharp) else "Sharpness was not measured here.",
            "The built-in trainer measures it at max_resource: `--set fixed.sharpness=0.05`. "
            "Search `batch_size`, or give it under `fixed`.",
        )
        return
    showing.figure(sharpness_figure(there, study.spec.scheduler.unit), f"{study.name}-sharpness", table=there)
    st.caption("Sharpness: by how much the loss rises within a relative distance of the weights (Kwon et al. 2021).")


def _final() -> None:
    st.subheader("Validation against test")
    showing.nothing(
        "No final evaluation has been made: finalists, trained anew with fresh seeds, and the test set read once.",
        "This version cannot make one yet. Then validation is shown here against test, with the expected optimism of "
        "the best of n trials. Until then the best trial's validation loss is to be taken as too good.",
    )
