"""What every store must do for several processes: each of `CHECKS`, called with an `Opener` as those of `stores`."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from store_samples import CONFIG, TRIALS, Opener, reported, spec

from tuner.errors import StudyHeld
from tuner.records import (
    Command,
    CommandKind,
    StudyEnded,
    Ticked,
    TrialState,
    TrialSummary,
)
from tuner.store import StudyState


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


CHECKS = (check_lease, check_killed_writer, check_commands, check_readers)
