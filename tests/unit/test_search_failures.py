"""A region that fails is told as worst, and left: by every sampler that learns, under whatever scheduler."""

from __future__ import annotations

import math

import pytest
from by_hand import Hand

from tuner.control import Nothing
from tuner.records import Decision, Ending, FailureKind

WIDEST = 256
SPACE = {"width": {"int": [16, 4096], "log": True}, "lr": {"float": [1e-4, 1.0], "log": True}}
SCHEDULERS = {"none": {"name": "none", "max_resource": 1}, "asha": {"name": "asha", "max_resource": 9}}
TRIALS = 50


def failures(sampler, scheduler, seed):
    """Which trials of a study ran out of memory at their start, as half of the space does."""
    parts = {"scheduler": SCHEDULERS[scheduler], "budget": {"trials": TRIALS}, "failures": {"retries": 0}}
    hand = Hand(sampler={"name": sampler}, space=SPACE, seed=seed, **parts)
    failed = []
    while (segments := hand.pull()) is not Nothing.DONE:
        (segment,) = segments
        if segment.config["width"] > WIDEST:
            failed.append(segment.trial)
            hand.end(segment, Ending.FAILED, FailureKind.OUT_OF_MEMORY)
            continue
        for resource in range(segment.start + 1, segment.until + 1):
            loss = (math.log10(segment.config["lr"]) + 2) ** 2
            if hand.report(segment, resource, loss) is not Decision.CONTINUE:
                break
    return failed


@pytest.mark.parametrize(
    ("sampler", "scheduler", "seeds"),
    [
        ("auto", "none", 4),
        ("auto", "asha", 4),
        ("tpe", "none", 4),
        ("tpe", "asha", 4),
        ("cmaes", "none", 4),
        ("cmaes", "asha", 4),
        pytest.param("gp", "none", 2, marks=pytest.mark.slow),
        pytest.param("gp", "asha", 2, marks=pytest.mark.slow),
    ],
)
def test_a_region_that_fails_is_left(sampler, scheduler, seeds):
    def share(name):
        late = [trial >= TRIALS // 2 for seed in range(seeds) for trial in failures(name, scheduler, seed)]
        return sum(late) / (seeds * TRIALS / 2)

    assert share("random") > 0.35
    assert share(sampler) < 0.7 * share("random")
