"""From journals to traces: what is counted, and the time that nobody ran."""

from __future__ import annotations

import math
from contextlib import closing

import numpy as np
from by_hand import Hand, study_spec

from tuner.analysis.tracing import read_trace, trace_of, within
from tuner.control import Nothing
from tuner.records import (
    Command,
    Commanded,
    CommandKind,
    Ending,
    Report,
    Reported,
    Segment,
    SegmentEnd,
    SegmentEnded,
    SegmentIssued,
    Ticked,
)
from tuner.spec import Budget
from tuner.store import JournalEntry, open_store

SPEC = study_spec()


def issued(trial, index=0):
    return SegmentIssued(Segment(trial, index, 0, 9, {"x": 0.5}, 1, 9))


def reported(trial, resource, loss):
    return Reported(Report(trial, 0, resource, {"loss": loss}, 1.0))


def ended(trial, ending):
    return SegmentEnded(SegmentEnd(trial, 0, ending))


def entries(*timed):
    return [JournalEntry(number, 1e9 + time, event) for number, (time, event) in enumerate(timed, 1)]


def test_a_row_per_report():
    trace = trace_of(
        entries(
            (0, issued(0)),
            (0, issued(1)),
            (2, reported(0, 1, 0.5)),
            (3, reported(1, 2, math.nan)),
            (3, ended(1, Ending.STOPPED)),
            (4, issued(2)),
            (7, reported(0, 3, 0.25)),
        ),
        SPEC,
    )
    np.testing.assert_array_equal(trace.seconds, [2, 3, 7])
    np.testing.assert_array_equal(trace.units, [1, 3, 5])
    np.testing.assert_array_equal(trace.trials, [2, 2, 3])
    np.testing.assert_array_equal(trace.trial, [0, 1, 0])
    np.testing.assert_array_equal(trace.resource, [1, 2, 3])
    np.testing.assert_array_equal(trace.loss, [0.5, math.inf, 0.25])
    assert trace.max_resource == 9


def test_what_is_maximised_becomes_a_loss_and_the_best_counts_where_the_spec_says_so():
    spec = study_spec(metric={"name": "loss", "direction": "maximize", "value": "best"})
    journal = entries((0, issued(0)), (1, reported(0, 1, 3.0)), (2, reported(0, 2, 1.0)), (3, reported(0, 3, 4.0)))
    np.testing.assert_array_equal(trace_of(journal, spec).loss, [-3, -3, -4])


def test_the_time_between_sessions_is_nobodys():
    extend = Commanded(Command(CommandKind.EXTEND, "anna", budget={"trials": 9}))
    trace = trace_of(
        entries(
            (0, issued(0)),
            (2, reported(0, 1, 0.5)),
            (1000, ended(0, Ending.INTERRUPTED)),
            (1000, issued(0, 1)),
            (1003, Ticked(5.0)),
            (1004, reported(0, 2, 0.4)),
            (9000, extend),
            (9001, reported(0, 3, 0.3)),
        ),
        SPEC,
    )
    np.testing.assert_array_equal(trace.seconds, [2, 6, 7])


def test_a_clock_that_is_set_back_makes_no_time():
    trace = trace_of(entries((5, issued(0)), (3, reported(0, 1, 0.5)), (4, reported(0, 2, 0.5))), SPEC)
    np.testing.assert_array_equal(trace.seconds, [0, 1])


def test_an_empty_journal():
    assert len(trace_of([], SPEC)) == 0
    assert len(within(trace_of([], SPEC), Budget())) == 0


def test_it_counts_as_the_controller_does():
    hand = Hand(budget={"trials": 20}, scheduler={"name": "asha", "max_resource": 9})
    hand.play(lambda segment, resource: segment.config["x"] / resource, n_workers=3)
    assert hand.pull() is Nothing.DONE
    trace = trace_of(entries(*((n, event) for n, event in enumerate(hand.journal))), hand.spec)
    assert trace.units[-1] == hand.controller.units
    assert trace.trials[-1] == len(hand.controller.trials) == 20
    best = min(trial.loss for trial in hand.controller.trials if trial.resource == 9)
    assert trace.loss[trace.resource == 9].min() == best


def test_what_lies_within_a_budget():
    trace = trace_of(
        entries(
            (0, issued(0)), *((n, reported(0, n, 1.0)) for n in range(1, 10)), (9, issued(1)), (10, reported(1, 1, 1.0))
        ),
        SPEC,
    )
    assert within(trace, Budget(trials=1)).units[-1] == 9
    assert within(trace, Budget(trials=None, epochs=4)).units[-1] == 4
    assert within(trace, Budget(trials=None, minutes=0.1)).seconds[-1] == 6
    assert len(within(trace, Budget(trials=2, epochs=99))) == 10


def test_what_is_read_of_a_store_is_the_trace_of_its_journal(tmp_path):
    spec = study_spec(metric={"name": "loss", "direction": "maximize", "value": "best"}, budget={"trials": 20})
    hand = Hand(spec)
    hand.play(lambda segment, resource: math.inf if segment.trial == 3 else segment.config["x"] / resource, n_workers=3)
    interrupted = SegmentEnded(SegmentEnd(1, 0, Ending.INTERRUPTED))
    rng = np.random.default_rng(0)
    now = [1e9]
    with closing(open_store(f"sqlite:///{tmp_path}/tuner.db", clock=lambda: now[0])) as store:
        store.create(spec)
        writer = store.write(spec.study)
        for number, event in enumerate([*hand.journal[:40], interrupted, *hand.journal[40:]]):
            now[0] += -3.0 if number == 60 else rng.exponential()
            writer.append([event])
        read, whole = read_trace(store, spec.study, spec), trace_of(store.journal(spec.study), spec)
    assert len(read) == len(whole) > 40
    for column in ("seconds", "units", "trials", "trial", "resource", "loss"):
        np.testing.assert_array_equal(getattr(read, column), getattr(whole, column))
        assert getattr(read, column).dtype == getattr(whole, column).dtype
    assert read.max_resource == whole.max_resource


def test_a_study_without_reports_in_a_store(tmp_path):
    with closing(open_store(f"sqlite:///{tmp_path}/tuner.db")) as store:
        store.create(SPEC)
        assert len(read_trace(store, SPEC.study, SPEC)) == 0
