"""What every store must do, ours or a user's: each of `CHECKS`, called with an `Opener`.

An opener opens the same store again and again, one that has no studies at first. It is called in other processes too,
so it must be picklable: functools.partial(open_store, url), say.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import pytest

from tuner.errors import StudyExists, StudyHeld, StudyNotFound
from tuner.records import (
    Checkpoint,
    Command,
    Commanded,
    CommandKind,
    Details,
    Ending,
    Event,
    Failure,
    FailureKind,
    Report,
    Reported,
    Segment,
    SegmentEnd,
    SegmentEnded,
    SegmentIssued,
    StudyEnded,
    Ticked,
    TrialState,
    TrialSummary,
    encode_event,
)
from tuner.spec import StudySpec
from tuner.store import StudyState, StudyStore

Opener = Callable[[], StudyStore]

CHECKPOINT = Checkpoint(3, "7/0003.ckpt", 2**40, "ab" * 32)
CONFIG = {"lr": 1e-05, "batch_size": 32, "nesterov": True, "optimizer": "adåm 雪", "clip_norm": None, "share": 1.0}
ODD = {"nan": math.nan, "up": math.inf, "down": -math.inf, "tiny": 5e-324, "third": 1 / 3, "größe 🎲": 2.0}
EVENTS: tuple[Event, ...] = (
    SegmentIssued(Segment(7, 0, 0, 9, CONFIG, 2**63 - 1, 9, (1, 3, 9), CHECKPOINT), worker="w-1"),
    Reported(Report(7, 0, 3, ODD, 0.25, CHECKPOINT)),
    Reported(Report(7, 0, 4, {f"layer.{i}.grad_norm_p99": i / 7 for i in range(2_000)}, 1.0)),
    Commanded(Command(CommandKind.STOP, "anna", trial=7), number=1),
    Commanded(Command(CommandKind.ENQUEUE, "anna", config=CONFIG)),
    Commanded(Command(CommandKind.EXTEND, "zoë", budget={"trials": 128, "minutes": 1.5, "epochs": None}), number=2),
    Ticked(12.5),
    SegmentEnded(SegmentEnd(7, 0, Ending.FAILED, Failure(FailureKind.OUT_OF_MEMORY, "no room", 'a\n  "b" \\ \x07'))),
    SegmentEnded(SegmentEnd(8, 2, Ending.LOST)),
    StudyEnded("all trials are done"),
)
TRIALS = (
    TrialSummary(0, TrialState.WAITING, {}, 0, 9),
    TrialSummary(7, TrialState.COMPLETE, CONFIG, 9, 9, 0.5, 0.25, 3, -0.1, 2, 1e-3, ODD, None, "stopped by anna"),
    TrialSummary(
        8,
        TrialState.FAILED,
        CONFIG,
        1,
        9,
        math.nan,
        -math.inf,
        1,
        math.nan,
        1,
        2.0,
        {},
        Failure(FailureKind.TIMEOUT, "?"),
    ),
)


def spec(name: str = "mnist", **changes: Any) -> StudySpec:
    """A small spec."""
    space = {"lr": {"float": [1e-5, 1.0], "log": True}, "optimizer": {"choice": ["sgd", "adåm 雪"]}}
    data = {"study": name, "objective": "somewhere:something", "metric": {"name": "val_loss"}, "space": space}
    return StudySpec.from_dict({**data, **changes})


def reported(trial: int, resource: int) -> Reported:
    return Reported(Report(trial, 0, resource, {"val_loss": 1 / resource}, 0.1))


def lines(events: Iterator[Event] | tuple[Event, ...]) -> list[bytes]:
    """Events in a form in which NaN equals NaN."""
    return [encode_event(event) for event in events]


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
            lambda name: store.details(name, 0),
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
        assert store.reports("mnist", 99) == []


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


def check_lease(opener: Opener) -> None:
    """One writer; the second is told who holds it; what is given back is free."""
    with closing(opener()) as store, closing(opener()) as other:
        store.create(spec())
        store.create(spec("free"))
        writer = store.write("mnist")
        with pytest.raises(StudyHeld, match=f"process {os.getpid()} on host") as refused:
            other.write("mnist")
        assert refused.value.hint
        holder = other.study("mnist").holder
        assert holder is not None
        assert holder.pid == os.getpid()
        other.write("free").release()
        writer.heartbeat()
        writer.release()
        writer.release()
        second = other.write("mnist")
        writer.release()
        for call in (writer.heartbeat, lambda: writer.append([Ticked(1.0)]), lambda: writer.append([], TRIALS)):
            with pytest.raises(StudyHeld):
                call()
        assert list(store.journal("mnist")) == []
        assert store.trials("mnist") == []
        second.append([Ticked(2.0)])
        second.release()
        assert store.study("mnist").holder is None


def check_killed_writer(opener: Opener) -> None:
    """SIGKILL between any two instructions: each committed group is there whole, and the study is free at once."""
    with closing(opener()) as store:
        store.create(spec())
        with child(append_for_ever, opener) as (process, sent):
            told = [sent.get(timeout=60) for _ in range(5)]
            with pytest.raises(StudyHeld, match=f"process {process.pid} "):
                store.write("mnist")
            assert store.study("mnist").state is StudyState.RUNNING
            os.kill(process.pid, signal.SIGKILL)
            deadline = time.monotonic() + 10
            while store.study("mnist").holder is not None:  # not waited for: a zombie must not hold the lease
                assert time.monotonic() < deadline
            writer = store.write("mnist")
        entries = list(store.journal("mnist"))
        assert [entry.number for entry in entries] == list(range(1, len(entries) + 1))
        groups = len(entries) // 50
        assert len(entries) == groups * 50
        assert groups >= told[-1]
        assert store.study("mnist").events == len(entries)
        assert [trial.resource for trial in store.trials("mnist")] == [groups]
        writer.append([Ticked(1.0)])
        writer.release()
        assert [entry.number for entry in store.journal("mnist", after=len(entries))] == [len(entries) + 1]


def check_commands(opener: Opener) -> None:
    """Numbered from 1 for each study, whoever posts, while somebody writes."""
    with closing(opener()) as store:
        store.create(spec())
        store.create(spec("other"))
        enqueue = Command(CommandKind.ENQUEUE, "anna", config=CONFIG)
        writer = store.write("mnist")
        assert (store.post("mnist", enqueue), store.post("mnist", enqueue), store.post("other", enqueue)) == (1, 2, 1)
        with child(post_many, opener) as (first, _), child(post_many, opener) as (second, _):
            while first.is_alive() or second.is_alive():
                writer.append([Ticked(1.0)])
                time.sleep(0.005)
            assert (first.exitcode, second.exitcode) == (0, 0)
        writer.release()
        posted = store.commands("mnist")
        assert [command.number for command in posted] == list(range(1, 83))
        assert posted[0].command == enqueue
        for pid in {command.command.author for command in posted[2:]}:
            trials = [command.command.trial for command in posted if command.command.author == pid]
            assert trials == list(range(40)), "the order of each who posts"
        assert [command.number for command in store.commands("mnist", after=80)] == [81, 82]


def check_readers(opener: Opener) -> None:
    """Another process reads all the while: it never fails, never waits for the writer, and sees whole groups."""
    with closing(opener()) as store:
        store.create(spec())
        writer = store.write("mnist")
        with child(read_until_ended, opener) as (process, sent):
            assert sent.get(timeout=60) == "reading"
            for group in range(1, 101):
                writer.append([reported(0, group)] * 20, [TrialSummary(0, TrialState.RUNNING, CONFIG, group, 999)])
            writer.append([StudyEnded("done")])
            seen = sent.get(timeout=60)
            process.join(60)
            assert process.exitcode == 0
        writer.release()
        assert seen[-1] == 2_001
        assert seen == sorted(seen)


def append_for_ever(opener: Opener, sent: Any) -> None:
    store = opener()
    writer = store.write("mnist")
    group = 0
    while True:
        group += 1
        trial = TrialSummary(0, TrialState.RUNNING, CONFIG, group, 10**9)
        writer.append([reported(0, group) for _ in range(50)], [trial])
        sent.put(group)


def post_many(opener: Opener, _sent: Any) -> None:
    with closing(opener()) as store:
        for trial in range(40):
            store.post("mnist", Command(CommandKind.STOP, str(os.getpid()), trial=trial))


def read_until_ended(opener: Opener, sent: Any) -> None:
    with closing(opener()) as store:
        sent.put("reading")
        seen = [0]
        while store.study("mnist").state is not StudyState.FINISHED:
            trials = store.trials("mnist")
            reports = store.reports("mnist", 0)
            assert len(reports) % 20 == 0
            assert len(reports) >= 20 * sum(trial.resource for trial in trials)
            seen.append(seen[-1] + len(list(store.journal("mnist", after=seen[-1]))))
        seen.append(store.study("mnist").events)
        sent.put(seen)


@contextmanager
def child(target: Callable[[Opener, Any], None], opener: Opener) -> Iterator[tuple[Any, Any]]:
    """A process of its own, not a fork, that is over at the end."""
    context = multiprocessing.get_context("spawn")
    sent = context.Queue()
    process = context.Process(target=target, args=(opener, sent), daemon=True)
    process.start()
    try:
        yield process, sent
    finally:
        process.kill()
        process.join()
        process.close()
        sent.close()
        sent.join_thread()


CHECKS = (
    check_studies,
    check_unknown,
    check_journal,
    check_long_journal,
    check_trials_and_reports,
    check_details,
    check_state,
    check_lease,
    check_killed_writer,
    check_commands,
    check_readers,
)
