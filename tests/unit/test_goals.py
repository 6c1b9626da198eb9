"""What ends a study before its budget is spent."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from by_hand import Hand, study_spec
from hypothesis import given
from hypothesis import strategies as st

from tuner.cli.checking import plan
from tuner.control.goals import expected_improvement
from tuner.records import Command, CommandKind

WHOLE = {"name": "none", "max_resource": 3}


def study(until, losses, **parts):
    """A study whose trials end at `losses`, by number; all of them play."""
    parts = {"scheduler": WHOLE, "budget": {"trials": len(losses), "until": until}} | parts
    hand = Hand(**parts)
    hand.play(lambda segment, resource: losses[segment.trial])
    return hand


def extend(hand, **budget):
    hand.controller.on_command(Command(CommandKind.EXTEND, "me", budget=budget))


def test_a_target_ends_the_study_in_either_direction():
    hand = study({"value": 0.5}, [0.9, 0.6, 0.5, 0.4, 0.3])
    assert hand.controller.ended.reason == (
        "stopped after 3 of 5 trials: trial 2 has loss 0.5, the goal was 0.5; 2 trials, about 6 epochs, not spent"
    )
    up = study({"value": 0.5}, [0.1, 0.6, 0.9], metric={"name": "loss", "direction": "maximize"})
    assert len(up.controller.trials) == 2
    assert not hand.controller.ended.failed


def test_only_a_complete_trial_meets_a_target():
    asha = {"name": "asha", "max_resource": 3}
    hand = Hand(scheduler=asha, budget={"trials": 9, "until": {"value": 0.5}})
    hand.play(lambda segment, resource: 0.4 if resource < 3 else 0.6)
    assert len(hand.controller.trials) == 9, "it was as good on the way, and no more"
    hand = Hand(scheduler=asha, budget={"trials": 9, "until": {"value": 0.5}})
    hand.play(lambda segment, resource: 0.9 - resource / 5)
    assert len(hand.controller.trials) < 9


def test_no_improvement_counts_from_the_last_one():
    hand = study({"no_improvement": 3}, [0.9, 0.9, 0.8, 0.8, 0.8, 0.8, 0.1])
    assert hand.controller.ended.reason == (
        "stopped after 6 of 7 trials: no improvement in 3 trials; 1 trials, about 3 epochs, not spent"
    )


def test_the_best_of_any_rung_is_an_improvement():
    asha = {"name": "asha", "max_resource": 9}

    def loss(segment, resource):
        return 1.0 if resource == 1 else 1.0 - segment.trial / 100

    hand = Hand(scheduler=asha, budget={"trials": 30, "until": {"no_improvement": 4}})
    hand.play(loss)
    assert len(hand.controller.trials) == 30, "each promoted trial is the best of its rung"
    assert any(trial.resource == 9 for trial in hand.controller.trials)


def test_a_study_ends_with_a_whole_trial():
    hand = Hand(scheduler={"name": "asha", "max_resource": 9}, budget={"trials": 30, "until": {"no_improvement": 2}})
    hand.play(lambda segment, resource: 1.0)
    assert len(hand.controller.trials) < 6
    assert max(trial.resource for trial in hand.controller.trials) == 9


def test_failures_are_tried_too():
    hand = study({"no_improvement": 2}, [0.5, float("nan"), float("nan"), 0.1])
    assert len(hand.controller.trials) == 3


def test_an_extension_goes_on_beyond_a_goal():
    losses = [0.9, 0.4, 0.3] + [0.3] * 9
    hand = study({"value": 0.5, "no_improvement": 4}, losses)
    assert len(hand.controller.trials) == 2
    extend(hand, trials=12)
    hand.play(lambda segment, resource: losses[segment.trial])
    assert "no improvement in 4 trials" in hand.controller.ended.reason
    assert len(hand.controller.trials) == 7
    extend(hand)
    hand.play(lambda segment, resource: losses[segment.trial])
    assert len(hand.controller.trials) == 11, "it counts anew"
    twin = hand.replayed()
    assert twin.controller.ended == hand.controller.ended
    extend(hand)
    extend(twin)
    assert twin.pull() == hand.pull()


def test_what_is_saved_of_other_budgets():
    hand = study({"value": 0.5}, [0.4], budget={"trials": None, "epochs": 30, "minutes": 2, "until": {"value": 0.5}})
    reason = hand.controller.ended.reason
    assert reason.startswith("stopped after 1 trials: trial 0 has")
    assert reason.endswith("27 of 30 epochs and 2 of 2 min not spent")


@given(st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=7))
def test_the_expected_improvement_is_the_mean_over_all_orders(losses):
    n = len(losses)
    m = n * 2 // 3
    gains = [min(first) - min(losses) for first in itertools.combinations(losses, n - m)]
    recent = min(losses[: n - m]) - min(losses)
    assert expected_improvement(losses) == pytest.approx(max(np.mean(gains), recent), rel=1e-9, abs=1e-9)


def bowls(seed, n):
    """Losses of random search in a bowl of three axes."""
    return (np.random.default_rng(seed).uniform(-1, 1, (n, 3)) ** 2).sum(axis=1)


def test_a_study_that_expects_little_has_little_to_lose():
    lost, stopped = [], []
    for seed in range(40):
        losses = bowls(seed, 300)
        until = {"expected_improvement": 0.05}
        hand = study(until, losses.tolist(), scheduler={"name": "none", "max_resource": 1})
        n = len(hand.controller.trials)
        stopped.append(n)
        lost.append(losses[:n].min() - losses[: n + n // 2].min())
    assert np.mean(lost) < 0.05, "what half as many trials again would have brought"
    assert np.mean(np.array(lost) > 0.05) < 0.3
    assert 20 <= np.median(stopped) < 250


@pytest.mark.parametrize(("scatter", "ends"), [(0.1, True), (0.0, False)])
def test_the_noise_is_seen_at_the_end_of_the_curves(scatter, ends):
    rng = np.random.default_rng(0)
    losses = bowls(1, 120) / 4
    hand = Hand(
        scheduler={"name": "none", "max_resource": 8},
        budget={"trials": 120, "until": {"expected_improvement": "noise"}},
    )
    hand.play(lambda segment, resource: losses[segment.trial] + resource**-0.5 + scatter * rng.standard_normal())
    reason = hand.controller.ended.reason
    assert ("the noise" in reason) == ends, reason
    assert (len(hand.controller.trials) < 120) == ends
    if ends:
        told = float(reason.split("by less than ")[1].split(",")[0])
        assert 0.5 * scatter < told < 2 * scatter


def test_the_plan_names_the_goals():
    until = {"value": 0.05, "no_improvement": 20, "expected_improvement": "noise"}
    told = plan(study_spec(budget={"trials": 9, "until": until}), None)
    assert (
        "9 trials or loss 0.05 or 20 trials without an improvement or an expected improvement below the noise" in told
    )
