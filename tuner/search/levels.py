"""Which losses a model may compare: those of one resource, the highest at which enough trials were judged.

The rule of BOHB (Falkner, Klein and Hutter 2018, §3.2): fit on the largest budget with at least N_min observations,
N_min = number of axes + 1. What is known of the other trials is still told, as less than a comparable loss.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from tuner.search._base import Observation

STARTUP = 10
"""Trials that must have been judged or have failed before there is a model; until then proposals are random."""


class Standing(Enum):
    """What a model may know of one trial."""

    JUDGED = "judged"  # its loss at the level: finite and comparable
    WORST = "worst"  # it failed, or its loss at the level is infinite: worse than any that is judged
    LOWER = "lower"  # judged, but not at the level: under ASHA it was not good enough to get there, or not yet
    OPEN = "open"  # no loss yet: another like it is not wanted
    UNKNOWN = "unknown"  # ended without a loss and without having failed: nothing is learned from it


@dataclass(frozen=True, slots=True)
class Judgement:
    """One trial from the level's point of view; `resource` and `loss` say where and how it was judged last
    (at the level, if JUDGED), and are 0 where it was not.
    """

    standing: Standing
    resource: int = 0
    loss: float = 0.0

    @property
    def rank(self) -> tuple[int, int, float]:
        """Sorts trials from best to worst: those at the level by loss; then the lower ones, the further they came the
        better, by loss; then the failed ones, which are all alike.
        """
        if self.standing is Standing.JUDGED:
            return (0, 0, self.loss)
        return (1, -self.resource, self.loss) if self.standing is Standing.LOWER else (2, 0, 0.0)


def judge(
    history: Sequence[Observation], n_axes: int, by_level: bool, startup: int = STARTUP
) -> list[Judgement] | None:
    """A judgement of each trial by position; None while too little is known for a model.

    `by_level` is for studies whose scheduler judges trials on the way. Without one, every trial ran as far as it was
    meant to, and last losses are compared wherever that was (an objective may stop by a patience of its own).
    """
    level = level_of(history, n_axes + 1) if by_level else None
    judgements = [judgement_of(observation, level, by_level) for observation in history]
    n_judged = sum(judgement.standing is Standing.JUDGED for judgement in judgements)
    n_worst = sum(judgement.standing is Standing.WORST for judgement in judgements)
    # With nothing but failures there is no better and worse, and a model would follow their order.
    return judgements if n_judged >= 2 and n_judged + n_worst >= startup else None


def level_of(history: Sequence[Observation], n_min: int) -> int | None:
    """The highest resource with at least `n_min` finite losses; the fullest (of these the highest) if none has as many.

    None if there is no loss at all.
    """
    return level_among(Counter(resource for observation in history for resource in seen_at(observation)), n_min)


def seen_at(observation: Observation) -> list[int]:
    """The resources at which the trial has a finite loss; none if it failed."""
    if observation.failed:
        return []
    return [resource for resource, loss in observation.losses.items() if math.isfinite(loss)]


def level_among(counts: Mapping[int, int], n_min: int) -> int | None:
    """The same, from the number of finite losses at each resource."""
    enough = [resource for resource, count in counts.items() if count >= n_min]
    if enough:
        return max(enough)
    return max(counts, key=lambda resource: (counts[resource], resource), default=None)


def thin(count: int, n_best: int, most: int) -> list[int]:
    """At most `most` of the places 0..count-1 of trials sorted from best to worst: the `n_best` best, and the others
    spread evenly over the rest. Models cost more with every trial, and learn little from the hundredth bad one.
    """
    if count <= most:
        return list(range(count))
    n_rest = most - n_best
    return [*range(n_best), *(n_best + index * (count - n_best) // n_rest for index in range(n_rest))]


def judgement_of(observation: Observation, level: int | None, by_level: bool) -> Judgement:
    """The judgement of one trial, from the level's point of view."""
    losses = observation.losses
    if observation.failed:
        return Judgement(Standing.WORST)
    if not losses or (observation.open and not by_level):
        return Judgement(Standing.OPEN if observation.open else Standing.UNKNOWN)
    resource = level if level in losses else max(losses)
    assert resource is not None
    if not math.isfinite(losses[resource]):
        return Judgement(Standing.WORST)
    standing = Standing.JUDGED if resource == level or not by_level else Standing.LOWER
    return Judgement(standing, resource, losses[resource])
