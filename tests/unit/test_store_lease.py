"""The lease when its holder is dead, elsewhere, or not who it seems; and stores in forked processes."""

import os
import subprocess
import sys
from contextlib import closing

import pytest
from clocks import Clock
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from tuner.errors import StudyHeld
from tuner.records import Report, Reported, Ticked, TrialState, TrialSummary, encode_event
from tuner.spec import StudySpec
from tuner.store import LEASE_SECONDS, Holder, StudyState, open_store, rows
from tuner.store.processes import boot_id, is_gone, start_time, this_process
from tuner.store.tables import studies

SPEC = StudySpec.from_dict(
    {"study": "mnist", "objective": "a:b", "metric": {"name": "loss"}, "space": {"lr": {"float": [0.1, 1.0]}}}
)
HERE = this_process()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(store_url, clock):
    with closing(open_store(store_url, clock=clock)) as store:
        store.create(SPEC)
        yield store


def held_by(store, **changes):
    """A writer, whose lease is then said to be another process's."""
    writer = store.write("mnist")
    with store._database.writing() as connection:
        connection.execute(update(studies).values(changes))
    return writer


def test_this_process_lives():
    assert HERE.pid == os.getpid()
    assert HERE.boot == boot_id()
    assert is_gone(HERE) is False
    assert is_gone(Holder(HERE.host, HERE.boot, HERE.pid, HERE.started + 1)) is True
    assert is_gone(Holder("elsewhere", HERE.boot, HERE.pid, HERE.started)) is None


def test_a_zombie_is_over():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert start_time(process.pid) is not None
    process.stdin.close()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # over, and not yet taken note of
    assert start_time(process.pid) is None
    process.wait()
    assert start_time(process.pid) is None


@pytest.mark.parametrize("changes", [{"boot": "another"}, {"started": 1.0}, {"pid": 2**22 + 1}])
def test_a_dead_holder_of_this_host_is_nobody(store, changes):
    first = held_by(store, **changes)
    assert store.study("mnist").state is StudyState.UNFINISHED
    assert store.study("mnist").holder is None
    second = store.write("mnist")
    with pytest.raises(StudyHeld, match="no more"):
        first.append([Ticked(1.0)])
    second.append([Ticked(2.0)])
    assert [entry.event for entry in store.journal("mnist")] == [Ticked(2.0)]


def test_a_holder_elsewhere_is_believed_until_it_falls_silent(store, clock):
    writer = held_by(store, host="elsewhere", pid=12)
    clock.now += LEASE_SECONDS - 1
    writer.heartbeat()
    clock.now += LEASE_SECONDS - 1
    with pytest.raises(StudyHeld, match="process 12 on host elsewhere") as caught:
        store.write("mnist")
    assert "free 60 s after its last heartbeat (59 s ago)" in caught.value.hint
    with pytest.raises(StudyHeld, match="elsewhere"):
        store.delete("mnist")
    clock.now += 1
    store.write("mnist").release()
    with pytest.raises(StudyHeld):
        writer.heartbeat()


def test_the_writer_of_a_deleted_study_writes_into_no_other(store):
    writer = held_by(store, boot="another")
    store.delete("mnist")
    store.create(SPEC)
    with pytest.raises(StudyHeld):
        writer.append([Ticked(1.0)])
    assert list(store.journal("mnist")) == []


def test_a_group_is_written_whole_or_not_at_all(store):
    writer = store.write("mnist")
    writer.append([Ticked(1.0)])
    trial = TrialSummary(0, TrialState.RUNNING, {}, 0, 9, reason=None)  # the column takes no NULL
    with pytest.raises(Exception, match=r"(?i)not.null"):
        writer.append([Ticked(2.0)], [trial])
    writer.append([Ticked(3.0)])
    assert [(entry.number, entry.event) for entry in store.journal("mnist")] == [(1, Ticked(1.0)), (2, Ticked(3.0))]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_has_connections_of_its_own(store):
    pid = os.fork()
    if pid == 0:
        os._exit(0 if store._database._engine.pool.checkedin() == 0 and len(store.studies()) == 1 else 1)
    assert os.waitpid(pid, 0)[1] == 0
    store.write("mnist").release()


FLOATS = st.floats(allow_nan=True) | st.none()
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)


@given(st.dictionaries(NAMES, st.floats()), st.dictionaries(NAMES, VALUES | NAMES), FLOATS, FLOATS)
def test_rows_lose_nothing(metrics, config, value, gap):
    event = Reported(Report(3, 0, 2, metrics, 0.5))
    row = rows.journal_row(1, 9, 2.0, event)
    assert encode_event(rows.journal_entry(row).event) == encode_event(event)
    trial = TrialSummary(3, TrialState.PAUSED, config, 2, 9, value=value, gap=gap, metrics=metrics)
    assert repr(rows.trial_summary(tuple(rows.trial_row(1, trial).values()))) == repr(trial)
