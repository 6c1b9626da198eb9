"""The best so far, rungs and timeline of a study, of values made by hand."""

from __future__ import annotations

import math

import pytest
from by_hand import study_spec
from seen import Seen, climb, issued, trial

from tuner.analysis.best_so_far import best_so_far, study_trace, trial_ends
from tuner.analysis.rungs import rung_values, rungs_table
from tuner.analysis.timeline import merged, timeline, workers
from tuner.records import Failure, FailureKind


def test_the_time_between_two_sessions_is_nobodys():
    clock = climb().clock
    assert clock.total == 12.0
    assert clock.at([0.0, 100.0, 108.0, 300.0, 508.0, 510.0, 999.0]).tolist() == [0, 0, 8, 8, 8, 10, 12]
    assert Seen().clock.total == 0.0


def test_the_best_so_far_is_of_those_that_went_furthest():
    table = best_so_far(climb(), "seconds")
    assert table.to_numpy().tolist() == [[1, 0.9, 0, 1], [3, 0.5, 1, 1], [6, 0.6, 1, 3], [12, 0.6, 1, 3]]
    assert best_so_far(climb(), "units")["spent"].tolist() == [1, 2, 4, 5]
    assert best_so_far(climb(), "trials")["spent"].tolist() == [1, 2, 4]
    assert trial_ends(climb(), "units").to_numpy().tolist() == [
        [0, 1.0, 0.9, "pruned", 1],
        [1, 4.0, 0.6, "running", 3],
        [3, 5.0, 0.7, "paused", 1],
    ]


def test_what_failed_later_is_no_incumbent_and_a_maximised_metric_keeps_its_sense():
    seen = climb()
    seen.trials[1] = trial(1, "failed", 3, failure=Failure(FailureKind.TIMEOUT, "slow"))
    assert best_so_far(seen)["value"].tolist() == [0.9, 0.7]
    seen.spec = study_spec(metric={"name": "loss", "direction": "maximize"})
    assert best_so_far(seen)["value"].tolist() == [0.9, 0.9]


def test_the_best_of_a_trial_counts_where_the_spec_says_so():
    seen = climb()
    seen.spec = study_spec(metric={"name": "loss", "value": "best"})
    assert study_trace(seen).loss.tolist() == [0.9, 0.5, 0.5, 0.7]
    assert rung_values(seen)["value"].tolist() == [0.9, 0.5, 0.7, 0.5]


@pytest.mark.parametrize("values", [[], [math.nan, math.inf]])
def test_without_a_finite_value_there_is_no_best(values):
    seen = Seen([(i + 2, 1.0, 0, 0, i + 1, value) for i, value in enumerate(values)], [(1, 0.0, issued(0))])
    seen.trials = [trial(0, "failed", len(values))]
    assert best_so_far(seen).empty
    assert trial_ends(seen).empty


def test_rungs_say_who_arrived_and_what_became_of_them():
    values = rung_values(climb())
    assert values.to_numpy().tolist() == [
        [0, 1, 0, 0.9, "stopped"],
        [0, 1, 1, 0.5, "went on"],
        [0, 1, 3, 0.7, "waits"],
        [0, 3, 1, 0.6, "went on"],
    ]
    table = rungs_table(climb(), rung_values(climb())).set_index("rung")
    assert table["n_arrived"].to_dict() == {1: 3, 3: 1, 9: 0}
    assert table["n_went_on"].to_dict() == {1: 1, 3: 1, 9: 0}
    assert table.loc[1, ["best", "median"]].tolist() == [0.5, 0.7]
    assert table["share"].tolist()[:2] == [pytest.approx(1 / 3), 1.0]


def test_hyperbands_brackets_have_rungs_of_their_own_and_other_schedulers_none():
    seen = climb()
    seen.spec = study_spec(scheduler={"name": "hyperband", "max_resource": 9})
    assert rungs_table(seen, rung_values(seen))["rung"].tolist() == [1, 3, 9, 3, 9, 9]
    seen.spec = study_spec(scheduler={"name": "median", "max_resource": 9})
    assert rungs_table(seen, rung_values(seen)).empty
    assert rung_values(seen).empty


def test_the_last_rung_is_where_trials_are_complete():
    seen = Seen([(2, 1.0, 0, 0, 9, 0.5), (3, 1.5, 1, 0, 9, math.nan)], [(1, 0.0, issued(0))])
    seen.trials = [trial(0, "complete", 9, 0.5), trial(1, "failed", 9)]
    last = rung_values(seen)
    assert last[last["rung"] == 9]["fate"].tolist() == ["complete", "failed"]
    assert rungs_table(seen, rung_values(seen))["n_not_finite"].tolist() == [1, 1, 1]


def test_segments_end_with_their_last_report_with_the_journals_word_or_now():
    table = timeline(climb())
    columns = ["worker", "trial", "segment", "start", "end", "ending"]
    assert table[columns].to_numpy().tolist() == [
        ["w0", 0, 0, 0.0, 1.0, "decided"],
        ["w0", 1, 0, 2.0, 3.0, "decided"],
        ["w0", 1, 1, 4.0, 8.0, "interrupted"],
        ["w1", 2, 0, 7.0, 8.0, "failed"],
        ["w0", 1, 2, 9.0, 12.0, "running"],
        ["w1", 3, 0, 10.0, 12.0, "decided"],
    ]
    each = workers(table)
    assert each[["worker", "n_segments", "busy", "there"]].to_numpy().tolist() == [["w0", 4, 9, 12], ["w1", 2, 3, 5]]
    assert each["idle"].tolist() == [pytest.approx(0.25), pytest.approx(0.4)]
    assert timeline(Seen()).empty
    assert workers(timeline(Seen())).empty


def test_two_segments_at_once_are_no_more_than_busy():
    table = timeline(climb())
    both = table.assign(worker="lane")
    assert workers(both)["busy"].tolist() == [9.0]


def test_contiguous_segments_are_merged_where_there_are_too_many():
    n = 100
    others = [(2 * i + 1, float(i), issued(i, worker=f"w{i % 2}")) for i in range(n)]
    seen = Seen([(2 * i + 2, i + 0.9, i, 0, 9, 0.5) for i in range(n)], others)
    seen.trials = [trial(i, "complete", 9, 0.5, segments=1) for i in range(n)]
    seen.others[50] = (101, 50.0, issued(50, worker="w0"))
    whole = timeline(seen)
    assert merged(whole, n)[1] == 0.0
    fewer, gap = merged(whole, 10)
    assert len(fewer) <= 10
    assert gap > 1.0
    assert fewer["n_segments"].sum() == n
    assert len(merged(whole, 1)[0]) == 2
