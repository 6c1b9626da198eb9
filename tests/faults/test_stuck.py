"""Trials that are stuck: one that ends the process in which the study runs, and one that a person pauses or stops."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import closing

import pytest
from workplace import SPEC, Workplace

from tuner.store import open_store

OBJECTIVE = """
import threading, time

def stuck_once(config, trial):
    marker = trial.folder / "stuck"
    for epoch in range(trial.start + 1, trial.until + 1):
        if (trial.number, epoch) == (1, 3) and not marker.exists():
            marker.touch()
            threading.Timer(0.2, trial.abandon, ["step 3 took more than 0.2 s"]).start()
            time.sleep(600)
        trial.report(epoch, checkpoint={"epoch": epoch}, loss=config["x"] / epoch)
"""


def test_a_stuck_trial_ends_the_process_and_resume_goes_on_from_its_checkpoint(tmp_path):
    place = Workplace(tmp_path)
    (tmp_path / "thing.py").write_text(OBJECTIVE)
    (tmp_path / "spec.yaml").write_text(SPEC.replace("thing:curve", "thing:stuck_once"))
    scheduler = ["--set", "scheduler={name: none, max_resource: 4}", "--trials", "3"]
    process = place.start("run", "spec.yaml", *scheduler)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "error: trial 1 is stuck: step 3 took more than 0.2 s" in err
    assert "Nothing that was reported is lost. Go on with: tune resume demo" in err
    assert "abandoned: step 3 took more than 0.2 s" in (place.folder / "runs" / "demo" / "1" / "log.txt").read_text()

    shown = place.json("show", "demo")
    assert (shown["state"], shown["counts"]["running"], shown["counts"]["waiting"]) == ("unfinished", 0, 1)
    assert shown["trials"][1]["resource"] == 2, "also what was reported a moment before, and awaited by nobody"
    assert shown["trials"][1]["failure"] == "step 3 took more than 0.2 s"

    place.tune("resume", "demo")
    shown = place.json("show", "demo")
    assert [trial["state"] for trial in shown["trials"]] == ["complete"] * 3
    reports = place.json("trial", "demo", "1")["reports"]
    assert [(report["segment"], report["resource"]) for report in reports] == [(0, 1), (0, 2), (1, 3), (1, 4)]


def test_without_retries_a_stuck_trial_has_failed_and_the_others_go_on(tmp_path):
    place = Workplace(tmp_path)
    (tmp_path / "thing.py").write_text(OBJECTIVE)
    (tmp_path / "spec.yaml").write_text(SPEC.replace("thing:curve", "thing:stuck_once"))
    arguments = ["--set", "scheduler={name: none, max_resource: 4}", "--set", "failures.retries=0", "--trials", "3"]
    process = place.start("run", "spec.yaml", *arguments)
    process.communicate(timeout=60)
    assert process.returncode == 1
    place.tune("resume", "demo")
    assert [trial["state"] for trial in place.json("show", "demo")["trials"]] == ["complete", "failed", "complete"]


STUCK = """
import os, time

def stuck_in_two(config, trial):
    marker = trial.folder / "stuck"
    for epoch in range(trial.start + 1, trial.until + 1):
        if (trial.number, epoch) == (0, 2) and not marker.exists():
            time.sleep(0.5)  # let the first report leave
            (trial.folder / "pid").write_text(str(os.getpid()))
            marker.touch()
            time.sleep(600)
        trial.report(epoch, checkpoint={"epoch": epoch}, loss=config["x"] / epoch)
"""


@pytest.fixture
def stuck(tmp_path):
    """A study on a worker of Ray's whose first trial is stuck between two reports."""
    place = Workplace(tmp_path)
    (tmp_path / "thing.py").write_text(STUCK)
    (tmp_path / "spec.yaml").write_text(SPEC.replace("thing:curve", "thing:stuck_in_two").replace("local", "ray"))
    scheduler = ["--set", "scheduler={name: none, max_resource: 3}", "--trials", "2", "--set", "timeouts.grace=2"]
    process = place.start("run", "spec.yaml", *scheduler)
    try:
        wait(lambda: (place.folder / "runs" / "demo" / "0" / "stuck").exists())
        yield place, process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_a_stuck_trial_that_a_person_pauses_rests_and_later_goes_on_from_its_checkpoint(stuck):
    place, process = stuck
    assert workers(process.pid)
    place.tune("pause", "demo")
    wait(lambda: place.json("show", "demo")["counts"]["running"] == 0, 15)
    wait(lambda: is_gone(int((place.folder / "runs" / "demo" / "0" / "pid").read_text())), 15)
    (trial,) = place.json("show", "demo")["trials"]
    assert (trial["state"], trial["resource"], trial["failure"]) == ("waiting", 1, None)
    assert reason(place).startswith("paused by ")
    wait(lambda: not workers(process.pid), 15)  # what they held, GPUs too, is free
    place.tune("unpause", "demo")
    assert process.wait(timeout=60) == 0
    assert [trial["state"] for trial in place.json("show", "demo")["trials"]] == ["complete", "complete"]
    reports = place.json("trial", "demo", "0")["reports"]
    assert [(report["segment"], report["resource"]) for report in reports] == [(0, 1), (1, 2), (1, 3)]


def test_a_stuck_trial_that_a_person_stops_is_pruned_and_the_study_goes_on(stuck):
    place, process = stuck
    place.tune("stop", "demo", "0")
    assert process.wait(timeout=60) == 0
    first, second = place.json("show", "demo")["trials"]
    assert (first["state"], first["resource"], second["state"]) == ("pruned", 1, "complete")
    assert reason(place).startswith("stopped by ")


def reason(place):
    with closing(open_store(place.folder / "runs" / "tuner.db", read_only=True)) as store:
        return store.trials("demo")[0].reason


def wait(condition, seconds=60.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.1)


def workers(pid):
    """The processes in which Tune has workers, below that of the study."""
    listed = subprocess.run(["ps", "-e", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    parents, words = {}, {}
    for line in listed.splitlines():
        number, parent, args = line.split(maxsplit=2)
        parents[int(number)], words[int(number)] = int(parent), args
    return [
        number
        for number, args in words.items()
        if args.startswith("ray::ImplicitFunc") and _below(number, pid, parents)
    ]


def _below(number, pid, parents):
    while number > 1 and number != pid:
        number = parents.get(number, 1)
    return number == pid


def is_gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False
