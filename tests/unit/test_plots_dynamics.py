"""The figure of a trial's dynamics: its panels, bands, reference lines and events."""

from __future__ import annotations

from tuner.analysis.dynamics import dynamics, references
from tuner.analysis.stretches import Stretches, remarks_along
from tuner.plots.dynamics import MOST_EVENTS, dynamics_figure
from tuner.plots.style import WARNING, colour, translucent
from tuner.records import Details, Report
from tuner.store import Remark

NORMS = {f"grad_norm_{name}": value for name, value in {"p50": 1.0, "p90": 2.0, "p99": 3.0, "max": 4.0}.items()}
REPORTS = [
    Report(5, 0, at, {"step": 10.0 * at, "val_loss": 1 / at, "lr": 0.1, "update_ratio": 1e-3, **NORMS}, 1.0)
    for at in (1, 2, 3)
]
STEPS = [(1, Details({"step": (5.0, 10.0), "loss": (3.0, 2.0), "grad_norm": (1.5, 1.5)}))]


def drawn(remarks=(), reports=REPORTS, config=None):
    table = dynamics(reports, STEPS)
    along = remarks_along(remarks, Stretches.of(reports, "resource"))
    return dynamics_figure(table, references(reports, config or {"clip_norm": 2.5}), along, 5, "epochs")


def named(figure, name):
    return next(trace for trace in figure.data if trace.name == name)


def test_a_panel_for_each_thing_with_its_unit():
    figure = drawn()
    titles = [figure.layout[f"yaxis{n}"].title.text for n in ("", 2, 3, 4)]
    assert titles == ["loss", "learning rate", "gradient norm", "update ratio ‖Δw‖/‖w‖"]
    assert [figure.layout[f"yaxis{n}"].type for n in ("", 2, 3, 4)] == ["linear", "linear", "log", "log"]
    assert figure.layout.xaxis3.title.text == figure.layout.xaxis4.title.text == "epochs"
    assert figure.layout.xaxis.title.text == ""
    assert {figure.layout[f"xaxis{n}"].matches for n in (2, 3, 4)} == {"x"}


def test_everything_of_the_trial_has_its_colour_and_steps_are_pale():
    figure = drawn()
    assert named(figure, "val_loss").line.color == colour(5)
    steps = named(figure, "each step")
    assert (list(steps.x), list(steps.y)) == ([0.5, 1.0], [3.0, 2.0])
    assert steps.line.color == translucent(colour(5), 0.55)


def test_percentiles_are_bands():
    figure = drawn()
    assert named(figure, "p50").fill is None
    assert named(figure, "p90").fill == named(figure, "p99").fill == "tonexty"
    assert named(figure, "max").line.dash == "dot"


def test_the_clip_line_and_the_usual_ratio():
    line, band = sorted(drawn().layout.shapes, key=lambda shape: shape.type)
    assert (line.y0, line.y1, line.label.text, line.line.color) == (2.5, 2.5, "clip_norm 2.5", WARNING)
    assert (band.yref, band.y0, band.y1) == ("y4", 3e-4, 3e-3)


def test_events_are_lines_in_all_panels_and_a_star_says_what():
    figure = drawn([Remark(5, 2, "step 15: <b>")])
    star = named(figure, "event")
    assert (list(star.x), star.text) == ([1.5], ("step 15: &lt;b&gt;",))
    assert sum(shape.x0 == shape.x1 == 1.5 for shape in figure.layout.shapes) == 4


def test_not_too_many_events():
    assert len(named(drawn([Remark(5, 2, "again")] * 99), "event").x) == MOST_EVENTS


def test_one_report_is_a_point():
    assert named(drawn(reports=REPORTS[:1]), "val_loss").mode == "markers"


def test_nothing_was_measured():
    table = dynamics([])
    figure = dynamics_figure(table, references([], {}), remarks_along([], Stretches.of([], "step")), 0, "steps")
    assert not figure.data
