"""How far a study is said to be, and what a terminal shows of it."""

from __future__ import annotations

import io

import pytest
from by_hand import Hand
from rich.console import Console

from tuner.cli.progress import ProgressDisplay
from tuner.records import Decision
from tuner.workflows.progress import progress_of


def test_asha_is_expected_to_let_one_in_three_pass_a_rung():
    """9 trials on rungs 1, 3, 9: 9 (1 + 2/3 + 6/9) = 21 epochs are expected."""
    hand = Hand()
    for _ in range(2):
        hand.report(hand.one(), 1, 0.5)
    progress = progress_of(hand.controller, seconds_this_session=4.0)
    assert progress.share == pytest.approx(2 / 21)
    assert progress.seconds_left == pytest.approx(4.0 * 19 / 2)


def test_the_share_never_falls_back_to_what_is_running_and_ends_at_one():
    hand = Hand(budget={"trials": 2}, scheduler={"name": "none", "max_resource": 4})
    segment = hand.one()
    assert hand.report(segment, 2, 0.5) is Decision.CONTINUE
    assert progress_of(hand.controller, seconds_this_session=1.0).share == pytest.approx(2 / 8)
    hand.report(segment, 4, 0.5)
    hand.play(lambda segment, resource: 1.0)
    done = progress_of(hand.controller, seconds_this_session=1.0)
    assert (done.share, done.seconds_left) == (1.0, 0.0)


@pytest.mark.parametrize("terminal", [True, False])
def test_a_display_shows_the_best_and_what_is_running(terminal):
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100)
    hand = Hand()
    hand.report(hand.one(), 1, 0.25)
    hand.one()
    with ProgressDisplay(console) as display:
        display._every = 0.0
        display(hand.controller)
    said = console.file.getvalue()
    assert "0.25" in said
    assert "1 running" in said
    assert ("1 (0→1)" in said) is terminal
