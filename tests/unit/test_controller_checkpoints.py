"""Which checkpoints the controller keeps, and from which one a trial goes on, by hand."""

from __future__ import annotations

import pytest
from by_hand import Hand, study_spec

from tuner.records import (
    Ending,
    Failure,
    FailureKind,
    SegmentEnd,
)


def test_a_promoted_trial_starts_from_its_checkpoint():
    hand = Hand(budget={"trials": 3})
    segments = hand.play(lambda segment, resource: segment.trial)
    again = next(segment for segment in segments if segment.start == 1)
    assert (again.trial, again.index, again.until) == (0, 1, 3)
    assert again.checkpoint is not None
    assert (again.checkpoint.resource, again.seed) == (1, segments[0].seed)


def test_a_damaged_checkpoint_falls_back_to_the_one_before():
    hand = Hand(scheduler={"name": "none", "max_resource": 9})
    segment = hand.one()
    hand.report(segment, 1, 0.5)
    hand.report(segment, 2, 0.5)
    starts = []
    for ending, kind in [(Ending.LOST, FailureKind.EXCEPTION), *[(Ending.FAILED, FailureKind.CHECKPOINT)] * 2]:
        hand.end(segment, ending, kind)
        segment = hand.one()
        starts.append((segment.trial, segment.start))
    assert starts == [(0, 2), (0, 1), (0, 0)]


CURVE = [0.5, 0.2, 0.4, 0.2, 0.3, 0.6]


@pytest.mark.parametrize(
    ("policy", "direction", "kept"),
    [
        ({"keep": 2}, "minimize", [2, 5, 6]),  # the first of equally good ones
        ({"keep": 2}, "maximize", [5, 6]),  # the best is the newest
        ({"keep": 1}, "minimize", [2, 6]),
        ({"keep": 5}, "minimize", [2, 3, 4, 5, 6]),
        ({"keep": 2, "best": False}, "minimize", [5, 6]),
    ],
)
def test_the_newest_checkpoints_and_the_best_ones_stay(policy, direction, kept):
    metric = {"name": "loss", "direction": direction}
    hand = Hand(study_spec(scheduler={"name": "none", "max_resource": 6}, checkpoint=policy, metric=metric))
    segment, gone = hand.one(), []
    for resource, loss in enumerate(CURVE, 1):
        hand.report(segment, resource, loss)
        gone += [checkpoint.resource for checkpoint in hand.stale]
    assert [checkpoint.resource for checkpoint in hand.controller.trials[0].checkpoints] == kept
    assert sorted(gone + kept) == [1, 2, 3, 4, 5, 6], "each is kept or removed, once"


def test_the_best_checkpoint_by_the_metric_is_that_of_a_single_report():
    """`value: best` makes a trial's loss its best so far; which checkpoint is best goes by the reports themselves."""
    metric = {"name": "loss", "value": "best"}
    hand = Hand(scheduler={"name": "none", "max_resource": 9}, checkpoint={"keep": 1}, metric=metric)
    segment = hand.one()
    hand.report(segment, 1, 0.1, kept=False)  # the best of all has no checkpoint
    for resource, loss in ((2, 0.4), (3, 0.3), (4, 0.5), (5, 0.6)):
        hand.report(segment, resource, loss)
    assert [kept.resource for kept in hand.controller.trials[0].checkpoints] == [3, 5]
    hand.end(segment, Ending.FAILED, FailureKind.CHECKPOINT)
    assert hand.one().start == 3, "the best one is also one to fall back on"


def test_a_damaged_checkpoint_is_removed():
    hand = Hand(scheduler={"name": "none", "max_resource": 9})
    segment = hand.one()
    hand.report(segment, 1, 0.5)
    hand.controller.on_segment_end(
        SegmentEnd(0, segment.index, Ending.FAILED, Failure(FailureKind.CHECKPOINT, "damaged"))
    )
    assert [kept.resource for kept in hand.controller.take_changes().stale] == [1]
