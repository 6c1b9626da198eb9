"""The watchdog: what ends, what is left alone, and that nothing arrives once its context was left."""

import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest

from tuner.errors import TrialFailed
from tuner.training.watchdog import Watchdog


class Abandoned:
    """Takes down for what reasons it was called."""

    def __init__(self):
        self.reasons = []
        self.called = threading.Event()

    def __call__(self, reason):
        self.reasons.append(reason)
        self.called.set()


@pytest.fixture
def abandoned():
    return Abandoned()


def busy(seconds):
    """Executes Python all the time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        sum(range(100))


def dawdle_in_the_model():
    for _ in range(1000):
        time.sleep(0.01)


def watchdogs():
    """The threads of all watchdogs: those of earlier tests may still be on their way out."""
    return {thread for thread in threading.enumerate() if thread.name == "watchdog"}


def test_a_slow_step_ends_in_trial_failed_with_its_stack(abandoned, capsys):
    started = time.monotonic()

    def run():
        with Watchdog(0.2, abandoned) as dog:
            dog.step("step 7")
            dawdle_in_the_model()

    with pytest.raises(TrialFailed, match=r"step 7 took more than 0\.2 s") as caught:
        run()
    assert 0.2 < time.monotonic() - started < 5
    assert caught.value.kind == "timeout"
    assert "dawdle_in_the_model" in caught.value.details
    log = capsys.readouterr().err
    assert "step 7 took more than 0.2 s" in log
    assert "dawdle_in_the_model" in log
    assert abandoned.reasons == []


def test_steps_within_the_limit_go_on_however_many(abandoned):
    with Watchdog(0.4, abandoned) as dog:
        for step in range(12):
            dog.step(f"step {step}")
            busy(0.1)
    assert abandoned.reasons == []


def test_steps_of_one_name_are_told_apart(abandoned):
    with Watchdog(0.4, abandoned) as dog:
        for _ in range(8):
            dog.step("evaluation")
            busy(0.1)


def test_without_a_limit_there_is_no_thread(abandoned):
    before = watchdogs()
    with Watchdog(None, abandoned) as dog:
        dog.step("step 0")
        assert watchdogs() <= before


def test_the_thread_ends_with_the_context(abandoned):
    before = watchdogs()
    with Watchdog(100.0, abandoned):
        (thread,) = watchdogs() - before
    thread.join(5)
    assert not thread.is_alive()


def test_another_error_passes(abandoned):
    with pytest.raises(KeyError, match="cheese"), Watchdog(10.0, abandoned):
        raise KeyError("cheese")


def test_a_call_that_does_not_come_back_is_given_up(abandoned):
    def run():
        with Watchdog(0.1, abandoned, grace=0.2) as dog:
            dog.step("step 3")
            assert abandoned.called.wait(10)  # a lock: no exception gets through while it is waited for

    with pytest.raises(TrialFailed):
        run()
    assert abandoned.reasons == ["step 3 took more than 0.1 s, and did not end within 0.2 s of being told to"]


def test_code_that_catches_everything_is_given_up_too(abandoned):
    with Watchdog(0.1, abandoned, grace=0.2) as dog:
        dog.step("step 0")
        with suppress(Exception):
            busy(5)
        assert abandoned.called.wait(10)


def test_cleaning_up_in_time_is_not_given_up(abandoned):
    def run():
        with Watchdog(0.1, abandoned, grace=1.0):
            try:
                busy(5)
            finally:
                busy(0.3)

    with pytest.raises(TrialFailed):
        run()
    time.sleep(0.2)
    assert abandoned.reasons == []


def test_it_watches_the_thread_that_entered(abandoned):
    errors = []

    def work():
        try:
            with Watchdog(0.1, abandoned):
                busy(5)
        except TrialFailed as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    assert len(errors) == 1


def test_nothing_arrives_once_the_context_was_left(abandoned):
    """Steps that end just when their limit does, many times: each ends within its context, or not at all."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    ended = 0
    limit = 0.004
    try:
        for attempt in range(150):
            try:
                with Watchdog(limit, abandoned, grace=0.02):
                    busy(limit * (1.15 + 0.003 * attempt))
            except TrialFailed:
                ended += 1
            busy(0.002)  # whatever arrives here fails the test
    finally:
        sys.setswitchinterval(interval)
    time.sleep(0.1)
    assert abandoned.reasons == []
    assert 0 < ended < 150, "the race was not run"
    sys.setprofile(lambda *_: None)  # an exception that was taken back would make this hang
    busy(0.01)
    sys.setprofile(None)


def test_one_that_arrives_in_the_first_instruction_of_leaving_gives_nothing_up(abandoned):
    """__exit__ cannot catch it there. Staged by a profiler's hook, which raises in the same place."""
    dog = Watchdog(1000.0, abandoned, grace=0.05)

    def stage(frame, event, _):
        if event == "call" and frame.f_code is Watchdog.__exit__.__code__:
            sys.setprofile(None)
            raise dog._exception("late", "")

    def run():
        with dog:
            sys.setprofile(stage)

    with pytest.raises(TrialFailed, match="late"):
        run()
    assert not dog._end.is_set()
    assert not dog._is_stuck()
    dog._leave()


STUCK = """
import ctypes, os, sys, time
from tuner.training.watchdog import Watchdog

def abandon(reason):
    print("abandoned:", reason, flush=True)
    os._exit(3)

with Watchdog(0.2, abandon, grace=0.2) as dog:
    dog.step("step 1")
    ctypes.CDLL(None).sleep(30)  # C that never comes back, the interpreter's lock let go
"""


def test_a_process_stuck_in_c_can_be_ended():
    started = time.monotonic()
    ended = subprocess.run([sys.executable, "-c", STUCK], capture_output=True, text=True, timeout=30)
    assert ended.returncode == 3, ended.stderr
    assert "abandoned: step 1 took more than 0.2 s" in ended.stdout
    assert '<string>", line 11' in ended.stderr
    assert time.monotonic() - started < 20


def test_a_step_costs_little(abandoned):
    with Watchdog(100.0, abandoned) as dog:
        started = time.perf_counter()
        for _ in range(10_000):
            dog.step("step")
        assert (time.perf_counter() - started) / 10_000 < 20e-6
