"""The figures of the page Study: traces, titles, units."""

from __future__ import annotations

import pandas as pd
from seen import Seen, climb, issued, trial

from tuner.analysis.best_so_far import best_so_far, trial_ends
from tuner.analysis.rungs import rung_values, rungs_table
from tuner.analysis.timeline import merged, timeline, workers
from tuner.plots.best_so_far import best_so_far_figure
from tuner.plots.rungs import rungs_figure
from tuner.plots.style import colour
from tuner.plots.thinning import spread
from tuner.plots.timeline import timeline_figure


def test_the_best_so_far_is_steps_over_the_trials_marks():
    drawn = best_so_far_figure(best_so_far(climb()), trial_ends(climb()), "trials", "loss <b>", log_y=True)
    assert [trace.name for trace in drawn.data] == ["running", "paused", "pruned", "best so far"]
    assert drawn.data[-1].line.shape == "hv"
    assert (drawn.layout.xaxis.title.text, drawn.layout.yaxis.title.text) == ("trials", "loss &lt;b&gt;")
    assert drawn.layout.yaxis.type == "log"


def test_of_too_many_trials_some_are_drawn_and_the_legend_says_so():
    ends = pd.DataFrame({"trial": range(5000), "spent": 1.0, "value": range(5000), "state": "pruned", "resource": 1})
    drawn = best_so_far_figure(best_so_far(climb()), ends, "trials", "loss")
    assert drawn.data[0].name == "pruned (400 of 5,000 drawn)"
    assert len(drawn.data[0].x) == 400


def test_thinning_keeps_the_extremes_and_the_order():
    table = pd.DataFrame({"value": [3.0, 9.0, 1.0, 5.0, 4.0]})
    assert spread(table, "value", 3)["value"].tolist() == [9.0, 1.0, 4.0]
    assert spread(table, "value", 5) is table


def test_rungs_are_columns_of_marks_with_their_counts_below():
    drawn = rungs_figure(rung_values(climb()), rungs_table(climb(), rung_values(climb())), "epoch", "loss", log_y=False)
    assert [trace.name for trace in drawn.data] == ["ways", "went on", "waits", "stopped", "median"]
    assert drawn.layout.xaxis.title.text == "rung [epochs]"
    assert drawn.layout.xaxis.ticktext[0] == "1<br>3 arrived<br>1 went on"
    assert drawn.layout.xaxis.ticktext[-1] == "9<br>0 arrived"
    empty = rungs_figure(rung_values(Seen()), rungs_table(Seen(), rung_values(Seen())), "epoch", "loss", log_y=True)
    assert len(empty.data) == 0


def test_many_marks_are_thinned_in_each_rung():
    n = 4000
    seen = Seen([(i + 2, 1.0, i, 0, 1, float(i)) for i in range(n)], [(1, 0.0, issued(0))])
    seen.trials = [trial(i, "pruned", 1, float(i)) for i in range(n)]
    drawn = rungs_figure(rung_values(seen), rungs_table(seen, rung_values(seen)), "epoch", "loss", log_y=False)
    assert drawn.data[0].name == "stopped (400 of 4,000 drawn)"


def test_the_timeline_has_a_lane_per_worker_and_patterns_for_what_went_wrong():
    table = timeline(climb())
    drawn = timeline_figure(merged(table)[0], workers(table), "epoch")
    looks = {trace.name: trace.marker.pattern.shape for trace in drawn.data}
    assert looks == {"segment": "", "worker went away, or study interrupted": "/", "failed": "x", "running": "."}
    assert list(drawn.layout.yaxis.ticktext) == ["w0 (25% idle)", "w1 (40% idle)"]
    assert drawn.layout.xaxis.title.text == "seconds of running [s]"
    assert drawn.data[0].marker.color[0] == colour(0)
    assert drawn.data[0].text[0] == "trial 0, segment 0: epoch 0 to 1<br>1 s, decided"
    assert "4 segments" in timeline_figure(merged(table, 2)[0], workers(table), "epoch").data[0].text[0]


def test_a_lane_of_a_slow_worker_says_so():
    table = timeline(climb())
    each = workers(table).assign(factor=[1.0, 2.5], slow=[False, True])
    drawn = timeline_figure(merged(table)[0], each, "epoch")
    assert list(drawn.layout.yaxis.ticktext) == ["w0 (25% idle)", "w1 (40% idle, takes 2.5 times as long)"]
