"""What every store must do, ours or a user's: each of `CHECKS`, called with an `Opener`.

An opener opens the same store again and again, one that has no studies at first. It is called in other processes too,
so it must be picklable: functools.partial(open_store, url), say.
"""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import fields, replace

import pytest
from store_samples import CONFIG, EVENTS, TRIALS, Opener, lines, reported, spec

from tuner.errors import StudyExists, StudyHeld, StudyNotFound
from tuner.records import (
    Command,
    Commanded,
    CommandKind,
    Details,
    Report,
    Reported,
    StudyEnded,
    Ticked,
    TrialState,
    TrialSummary,
)
from tuner.store import EventKind, Remark, StudyState


def check_studies(opener: Opener) -> None:
    """Create, look up, list, refuse a taken name, delete."""
    with closing(opener()) as store:
        assert store.studies() == store.names() == []
        first = store.create(spec("first", seed=3))
        assert (first.spec, first.state, first.events, first.holder) == (
            spec("first", seed=3),
            StudyState.UNFINISHED,
            0,
            None,
        )
        store.create(spec("second"))
        assert [study.name for study in store.studies()] == ["second", "first"]
        with pytest.raises(StudyExists, match="'first'"):
            store.create(spec("first"))
        assert store.study("first") == first
        writer = store.write("first")
        writer.append(EVENTS, TRIALS)
        assert [study.name for study in store.studies()] == store.names() == ["first", "second"], (
            "the most recently updated first"
        )
        with pytest.raises(StudyHeld):
            store.delete("first")
        writer.release()
        store.delete("first")
        assert [study.name for study in store.studies()] == ["second"]
        store.create(spec("first"))
        assert (store.trials("first"), store.reports("first"), list(store.journal("first"))) == ([], [], [])


def check_unknown(opener: Opener) -> None:
    """Each method says which study it does not know."""
    with closing(opener()) as store:
        for call in (
            store.study,
            store.delete,
            store.write,
            store.journal,
            store.trials,
            store.reports,
            store.commands,
            store.values,
            lambda name: store.details(name, 0),
            lambda name: store.remarks(name, [0]),
            lambda name: store.post(name, Command(CommandKind.STOP, "anna")),
        ):
            with pytest.raises(StudyNotFound, match="'nobody'"):
                call("nobody")


def check_journal(opener: Opener) -> None:
    """Events of every kind come back as they were, numbered from 1, from another store object too."""
    with closing(opener()) as store:
        store.create(spec())
        writer = store.write("mnist")
        writer.append(EVENTS[:4])
        writer.append([])
        writer.append(EVENTS[4:])
        writer.release()
    with closing(opener()) as store:
        entries = list(store.journal("mnist"))
        assert lines(entry.event for entry in entries) == lines(EVENTS)
        assert [entry.number for entry in entries] == list(range(1, len(EVENTS) + 1))
        assert all(type(entry.event) is type(event) for entry, event in zip(entries, EVENTS, strict=True))
        assert [entry.number for entry in store.journal("mnist", after=8)] == [9, 10]
        assert list(store.journal("mnist", after=99)) == []
        assert store.study("mnist").events == len(EVENTS)


