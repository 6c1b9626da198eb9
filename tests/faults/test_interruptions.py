"""Processes that are interrupted, terminated and killed: what was reported is kept, and the study goes on as if not."""

from __future__ import annotations

import os
import signal
import time

import pytest
from workplace import OBJECTIVE, Workplace

PAUSE = ["--set", "fixed.pause=0.05"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    place = Workplace(tmp_path_factory.mktemp("undisturbed"))
    place.tune("run", "spec.yaml", *PAUSE)
    return place.story("demo")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_a_study_resumed_after_a_signal_is_the_undisturbed_one(tmp_path, undisturbed, number):
    place = Workplace(tmp_path)
    process = place.start("run", "spec.yaml", *PAUSE)
    wait_for_trials(place, 3)
    os.kill(process.pid, number)
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    if number is signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == 130
        assert "everything reported is saved. Go on with: tune resume demo" in out
    shown = place.json("show", "demo")
    assert (shown["state"], shown["counts"]["running"]) == ("unfinished", 0), "no zombie"
    place.tune("resume", "demo")
    assert place.story("demo") == undisturbed


def test_ctrl_c_twice_leaves_at_once_and_loses_nothing_that_was_committed(tmp_path, undisturbed):
    place = Workplace(tmp_path)
    (place.folder / "thing.py").write_text(STUBBORN)
    process = place.start("run", "spec.yaml", *PAUSE)
    wait_for_file(place.folder / "inside")
    os.kill(process.pid, signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None, "the objective takes its time"
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=5)
    assert process.returncode == 130
    assert "left at once; what was committed is saved" in err
    assert "Traceback" not in err
    (place.folder / "thing.py").write_text(OBJECTIVE)
    place.tune("resume", "demo")
    assert place.story("demo") == undisturbed


STUBBORN = OBJECTIVE.replace(
    'time.sleep(config["pause"])',
    """if trial.number == 3:
            try:
                open("inside", "w").close()
                time.sleep(60)
            except KeyboardInterrupt:
                time.sleep(60)""",
)


def test_a_second_writer_is_told_who_holds_the_study(tmp_path):
    place = Workplace(tmp_path)
    process = place.start("run", "spec.yaml", "--set", "fixed.pause=0.5")
    wait_for_trials(place, 1)
    _, err = place.tune("resume", "demo", code=2)
    assert str(process.pid) in err
    assert place.json("show", "demo")["state"] == "running"
    process.kill()
    process.communicate()


def test_ctrl_c_on_ray_leaves_no_process_behind_and_the_study_goes_on(tmp_path):
    place = Workplace(tmp_path)
    arguments = ["--set", "executor=ray", "--set", "parallel=2", "--set", "fixed.pause=0.2"]
    process = place.start("run", "spec.yaml", *arguments)
    wait_for_trials(place, 3, seconds=90)
    os.killpg(process.pid, signal.SIGINT)  # a terminal's Ctrl-C reaches the whole group
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, (out, err)
    assert "tune resume demo" in out
    assert "Traceback" not in err
    assert group_is_gone(process.pid)
    place.tune("resume", "demo")
    shown = place.json("show", "demo")
    assert (shown["state"], shown["counts"]["failed"], len(shown["trials"])) == ("finished", 0, 12)
    for trial in shown["trials"]:
        resources = [report["resource"] for report in place.json("trial", "demo", str(trial["number"]))["reports"]]
        assert resources == list(range(1, trial["resource"] + 1)), "one curve, nothing twice"


def wait_for_trials(place, n, seconds=30):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        studies = place.json("list")
        if studies and studies[0]["trials"] >= n:
            return
        time.sleep(0.1)
    raise AssertionError(f"no {n} trials within {seconds} s")


def wait_for_file(path, seconds=30):
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"no {path.name} within {seconds} s"
        time.sleep(0.05)


def group_is_gone(group, seconds=20):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.2)
    return False
