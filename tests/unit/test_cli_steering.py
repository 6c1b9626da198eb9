"""`tune stop`, `pause`, `unpause`, `enqueue`: what a person at another terminal can say, and what then happens."""

from __future__ import annotations

import os
import signal
import time

import pytest
from workplace import SPEC, Workplace

from tuner.store import StudyState, open_store

SLOW = SPEC.replace("pause: 0.0", "pause: 0.05")


@pytest.fixture
def place(tmp_path):
    return Workplace(tmp_path)


@pytest.fixture
def running(place):
    """`tune run` of a study that takes a while."""
    (place.folder / "spec.yaml").write_text(SLOW)
    process = place.start("run", "spec.yaml")
    try:
        wait(lambda: has_reports(place))
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def store_of(place):
    return open_store(place.folder / "runs" / "tuner.db", read_only=True)


def has_reports(place):
    return (place.folder / "runs" / "tuner.db").exists() and "demo" in store_of(place).names() and n_reports(place) > 0


def n_reports(place):
    return len(store_of(place).reports("demo"))


def state(place):
    return store_of(place).study("demo").state


def wait(condition, seconds=60.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.05)


def ended(process):
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in err
    return process.returncode, out


def test_a_study_is_paused_and_goes_on_and_ends_as_if_nothing_had_been(place, running, tmp_path):
    assert "demo rests from the next report on" in place.tune("pause", "demo")[0]
    wait(lambda: all(trial.state != "running" for trial in store_of(place).trials("demo")))
    assert state(place) is StudyState.PAUSED
    before = n_reports(place)
    time.sleep(0.5)
    assert n_reports(place) == before
    assert running.poll() is None
    assert "is paused already" in place.tune("pause", "demo", code=2)[1]
    assert "demo goes on" in place.tune("unpause", "demo")[0]
    assert ended(running)[0] == 0
    (tmp_path / "quiet").mkdir()
    quiet = Workplace(tmp_path / "quiet")
    (quiet.folder / "spec.yaml").write_text(SLOW)
    quiet.tune("run", "spec.yaml")
    assert place.story("demo") == quiet.story("demo")


def test_a_paused_study_whose_process_was_killed_goes_on_with_resume(place, running):
    place.tune("pause", "demo")
    wait(lambda: state(place) is StudyState.PAUSED)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    assert state(place) is StudyState.PAUSED
    assert "tune resume demo" in place.tune("unpause", "demo", code=2)[1]
    place.tune("resume", "demo")
    assert state(place) is StudyState.FINISHED


@pytest.mark.parametrize("paused", [False, True])
def test_a_study_is_stopped_and_can_be_extended_later(place, running, paused):
    if paused:
        place.tune("pause", "demo")
        wait(lambda: state(place) is StudyState.PAUSED)
    assert "demo ends at the next report" in place.tune("stop", "demo")[0]
    out = ended(running)[1]
    assert "stopped by" in out
    assert state(place) is StudyState.FINISHED
    assert "has ended" in place.tune("stop", "demo", code=2)[1]


def test_a_configuration_is_tried_next(place, running):
    said = place.json("enqueue", "demo", "x=0.125")
    assert said == {"study": "demo", "command": "enqueue", "numbers": [1], "taken_up": True}
    wait(lambda: any(trial.config["x"] == 0.125 for trial in store_of(place).trials("demo")))


def test_trials_are_paused_and_stopped_by_number(place, running):
    wait(lambda: store_of(place).trials("demo")[0].state == "paused")
    assert "trial 0 of demo rests" in place.tune("pause", "demo", "0")[0]
    assert store_of(place).trials("demo")[0].reason.startswith("paused by ")
    assert "trial 0 of demo ends" in place.tune("stop", "demo", "0")[0]
    assert store_of(place).trials("demo")[0].state == "pruned"
    assert "trial 0 of study 'demo' is pruned already" in place.tune("unpause", "demo", "0", code=2)[1]


def test_each_mistake_is_one_message_and_nothing_is_posted(place, running):
    mistakes = {
        ("stop", "nothing"): "no study 'nothing'",
        ("stop", "demo", "500"): "has no trial 500",
        ("stop", "demo", "0", "500"): "has no trial 500",
        ("unpause", "demo"): "is not paused",
        ("enqueue", "demo", "x"): "a setting is NAME=VALUE",
        ("enqueue", "demo", "y=1"): "no such axis",
        ("enqueue", "demo", "x=7"): "x",
        ("enqueue", "demo", "x=[1]"): "a value is a number",
        ("enqueue", "demo", "pause=3"): "is fixed",
    }
    for arguments, said in mistakes.items():
        assert said in place.tune(*arguments, code=2)[1], arguments
    assert store_of(place).commands("demo") == []


def test_nobody_runs_it(place):
    place.tune("run", "spec.yaml", "--trials", "2")
    for word in ("stop", "pause", "unpause"):
        assert "has ended" in place.tune(word, "demo", code=2)[1]
    assert "tune resume demo --trials N" in place.tune("enqueue", "demo", "x=0.5", code=2)[1]
