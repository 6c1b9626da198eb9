"""What the page Hyperparameters is made of: positions, importances, slices, coverage, edges, the surface of a pair."""

from __future__ import annotations

import math
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from by_hand import study_spec

from tuner.analysis import ped_anova
from tuner.analysis.comparable import comparable, level_of, levels
from tuner.analysis.coverage import branches, coverage, samples
from tuner.analysis.edges import edges
from tuner.analysis.importances import importances
from tuner.analysis.positions import OFF, axis_positions, ticks, value_at
from tuner.analysis.slices import fences, parallel, slices
from tuner.analysis.surface import surface
from tuner.plots.coverage import coverage_figure
from tuner.plots.importances import importances_figure
from tuner.plots.parallel import parallel_figure
from tuner.plots.slices import slices_figure
from tuner.plots.surface import surface_figure
from tuner.records import Failure, FailureKind, TrialState, TrialSummary
from tuner.space import Choice, Float, Int

SPACE = {
    "lr": {"float": [1e-4, 1.0], "log": True},
    "clip": {"float": [0.1, 10.0], "log": True, "none": True},
    "optimizer": {"choice": ["sgd", "<b>adamw</b>"]},
    "momentum": {"float": [0.0, 0.99], "when": {"optimizer": ["sgd"]}},
    "layers": {"int": [1, 4]},
}


def view(configs, values, *, reached=None, failed=(), **parts):
    """A stand-in for a StudyView: trials that all reported at 1 and, as far as they `reached`, at 3 and 9."""
    spec = study_spec(**{"space": SPACE, **parts})
    reached = reached or [9] * len(configs)
    trials = [
        TrialSummary(
            number,
            TrialState.FAILED if number in failed else TrialState.COMPLETE,
            config,
            0 if number in failed else reached[number],
            9,
            None if number in failed else value,
            failure=Failure(FailureKind.EXCEPTION, "why") if number in failed else None,
        )
        for number, (config, value) in enumerate(zip(configs, values, strict=True))
    ]
    rows = [
        (trial.number, resource, value)
        for trial, value in zip(trials, values, strict=True)
        for resource in (1, 3, 9)
        if resource <= trial.resource
    ]
    columns = list(zip(*rows, strict=True)) if rows else [(), (), ()]
    reports = SimpleNamespace(
        trial=np.array(columns[0], dtype=np.int64),
        resource=np.array(columns[1], dtype=np.int64),
        value=np.array(columns[2], dtype=np.float64),
    )
    return SimpleNamespace(spec=spec, trials=trials, values=reports, name="s")


def drawn(n, loss, seed=0, **more):
    """A study of `n` random trials whose value is `loss(unit place of lr, config, rng)`."""
    spec, rng = study_spec(space=SPACE), np.random.default_rng(seed)
    configs = [spec.space.from_unit(rng.random(len(SPACE))) for _ in range(n)]
    return view(configs, [loss(spec.space["lr"].to_unit(c["lr"]), c, rng) for c in configs], **more)


def test_positions_lie_on_the_axis_and_come_back():
    axis = Float(1e-4, 1.0, log=True, none=True)
    assert axis_positions(axis, [1e-4, 1e-2, 1.0, None, object()]).tolist()[:4] == pytest.approx([0, 0.5, 1, OFF])
    assert math.isnan(axis_positions(axis, [object()])[0])
    assert value_at(axis, 0.5) == pytest.approx(1e-2)
    assert value_at(axis, OFF) is None
    assert axis_positions(Choice((True, 1, "a")), [1, True, "a", "b"]).tolist()[:3] == [1, 0, 2]
    assert axis_positions(Float(-1e308, 1e308), [0.0]).tolist() == [0.5]


@pytest.mark.parametrize(
    "axis", [Float(1e-4, 0.3, log=True), Float(0, 0.5), Int(1, 1000), Int(1, 3), Float(-1e308, 1e308), Float(5, 5.5)]
)
def test_ticks_have_both_ends_and_are_few(axis):
    found = ticks(axis)
    assert found[0][0] == pytest.approx(0)
    assert found[-1][0] == pytest.approx(1)
    assert 2 <= len(found) <= 8


