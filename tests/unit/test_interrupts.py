"""Signals that come in the middle of a stretch that they must not cut."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress

import pytest

from tuner.cli.interrupting import interruptible
from tuner.interrupts import interruption, shielded


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@contextmanager
def handled(number, handler):
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


def test_ctrl_c_waits_for_the_end_of_the_stretch():
    done = []
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012 (what is after the stretch must not be reached)
        with shielded():
            send(signal.SIGINT)
            with shielded():
                done.append("inner")
            done.append("outer")
        done.append("after")
    assert done == ["inner", "outer"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_one_does_not_wait():
    done = []
    with pytest.raises(KeyboardInterrupt), shielded():  # noqa: PT012
        send(signal.SIGINT)
        done.append("one")
        send(signal.SIGINT)
        done.append("two")
    assert done == ["one"]


def test_each_signal_reaches_its_own_handler_once():
    heard = []
    with (
        handled(signal.SIGTERM, lambda number, _: heard.append(number)),
        handled(signal.SIGINT, lambda number, _: heard.append(number)),
    ):
        with shielded():
            send(signal.SIGTERM)
            assert heard == []
        assert heard == [signal.SIGTERM]
        with shielded():
            send(signal.SIGINT)
            send(signal.SIGTERM)
            assert heard[1:] == [signal.SIGINT, signal.SIGTERM]
        assert len(heard) == 3


def test_an_error_of_the_stretch_is_not_lost():
    with pytest.raises(KeyboardInterrupt) as caught, shielded():  # noqa: PT012
        send(signal.SIGINT)
        raise ValueError("of the stretch")
    assert isinstance(caught.value.__context__, ValueError)


def test_an_ignored_signal_stays_ignored():
    with handled(signal.SIGINT, signal.SIG_IGN), shielded():
        send(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_other_threads_leave_the_handlers_alone():
    seen = []

    def work() -> None:
        with shielded():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]


def test_what_was_asked_for_is_not_forgotten_where_the_exception_was_lost():
    with interruptible():
        with suppress(KeyboardInterrupt):
            send(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            interruption.check()
    interruption.check()


TRANSACTIONS = """
import random, signal, sys, threading, time
from sqlalchemy import make_url, text
from tuner.store.database import Database

database = Database(make_url(sys.argv[1]), create=True)
main = threading.main_thread()
armed = False  # so that what is not looked at here, the loop itself, is not interrupted

def interrupt(number, frame):
    global armed
    if armed:
        armed = False
        raise KeyboardInterrupt

def disturb():
    while True:
        time.sleep(random.uniform(0.0001, 0.0006))
        signal.pthread_kill(main.ident, signal.SIGINT)

signal.signal(signal.SIGINT, interrupt)
threading.Thread(target=disturb, daemon=True).start()
sys.setswitchinterval(1e-5)
n, end = 0, time.monotonic() + 3
while time.monotonic() < end:
    try:
        armed = True
        with database.writing() as connection:
            connection.execute(text("UPDATE schema SET version = version"))
        with database.reading() as connection:
            connection.execute(text("SELECT 1"))
        armed = False
    except KeyboardInterrupt:
        n += 1
signal.signal(signal.SIGINT, signal.SIG_IGN)
print(n)
"""


def test_transactions_under_a_hail_of_signals_leave_no_broken_connection(tmp_path):
    command = [sys.executable, "-c", TRANSACTIONS, f"sqlite:///{tmp_path / 'tuner.db'}"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.stderr == ""
    assert int(ended.stdout) > 50
