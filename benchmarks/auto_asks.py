"""What a proposal of `auto` costs, one core, as a study grows; beside it Optuna's own TPE and Gaussian process.

    python benchmarks/auto_asks.py [--rounds 5] [--record]

A study of seven axes under promoting ASHA is made up: configurations are random, each was judged at as many of the
rungs 1, 3, 9, 27 as ASHA lets it. Asked of `auto` is what the controller asks before it starts a new trial: whether a
paused one is promising, and a configuration. Asked of Optuna's samplers is a trial of a study that holds as many
complete ones, in memory.
"""

from __future__ import annotations

import os

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import optuna
from record import Record, arguments, take_turns

from tuner.search import Observation
from tuner.search.auto import AutoProposer
from tuner.search.distinct import uniform
from tuner.space import Float, SearchSpace

N_AXES = 7
SPACE = SearchSpace({f"x{axis}": Float(0.0, 1.0) for axis in range(N_AXES)})
RUNGS = (1, 3, 9, 27)
SIZES = (30, 100, 300, 1_000, 3_000, 10_000)
PEER_SIZES = {"TPESampler": (30, 100, 300, 1_000), "GPSampler": (30, 100, 300)}
ASKS = 10
WANTED = {1_000: 50, 10_000: 200}
"""Milliseconds at most, mean over a study of so many trials."""


def main() -> None:
    options = arguments(__doc__, rounds=5).parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    record = Record("auto-asks", "What a proposal of `auto` costs", packages=["numpy", "scipy", "optuna"])
    record.note(" ".join(__doc__.split("\n\n")[2].split()))
    contestants: dict[str, Callable[[], float]] = {f"auto, {size:,}": partial(ours, size) for size in SIZES}
    for name, sizes in PEER_SIZES.items():
        contestants |= {f"Optuna {name}, {size:,}": partial(theirs, name, size) for size in sizes}
    turns = take_turns(contestants, options.rounds)
    record.table("sampler, trials so far: ms per ask", turns)
    at = {size: statistics.median(turns[f"auto, {size:,}"]) for size in SIZES}
    for size, wanted in WANTED.items():
        mean = mean_up_to(size, at)
        record.target(f"at most {wanted} ms an ask over {size:,} trials", reached=f"{mean:.0f}", met=mean <= wanted)
    record.publish(write=options.record)


def mean_up_to(size: int, at: dict[int, float]) -> float:
    """The mean over the asks of a study of `size` trials, by straight lines between the measured ones."""
    return float(np.interp(np.arange(size), list(at), list(at.values())).mean())


def ours(size: int) -> float:
    """Milliseconds per ask."""
    history = made_up(size)
    paused = {seen.number for seen in history if seen.open}
    proposer = AutoProposer(SPACE, 0, by_level=True, max_resource=27)
    proposer.propose(history[:20], 20, 0)  # what is imported and allocated once
    began = time.perf_counter()
    for n in range(ASKS):
        # One loss of its own each time, as in a study: nothing of the last ask's fit can be used again.
        history[n] = Observation(n, history[n].config, {1: float(n)}, open=True)
        proposer.promising(history, paused)
        proposer.propose(history, size + n, 0)
    return 1000 * (time.perf_counter() - began) / ASKS


def theirs(name: str, size: int) -> float:
    """Milliseconds per ask."""
    study = optuna.create_study(sampler=getattr(optuna.samplers, name)(seed=0))
    axes = {name: optuna.distributions.FloatDistribution(0.0, 1.0) for name in SPACE}
    for seen in made_up(size):
        value = min(seen.losses.values())
        study.add_trial(optuna.trial.create_trial(params=dict(seen.config), distributions=axes, value=value))
    n_asks = max(1, ASKS // 3)
    began = time.perf_counter()
    for _ in range(n_asks):
        trial = study.ask()
        for axis in SPACE:
            trial.suggest_float(axis, 0.0, 1.0)
        study.tell(trial, 1.0)
    return 1000 * (time.perf_counter() - began) / n_asks


def made_up(size: int) -> list[Observation]:
    """A history of random configurations of a bowl; the best third of each rung went on to the next."""
    configs = [uniform(SPACE, number) for number in range(size)]
    ends = [sum((value - 0.3) ** 2 for value in config.values()) for config in configs]
    order = np.argsort(np.argsort(ends))
    history = []
    for number, (config, end) in enumerate(zip(configs, ends, strict=True)):
        rungs = [rung for index, rung in enumerate(RUNGS) if order[number] < size / 3**index]
        history.append(
            Observation(number, config, {rung: end + 1 / rung for rung in rungs}, open=rungs[-1] < RUNGS[-1])
        )
    return history


if __name__ == "__main__":
    main()