def test_what_can_be_compared():
    configs = [{"lr": 0.1}] * 4
    study = view(configs, [3.0, 1.0, 2.0, 9.0], reached=[9, 3, 1, 1], failed={3})
    assert levels(study).values.tolist() == [[1, 3], [3, 2], [9, 1]]
    table = comparable(study, 3)
    assert table["loss"].to_dict() == {0: 3.0, 1: 1.0, 3: math.inf}
    assert table["rank"].to_dict() == {0: 0.5, 1: 0.0, 3: 1.0}
    assert level_of(study) == 1  # the fullest, as none has enough
    assert level_of(view(configs, [1.0] * 4, scheduler={"name": "none"})) is None


def test_more_is_better_where_it_is_maximised():
    study = view([{}] * 2, [1.0, 2.0], metric={"name": "loss", "direction": "maximize"})
    assert comparable(study, 9)["rank"].tolist() == [1.0, 0.0]
    assert comparable(study, 9)["value"].tolist() == [1.0, 2.0]


def test_ped_anova_is_what_optuna_gives():
    optuna = pytest.importorskip("optuna")
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rng = np.random.default_rng(0)
    x, y, kind = rng.random(80), rng.random(80), rng.integers(0, 3, 80)
    there = kind != 1
    value = (x - 0.3) ** 2 + 0.05 * kind + 0.02 * rng.random(80)
    study = optuna.create_study()
    for index in range(80):
        params = {"x": x[index], "kind": int(kind[index])}
        distributions = {"x": FloatDistribution(0, 1), "kind": CategoricalDistribution([0, 1, 2])}
        if there[index]:
            params["y"], distributions["y"] = y[index], FloatDistribution(0, 1)
        study.add_trial(optuna.trial.create_trial(params=params, distributions=distributions, value=value[index]))
    theirs = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=0.1).evaluate(study)
    best = value <= np.sort(value)[7]
    ours = {
        "x": ped_anova.importance(ped_anova.cells(x), best, ped_anova.CELLS, ordered=True),
        "y": ped_anova.importance(ped_anova.cells(np.where(there, y, np.nan)), best, ped_anova.CELLS, ordered=True),
        "kind": ped_anova.importance(kind, best, 3, ordered=False),
    }
    assert ours == pytest.approx(theirs, rel=1e-6)


def test_the_axis_that_matters_comes_first_and_beyond_chance():
    table = importances(drawn(200, lambda place, config, rng: abs(place - 0.3) + 0.01 * rng.random()), 9)
    assert table["axis"].iloc[0] == "lr"
    first = table.iloc[0]
    assert first["low"] <= first["importance"] <= first["high"]
    assert first["importance"] > first["chance"]
    assert table["importance"].sum() == pytest.approx(1)
    assert set(table["axis"]) == set(SPACE)
    assert importances_figure(table).data[0].y[0] == "lr"


def test_noise_is_seldom_beyond_chance():
    beyond = [
        int((table["importance"] > table["chance"]).sum())
        for seed in range(20)
        for table in [importances(drawn(60, lambda place, config, rng: rng.random(), seed), 9)]
    ]
    assert sum(beyond) <= 0.12 * 20 * len(SPACE)


def test_too_little_gives_no_importances():
    assert importances(drawn(10, lambda place, config, rng: place), 9).empty
    assert importances(drawn(50, lambda place, config, rng: 1.0), 9).empty


def test_an_outlier_does_not_flatten():
    low, high = fences(np.array([*np.linspace(0, 1, 50), 1e18]))
    assert low == 0
    assert high < 10
    table = slices(drawn(60, lambda place, config, rng: 1e18 if place > 0.97 else place), 9)
    assert table["drawn"].max() < 10
    assert table["value"].max() == 1e18


def test_slices_leave_out_what_is_absent_and_name_what_is_off():
    configs = [
        {"lr": 0.1, "clip": None, "optimizer": "sgd", "momentum": 0.5, "layers": 1},
        {"lr": 0.01, "clip": 1.0, "optimizer": "<b>adamw</b>", "layers": 2},
    ]
    study = view(configs, [1.0, 2.0])
    table = slices(study, None)
    assert Counter(table["axis"]) == {"lr": 2, "clip": 2, "optimizer": 2, "momentum": 1, "layers": 2}
    assert table.loc[table["axis"] == "clip", "setting"].tolist() == ["off", "1"]
    figure = slices_figure(table, study.spec.space, "val <i>", "epoch")
    assert figure.layout.yaxis.title.text == "val &lt;i&gt;"
    assert "&lt;b&gt;" in figure.data[2].text[1]
    wide = parallel(study, None)
    assert wide["trial"].tolist() == [1, 0]  # the best is drawn last
    lines = parallel_figure(wide, study.spec.space, "val_loss", "minimize").data[0]
    by_name = {dimension.label: dimension for dimension in lines.dimensions}
    assert "not there" in by_name["momentum"].ticktext
    assert "off" in by_name["clip (log)"].ticktext
    assert not any(np.isnan(dimension["values"]).any() for dimension in lines.dimensions)


