"""The dynamics of one trial's training, as tables."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tuner.analysis.dynamics import PANELS, USUAL_UPDATE, dynamics, left_out, references, telling
from tuner.analysis.headlines import headlines
from tuner.analysis.stretches import Stretches, remarks_along
from tuner.records import Details, Report
from tuner.store import Remark


def report(resource: int, spent: float = 2.0, **metrics: float) -> Report:
    return Report(3, 0, resource, metrics, spent)


REPORTS = [
    report(1, lr=0.1, step=10.0, samples=100.0, val_loss=2.0, clip_rate=0.5, skipped_steps=0.0),
    report(3, 4.0, lr=0.2, step=30.0, samples=300.0, val_loss=math.nan, clip_rate=0.0, skipped_steps=1.0),
]
STEPS = [
    (1, Details({"step": (1.0, 10.0), "loss": (5.0, 4.0), "grad_norm": (math.nan, 2.0)})),
    (3, Details({"step": (20.0,), "loss": (3.0,), "odd": (1.0, 2.0)})),
]


def rows(table, panel, series):
    chosen = table[(table["panel"] == panel) & (table["series"] == series)]
    return chosen[["level", "resource", "x", "value"]].values.tolist()


def test_what_was_measured_is_there_panel_by_panel():
    table = dynamics(REPORTS)
    assert list(table.columns) == ["panel", "series", "level", "resource", "x", "value"]
    assert list(dict.fromkeys(table["panel"])) == ["loss", "learning rate", "clip rate", "steps not taken"]
    assert rows(table, "learning rate", "lr") == [["report", 1, 1.0, 0.1], ["report", 3, 3.0, 0.2]]


def test_steps_lie_between_their_reports():
    table = dynamics(REPORTS, STEPS)
    assert rows(table, "loss", "loss") == [["step", 1, 0.1, 5.0], ["step", 1, 1.0, 4.0], ["step", 3, 2.0, 3.0]]
    assert rows(table, "gradient norm", "grad_norm") == [["step", 1, 1.0, 2.0]]
    assert [x for _, _, x, _ in rows(dynamics(REPORTS, STEPS, "step"), "loss", "loss")] == [1.0, 10.0, 20.0]
    assert [x for _, _, x, _ in rows(dynamics(REPORTS, STEPS, "seconds"), "loss", "loss")] == [0.2, 2.0, 4.0]


def test_steps_need_a_place():
    reports = [report(1, lr=0.1)]
    assert set(dynamics(reports, STEPS)["level"]) == {"report"}
    assert dynamics([], STEPS).empty
    assert dynamics(REPORTS, [(1, Details({"loss": (1.0,)}))])["level"].eq("report").all()


def test_many_steps_are_thinned_but_for_their_peaks():
    steps = tuple(float(step) for step in range(1, 30_001))
    loss = tuple(9.0 if step == 12_345 else 0.0 for step in range(1, 30_001))
    table = dynamics([report(1, step=30_000.0)], [(1, Details({"step": steps, "loss": loss}))])
    assert len(table) <= 2_000
    assert table["value"].max() == 9.0


def test_nothing_finite_is_nothing():
    nan = dict.fromkeys(("lr", "val_loss", "step"), math.nan)
    table = dynamics([report(1, **nan)], STEPS)
    assert table.empty
    assert list(left_out(table, {})["panel"]) == [panel.name for panel in PANELS]


def test_what_tells_nothing_is_left_out_and_why():
    reports = [report(1, clip_rate=0.0, loss_scale=1.0, skipped_steps=0.0, nonfinite_steps=0.0, lr=0.1)]
    table = dynamics(reports)
    assert set(telling(table, {})["panel"]) == {"learning rate"}
    why = left_out(table, {}).set_index("panel")["why"]
    assert why["clip rate"] == "clip_norm is off"
    assert why["steps not taken"] == "every step was taken"
    assert "fp16" in why["loss scale"]
    assert "GPU" in why["peak memory"]
    assert "learning rate" not in why
    assert "clip rate" in set(telling(table, {"clip_norm": 1.0})["panel"])


def test_what_they_are_held_against():
    reports = [report(1, clip_norm_recommended=0.5), report(2, clip_norm_recommended=0.25), report(3, lr=1.0)]
    table = references(reports, {"clip_norm": 2, "batch_size": 64})
    assert table.values.tolist() == [
        ["update ratio ‖Δw‖/‖w‖", "usual: about 0.001", *USUAL_UPDATE],
        ["gradient norm", "clip_norm 2", 2.0, 2.0],
        ["gradient norm", "recommended clip_norm 0.25", 0.25, 0.25],
        ["gradient noise scale", "batch_size 64", 64.0, 64.0],
    ]
    assert list(references([], {"clip_norm": None, "batch_size": "all"})["panel"]) == ["update ratio ‖Δw‖/‖w‖"]


def test_events_lie_at_the_step_they_name():
    stretches = Stretches.of(REPORTS, "resource")
    remarks = [Remark(3, 1, "began"), Remark(3, 3, "step 20: overflow"), Remark(3, 9, "unknown")]
    table = remarks_along(remarks, stretches)
    assert list(table.columns) == ["resource", "x", "event"]
    assert table["x"].tolist() == pytest.approx([1.0, 2.0, math.nan], nan_ok=True)
    assert remarks_along(remarks, Stretches.of([], "step"))["x"].isna().all()
    assert remarks_along([], stretches).empty


def test_headlines_add_up():
    reports = [
        report(1, step=10.0, samples=100.0, seconds=1.0, data_wait=0.5, clip_rate=0.4, skipped_steps=1.0),
        report(2, step=40.0, samples=400.0, seconds=3.0, data_wait=0.1, clip_rate=0.0, skipped_steps=2.0),
    ]
    table = headlines(reports, {"clip_norm": 1.0})
    found = dict(zip(table["measure"], table["value"], strict=True))
    assert found == pytest.approx(
        {"steps": 40.0, "throughput": 100.0, "wait for data": 0.2, "clip rate": 0.1, "skipped steps": 3.0}
    )
    assert "clip rate" not in set(headlines(reports, {})["measure"])


def test_headlines_of_what_is_not_finite_are_not_told():
    nan = dict.fromkeys(("step", "samples", "seconds", "data_wait", "update_ratio"), np.nan)
    assert headlines([report(1, **nan)], {}).empty
    assert headlines([], {}).empty
    assert headlines([report(1, score=1.0)], {}).empty
