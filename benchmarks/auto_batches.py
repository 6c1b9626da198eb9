"""How good the proposals of `auto` are that are asked for together, beside those that are asked for one by one.

    python benchmarks/auto_batches.py [--rounds 10] [--trials 512] [--batch 64] [--record]

A study is a known function of six axes, judged at 1, 3 and 9 epochs with noise: the best third of all trials so far has
a loss at 3, the best ninth at 9. Its trials come in batches. `together` asks for a batch at once; `one by one` asks as
often for one, with those before it open. Neither learns of a batch before the next. A round is another seed.
"""

from __future__ import annotations

import os

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import time
from collections.abc import Callable, Sequence
from itertools import count

import numpy as np
from numpy.typing import NDArray
from record import Record, arguments, take_turns

from tuner.records import Config
from tuner.search import Observation, Sampler
from tuner.search.auto import AutoProposer
from tuner.search.distinct import DistinctSampler
from tuner.space import Float, SearchSpace

SPACE = SearchSpace({f"x{axis}": Float(0.0, 1.0) for axis in range(6)})
NOISE = 0.05
Point = NDArray[np.float64]
HARTMANN = (
    np.array([1.0, 1.2, 3.0, 3.2]),
    np.array(
        [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
    ),
    1e-4
    * np.array(
        [
            [1312, 1696, 5569, 124, 8283, 5886],
            [2329, 4135, 8307, 3736, 1004, 9991],
            [2348, 1451, 3522, 2883, 3047, 6650],
            [4047, 8828, 8732, 5743, 1091, 381],
        ]
    ),
)
"""Weights, scales and places of the four wells (Dixon and Szegő 1978); the least value is -3.32237."""


def hartmann(point: Point) -> float:
    weights, scales, places = HARTMANN
    return 3.32237 - float((weights * np.exp(-(scales * (point - places) ** 2).sum(1))).sum())


def rosenbrock(point: Point) -> float:
    x = 3 * point - 1.5
    return float(np.log1p((100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()))


def bowl(point: Point) -> float:
    steepness = np.array([30, 10, 3, 1, 0.3, 0.1])
    return float((steepness * (point - 0.37) ** 2).sum() ** 0.5)


def main() -> None:
    parser = arguments(__doc__, rounds=10)
    parser.add_argument("--trials", type=int, default=512, help="of a study (512)")
    parser.add_argument("--batch", type=int, default=64, help="trials that are asked for together (64)")
    options = parser.parse_args()
    record = Record("auto-batches", "Proposals of `auto`, many at once", packages=("numpy", "scipy"))
    record.note(" ".join(__doc__.split("\n\n")[2].split()))
    for objective in (hartmann, rosenbrock, bowl):
        seeds = {"together": count(), "one by one": count()}
        contestants = {
            name: lambda ask=ask, objective=objective, seed=seeds[name]: study(
                objective, ask, next(seed), options.trials, options.batch
            )
            for name, ask in (("together", together), ("one by one", one_by_one))
        }
        turns = take_turns(contestants, options.rounds)
        name, trials = objective.__name__, options.trials
        record.table(
            f"{name}: least value of {trials}", {who: [t[0] for t in of] for who, of in turns.items()}, digits=3
        )
        record.table(
            f"{name}: ms of CPU a proposal", {who: [1000 * t[1] / trials for t in of] for who, of in turns.items()}
        )
    record.publish(write=options.record)


Ask = Callable[[Sampler, Sequence[Observation], int], list[Config]]


def together(sampler: Sampler, history: Sequence[Observation], n: int) -> list[Config]:
    return sampler.ask(history, len(history), n)


def one_by_one(sampler: Sampler, history: Sequence[Observation], n: int) -> list[Config]:
    seen = list(history)
    for _ in range(n):
        seen.append(Observation(len(seen), sampler.ask(seen, len(seen), 1)[0], open=True))
    return [observation.config for observation in seen[len(history) :]]


def study(objective: Callable[[Point], float], ask: Ask, seed: int, trials: int, batch: int) -> tuple[float, float]:
    """The least value that was found, and the seconds of CPU that asking took."""
    sampler = DistinctSampler(SPACE, seed, AutoProposer(SPACE, seed, by_level=True, max_resource=9))
    rng = np.random.default_rng(seed)
    history: list[Observation] = []
    values: list[float] = []
    seconds = 0.0
    while len(history) < trials:
        began = time.process_time()
        configs = ask(sampler, history, min(batch, trials - len(history)))
        seconds += time.process_time() - began
        values += [objective(np.array(SPACE.to_unit(config))) for config in configs]
        order = np.argsort(np.argsort(values))
        for config in configs:
            number = len(history)
            rungs = [rung for rung in (1, 3, 9) if order[number] * rung < len(order)]
            losses = {rung: values[number] + 0.5 / rung + float(rng.normal(0, NOISE)) for rung in rungs}
            history.append(Observation(number, config, losses, open=rungs[-1] < 9))
    return min(values), seconds


if __name__ == "__main__":
    main()