def check_long_journal(opener: Opener) -> None:
    """Thousands of events in one group, read in order."""
    with closing(opener()) as store:
        store.create(spec())
        writer = store.write("mnist")
        writer.append([reported(n % 5, n // 5 + 1) for n in range(5_001)])
        writer.release()
        assert [entry.number for entry in store.journal("mnist")] == list(range(1, 5_002))


def check_kinds(opener: Opener) -> None:
    """The events of some kinds alone, above a number or all of them."""

    def numbers(*kinds: EventKind, after: int = 0) -> list[int]:
        return [entry.number for entry in store.journal("mnist", after, kinds)]

    with closing(opener()) as store:
        store.create(spec())
        writer = store.write("mnist")
        writer.append(EVENTS)
        writer.append([ended for n in range(2_500) for ended in (Ticked(n), EVENTS[8], reported(n, 1))])
        writer.release()
        assert numbers("segment_issued") == [1]
        assert numbers("commanded", "study_ended") == [4, 5, 6, 10]
        assert numbers("reported", "study_ended")[:4] == [2, 3, 10, 13]
        assert numbers("segment_ended") == [8, 9, *range(12, 7_511, 3)]
        assert numbers("ticked", "segment_ended", after=7_506) == [7_508, 7_509]
        assert numbers() == []


def check_values(opener: Opener) -> None:
    """The study's metric of each report, in order, to go on from; NaN is also what was not reported."""
    with closing(opener()) as store:
        store.create(spec())
        store.create(spec("other"))
        assert len(store.values("mnist")) == len(store.values("mnist", after=9)) == 0
        writer, other = store.write("mnist"), store.write("other")
        writer.append(EVENTS)
        other.append([reported(1, 1)])
        values = [0.25, math.nan, math.inf, -math.inf, 5e-324]
        odd = [Reported(Report(n, n + 1, 2**31 - 1, {"val_loss": value}, 0.1)) for n, value in enumerate(values)]
        writer.append([odd[0], Ticked(1.0), *odd[1:]])
        found, rest = store.values("mnist"), store.values("mnist", after=13)
        times = {entry.number: entry.time for entry in store.journal("mnist")}
        writer.release()
        other.release()
        assert found.number.tolist() == [2, 3, 11, 13, 14, 15, 16]
        assert found.time.tolist() == [times[number] for number in found.number.tolist()]
        assert found.trial.tolist() == [7, 7, 0, 1, 2, 3, 4]
        assert found.segment.tolist() == [0, 0, 1, 2, 3, 4, 5]
        assert found.resource.tolist() == [3, 4] + [2**31 - 1] * 5
        assert repr(found.value.tolist()) == repr([math.nan, math.nan, *values])
        assert rest.number.tolist() == [14, 15, 16]
        assert repr(rest.value.tolist()) == repr(values[2:])
        assert len(rest) == 3
        assert len(store.values("mnist", after=16)) == len(store.values("mnist", after=99)) == 0
        integers = (found.number, found.trial, found.segment, found.resource)
        assert {str(column.dtype) for column in integers} == {"int64"}
        assert {str(column.dtype) for column in (found.time, found.value)} == {"float64"}
        assert not any(column.flags.writeable for column in (*integers, found.time, found.value))
        store.delete("mnist")
        store.create(spec())
        assert len(store.values("mnist")) == 0
        assert len(store.values("other")) == 1


def check_outlines(opener: Opener) -> None:
    """All studies at a glance: what their records say, their trials by state, and the values that there are."""
    with closing(opener()) as store:
        assert store.outlines() == []
        store.create(spec("first"))
        store.create(spec("second", seed=3))
        writer = store.write("first")
        writer.append([*EVENTS, StudyEnded("no way on", failed=True)], TRIALS)
        first, second = store.outlines()
        for outline, record in zip((first, second), store.studies(), strict=True):
            told = [getattr(record, field.name) for field in fields(record)]
            assert [getattr(outline, field.name) for field in fields(record)] == told
            assert outline.error == ""
        assert (first.name, first.state, first.events) == ("first", StudyState.FAILED, 11)
        assert first.holder is not None
        assert first.counts == {TrialState.WAITING: 1, TrialState.COMPLETE: 1, TrialState.FAILED: 1}
        assert repr(first.values) == repr(((7, 9, 0.5), (8, 1, math.nan)))
        assert (second.counts, second.values) == ({}, ())
        writer.release()


def check_trials_and_reports(opener: Opener) -> None:
    """The newest row of each trial, by number; reports in the order they came."""
    with closing(opener()) as store:
        store.create(spec())
        writer = store.write("mnist")
        writer.append([reported(7, 1), reported(3, 1)], [TRIALS[2], TRIALS[0]])
        writer.append([Ticked(1.0), reported(7, 2)], TRIALS[1:])
        writer.append([], [TrialSummary(0, TrialState.RUNNING, CONFIG, 4, 9)])
        writer.release()
        first, second, third = store.trials("mnist")
        assert first == TrialSummary(0, TrialState.RUNNING, CONFIG, 4, 9)
        assert repr(second) == repr(TRIALS[1])
        assert repr(third) == repr(TRIALS[2])  # repr: NaN equals NaN, and True is not 1
        assert [(report.trial, report.resource) for report in store.reports("mnist")] == [(7, 1), (3, 1), (7, 2)]
        assert store.reports("mnist", 7) == [reported(7, 1).report, reported(7, 2).report]
        assert store.reports("mnist", 99) == store.reports("mnist", []) == []
        assert [(report.trial, report.resource) for report in store.reports("mnist", {3, 99})] == [(3, 1)]
        for some in ((7, 3, 7), range(20_000)):
            assert store.reports("mnist", some) == store.reports("mnist")


DETAILS = {
    (7, 1): Details(
        {"loss": (math.nan, math.inf, 1 / 3), "größe 🎲": (-math.inf, 5e-324, 1e308)}, ('a\n"b" \\ 雪', "")
    ),
    (3, 1): Details({}, ("spike",)),
    (7, 2): Details({"loss": tuple(i / 7 for i in range(20_000))}),
    (7, 3): Details(),
}


def check_details(opener: Opener) -> None:
    """A report's details come back by trial, in order; they are not in the journal, and go with their report."""

    def with_details(trial: int, resource: int) -> Reported:
        report = reported(trial, resource).report
        return Reported(replace(report, details=DETAILS[trial, resource]))

    with closing(opener()) as store:
        store.create(spec())
        store.create(spec("other"))
        writer, other = store.write("mnist"), store.write("other")
        writer.append([reported(7, 9), with_details(7, 1), with_details(3, 1)], [TRIALS[1]])
        other.append([with_details(3, 1)])
        writer.append([Ticked(1.0), with_details(7, 2), reported(3, 2), with_details(7, 3)])
        writer.release()
        with pytest.raises(StudyHeld):
            writer.append([Reported(replace(reported(3, 3).report, details=Details({}, ("too late",))))])
        other.release()
        assert repr(store.details("mnist", 7)) == repr([(n, DETAILS[7, n]) for n in (1, 2, 3)])  # NaN equals NaN
        assert store.details("mnist", 3) == [(1, DETAILS[3, 1])]
        assert store.details("mnist", 99) == []
        told = [Remark(n, at, event) for n, at in ((7, 1), (3, 1), (7, 2), (7, 3)) for event in DETAILS[n, at].events]
        assert told
        assert store.remarks("mnist", [3, 7, 99]) == told
        assert store.remarks("mnist", {3}) == [remark for remark in told if remark.trial == 3]
        assert store.remarks("mnist", []) == []
        assert all(report.details is None for report in store.reports("mnist"))
        assert sum(len(line) for line in lines(entry.event for entry in store.journal("mnist"))) < 2_000
        store.delete("mnist")
        store.create(spec())
        assert store.details("mnist", 7) == []
        assert store.details("other", 3) == [(1, DETAILS[3, 1])]


def check_state(opener: Opener) -> None:
    """The last word of the journal, then the lease."""
    extend = Commanded(Command(CommandKind.EXTEND, "anna", budget={"trials": 9}))
    with closing(opener()) as store:
        store.create(spec())
        writer = store.write("mnist")
        assert store.study("mnist").state is StudyState.RUNNING
        writer.append([StudyEnded("no way on", failed=True)])
        assert (store.study("mnist").state, store.study("mnist").reason) == (StudyState.FAILED, "no way on")
        writer.append([extend])
        assert (store.study("mnist").state, store.study("mnist").reason) == (StudyState.RUNNING, "")
        writer.append([Ticked(3.0), StudyEnded("done")])
        writer.append([Ticked(4.0)])
        writer.release()
        assert (store.study("mnist").state, store.study("mnist").reason) == (StudyState.FINISHED, "done")
        writer = store.write("mnist")
        writer.append([StudyEnded("done"), extend])
        writer.release()
        assert store.study("mnist").state is StudyState.UNFINISHED


CHECKS = (
    check_studies,
    check_unknown,
    check_journal,
    check_long_journal,
    check_kinds,
    check_values,
    check_outlines,
    check_trials_and_reports,
    check_details,
    check_state,
)