def test_coverage_finds_holes_and_what_was_never_tried():
    configs = [
        {"lr": 10.0 ** -(4 - 2 * index / 20), "clip": 1.0, "optimizer": "<b>adamw</b>", "layers": 1 + index % 2}
        for index in range(20)
    ]
    study = view(configs, [1.0] * 20)
    table = coverage(study).set_index("axis")
    assert table.loc["lr", "hole"] > 0.5
    assert table.loc["lr", "hole_to"] == "1"
    assert table.loc["lr", "hole_chance"] < 0.01
    assert table.loc["clip", "untried"] == "off"
    assert table.loc["optimizer", "untried"] == "sgd"
    assert table.loc["layers", "untried"] == "3, 4"
    assert table.loc["momentum", "trials"] == 0
    assert branches(study)[["axis", "depends_on", "value", "trials"]].values.tolist() == [
        ["momentum", "optimizer", "sgd", 0]
    ]
    parts = samples(study)
    assert parts.groupby("axis")["trials"].sum().to_dict()["lr"] == 20
    assert "&lt;b&gt;adamw&lt;/b&gt;" in coverage_figure(parts).data[0].text


def test_a_log_axis_of_few_whole_numbers_counts_each():
    study = view([{"n": n} for n in (1, 19, 20, 20)], [1.0] * 4, space={"n": {"int": [1, 20], "log": True}})
    parts = samples(study)
    assert parts.loc[parts["trials"] > 0, ["label", "trials"]].values.tolist() == [["1", 1], ["19", 1], ["20", 2]]


def test_an_edge_is_found_and_said():
    table = edges(drawn(80, lambda place, config, rng: 1 - place + 0.01 * rng.random()), 9)
    found = table[table["found"]]
    assert found[["axis", "edge", "bound"]].values.tolist() == [["lr", "upper", 1.0]]
    assert "wider range, with high above 1" in found["sentence"].iloc[0]


def test_an_optimum_inside_is_no_edge():
    assert not edges(drawn(80, lambda place, config, rng: abs(place - 0.6)), 9)["found"].any()


def test_chance_finds_an_edge_in_few_studies():
    studies = [edges(drawn(60, lambda place, config, rng: rng.random(), seed), 9) for seed in range(60)]
    assert sum(bool(table["found"].any()) for table in studies) <= 3


def test_a_surface_is_shown_where_it_explains_and_not_where_it_does_not():
    study = drawn(80, lambda place, config, rng: (place - 0.5) ** 2 + 0.01 * config["layers"])
    found = surface(study, "lr", "layers", 9)
    assert found.r2 > 0.8
    assert not found.grid.empty
    assert found.grid["rank"].dropna().between(0, 1).all()
    figure = surface_figure(found, study.spec.space, "lr", "layers", "loss")
    assert [trace.type for trace in figure.data] == ["contour", "scatter"]
    assert figure.layout.xaxis.title.text == "lr (log)"
    noise = surface(drawn(80, lambda place, config, rng: rng.random()), "lr", "layers", 9)
    assert noise.grid.empty
    assert noise.r2 < noise.needed


def test_a_surface_over_a_choice_is_cells_and_leaves_out_what_lacks_an_axis():
    study = drawn(120, lambda place, config, rng: place + (config["optimizer"] == "sgd"))
    found = surface(study, "lr", "optimizer", 9)
    assert [trace.type for trace in surface_figure(found, study.spec.space, "lr", "optimizer", "loss").data] == [
        "heatmap",
        "scatter",
    ]
    assert surface(study, "momentum", "clip", 9).left_out > 0


def test_no_trace_shares_a_colour_axis_with_a_surface():
    study = drawn(80, lambda place, config, rng: place)
    figure = surface_figure(surface(study, "lr", "layers", 9), study.spec.space, "lr", "layers", "loss")
    assert figure.data[0].coloraxis is None
    assert figure.data[1].marker.coloraxis is None
