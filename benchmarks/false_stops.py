"""What is lost when a study stops because it expects to improve by less than a limit.

    python benchmarks/false_stops.py [--rounds 200] [--record]

Random search in bowls and on noise, one value a trial, up to 400 trials; a round is a seed. Counted is what half as
many trials again would have taken off the best loss after the stop, in limits: below 1 the rule keeps its word.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from numpy.typing import NDArray
from record import Record, arguments, take_turns

from tuner.control.goals import FEWEST_TRIALS, expected_improvement

MOST = 400
LIMITS = (0.05, 0.02)
FAMILIES = {"bowl of 1 axis": 1, "bowl of 3 axes": 3, "bowl of 6 axes": 6, "noise of 0.05": 0}


def main() -> None:
    options = arguments(__doc__, rounds=200).parse_args()
    record = Record("false-stops", "Stopping where little is expected", packages=["numpy"])
    record.note(" ".join(__doc__.split("\n\n")[2].split()))
    for limit in LIMITS:
        seeds = dict.fromkeys(FAMILIES, 0)
        found = take_turns({name: partial(stop, name, limit, seeds) for name in FAMILIES}, options.rounds)
        stopped = {name: [trials for trials, _ in found[name]] for name in FAMILIES}
        record.table(f"limit {limit}: trials at the stop", stopped, digits=0)
        for name in FAMILIES:
            lost = np.array([lost for trials, lost in found[name] if trials < MOST])
            if len(lost):
                share, mean = np.mean(lost > 1), np.mean(lost)
                record.note(
                    f"{name}: of {len(lost)} stops, {share:.0%} lost more than the limit; mean {mean:.2f} limits."
                )
    record.publish(write=options.record)


def stop(name: str, limit: float, seeds: dict[str, int]) -> tuple[int, float]:
    """How many trials there were at the stop, and what was lost by it, in limits."""
    seeds[name] += 1
    losses = draw(FAMILIES[name], np.random.default_rng(seeds[name]))
    n = FEWEST_TRIALS
    while n < MOST and expected_improvement(losses[:n].tolist()) >= limit:
        n = math.ceil(n * 1.05)
    n = min(n, MOST)
    return n, float(losses[:n].min() - losses[: n + n // 2].min()) / limit


def draw(n_axes: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """The losses of independent trials."""
    n = MOST + MOST // 2
    return (rng.uniform(-1, 1, (n, n_axes)) ** 2).sum(axis=1) if n_axes else 0.05 * rng.standard_normal(n)


if __name__ == "__main__":
    main()
