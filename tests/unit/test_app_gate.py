"""The explorer's token and its gate: what will do, what is compared, and how long wrong ones wait."""

from __future__ import annotations

import hmac
import threading

import pytest
from clocks import Clock

from app import gate as gates
from app.gate import FORGIVEN, FREE, LONGEST, Gate
from tuner.errors import UserMistake
from tuner.tokens import SHORTEST, TOKEN, readable_by_others, token_of

SECRET = "correct-horse-battery"


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def gate(clock):
    return Gate(SECRET, clock)


def wrong(gate, text="wrong-horse-battery"):
    with pytest.raises(UserMistake) as refused:
        gate.admit(text)
    assert text not in refused.value.message
    return refused.value.message


def test_the_right_token_gives_a_pass_that_this_gate_alone_knows(gate, clock):
    given = gate.admit(SECRET)
    assert gate.knows(given)
    assert not Gate(SECRET, clock).knows(given)
    for guess in (None, True, "", b"", given[:-1], SECRET, SECRET.encode()):
        assert not gate.knows(guess)


@pytest.mark.parametrize("text", ["", SECRET[:-1], SECRET + "x", SECRET.upper(), "ü" * 21, "\ud800", "x" * 10**6])
def test_any_other_is_wrong(gate, text):
    with pytest.raises(UserMistake, match="not the token"):
        gate.admit(text)


def test_tokens_are_compared_in_constant_time_and_at_one_length(gate, monkeypatch):
    compared, original = [], hmac.compare_digest

    def compare(one, other):
        compared.append((len(one), len(other)))
        return original(one, other)

    monkeypatch.setattr(gates.hmac, "compare_digest", compare)
    for text in ("x", SECRET[:-1], "x" * 1000):
        wrong(gate, text)
    assert compared == [(32, 32)] * 3


def test_neither_the_gate_nor_its_pass_holds_the_token(gate):
    assert SECRET not in repr(vars(gate))
    assert SECRET.encode() not in gate.admit(SECRET)


def test_wrong_tokens_wait_longer_and_longer_and_so_does_everybody(gate, clock):
    waits = []
    for _ in range(FREE):
        assert "not the token" in wrong(gate)
    for _ in range(10):
        assert "not looked at" in wrong(gate, SECRET), "the right one, too"
        begun = clock.now
        while "not looked at" in wrong(gate):
            clock.now += 0.5
        waits.append(clock.now - begun)
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, *[LONGEST] * 4]
    clock.now += LONGEST
    assert gate.knows(gate.admit(SECRET))
    assert "not the token" in wrong(gate), "all is forgiven"


def test_old_ones_are_forgotten(gate, clock):
    for _ in range(FREE):
        wrong(gate)
    clock.now += FORGIVEN
    for _ in range(FREE):
        assert "not the token" in wrong(gate)


def test_sessions_that_try_at_once_are_counted_one_by_one(gate):
    looked_at = []
    ready = threading.Barrier(20)

    def attempt():
        ready.wait()
        looked_at.append("not the token" in wrong(gate))

    threads = [threading.Thread(target=attempt) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert looked_at.count(True) == FREE


# Where the token is said.


def test_a_token_comes_from_a_file_before_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv(TOKEN, raising=False)
    assert token_of(None) == ""
    monkeypatch.setenv(TOKEN, SECRET)
    assert token_of(None) == SECRET
    (tmp_path / "token").write_text("another-token-of-mine\n")
    assert token_of(str(tmp_path / "token")) == "another-token-of-mine"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "has 0 characters, and needs at least 16"),
        (b"x" * (SHORTEST - 1), "has 15 characters"),
        (b"two words are not one", "must be one line"),
        (b"one-line-of-two\nanother-line", "must be one line"),
        (b"\xff\xfe" * 20, "it is no text"),
        (None, "No such file"),
    ],
)
def test_each_mistake_is_one_message_without_the_token(tmp_path, text, said):
    path = tmp_path / "token"
    if text is not None:
        path.write_bytes(text)
    with pytest.raises(UserMistake) as refused:
        token_of(str(path))
    assert said in refused.value.message
    assert "secrets.token_urlsafe" in (refused.value.hint or "")
    assert not text or text.decode("latin-1") not in refused.value.message


def test_who_else_can_read_it(tmp_path):
    path = tmp_path / "token"
    path.write_text(SECRET)
    for mode, others in ((0o600, False), (0o640, True), (0o604, True)):
        path.chmod(mode)
        assert readable_by_others(str(path)) is others
