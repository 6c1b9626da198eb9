"""A worker that is slower than its peers is found, whatever it was given; equal ones are left in peace."""

from __future__ import annotations

import heapq

import numpy as np
import pytest
from by_hand import study_spec
from seen import Seen, climb, ended, issued, trial

from tuner.analysis.stragglers import FEWEST, paces, stragglers
from tuner.records import Ending

SPEC = study_spec(
    space={
        "layers": {"int": [1, 8]},
        "batch_size": {"choice": [32, 128, 512]},
        "clip": {"float": [0.1, 10.0], "log": True, "none": True},
        "momentum": {"float": [0.0, 0.9], "when": {"batch_size": [32]}},
    }
)


def config_of(rng):
    """One whose epoch takes up to 100 times as long as another's."""
    config = {"layers": int(rng.integers(1, 9)), "batch_size": [32, 128, 512][rng.integers(3)]}
    config["clip"] = None if rng.random() < 0.3 else float(10 ** rng.uniform(-1, 1))
    return config | ({"momentum": 0.5} if config["batch_size"] == 32 else {})


def simulated(seed, slowness, n_trials=60, start_up=20.0):
    """Workers take trials of one to three epochs as they become idle; the first segment of each has a start-up."""
    rng = np.random.default_rng(seed)
    idle = [(0.0, worker, True) for worker in range(len(slowness))]
    heapq.heapify(idle)
    events, configs = [], [config_of(rng) for _ in range(n_trials)]
    for number, config in enumerate(configs):
        now, worker, first = heapq.heappop(idle)
        until = int(rng.integers(1, 4))
        cost = config["layers"] * 32 / config["batch_size"] * rng.lognormal(0.0, 0.2) * slowness[worker]
        after = now + until * cost + start_up * first
        events.append((now, issued(number, until=until, worker=f"w{worker}")))
        events.append((after, (number, 0, until, 0.5)))
        heapq.heappush(idle, (after, worker, False))
    events.sort(key=lambda event: event[0])
    seen = Seen(spec=SPEC)
    for index, (time, event) in enumerate(events, start=1):
        if isinstance(event, tuple):
            seen.reports.append((index, time, *event))
        else:
            seen.others.append((index, time, event))
    seen.trials = [trial(number, "complete", 3, 0.5, config=config) for number, config in enumerate(configs)]
    return seen


def slow_ones(seen):
    table = stragglers(seen)
    return table["worker"][table["slow"]].tolist()


def test_a_slow_worker_is_found_whatever_it_was_given():
    tables = [stragglers(simulated(seed, [1.0, 1.0, 3.0, 1.0])).set_index("worker") for seed in range(40)]
    tables = [table for table in tables if table.loc["w2", "n_trials"] >= FEWEST]
    assert len(tables) > 30
    assert [table.index[table["slow"]].tolist() for table in tables] == [["w2"]] * len(tables)
    factors = np.array([table.loc["w2", "factor"] for table in tables])
    assert np.median(factors) == pytest.approx(3.0, rel=0.1)


def test_equal_workers_are_not_accused():
    """The promise is one study in a hundred; the bound is what 300 of them exceed once in a thousand times."""
    assert sum(bool(slow_ones(simulated(seed, [1.0] * 6))) for seed in range(300)) <= 9


def test_a_little_slower_is_no_straggler():
    assert not any(slow_ones(simulated(seed, [1.0, 1.0, 1.1], n_trials=200)) for seed in range(20))


def test_two_slow_workers_of_four_are_both_found():
    assert sorted(slow_ones(simulated(0, [1.0, 4.0, 1.0, 4.0], n_trials=120))) == ["w1", "w3"]


def test_of_few_trials_nothing_is_said():
    table = stragglers(simulated(0, [1.0, 50.0], n_trials=4))
    assert not table["slow"].any()
    assert table["factor"].isna().all()
    assert stragglers(Seen()).empty
    assert not stragglers(climb())["slow"].any()


def test_one_worker_has_no_peers():
    assert stragglers(simulated(0, [9.0]))["factor"].isna().all()


def test_what_a_worker_does_first_in_a_session_does_not_count():
    seen = Seen(
        others=[
            (1, 0.0, issued(0, until=1)),
            (3, 50.0, issued(0, 1, 1, 3)),
            (5, 54.0, issued(1, until=9)),
            (6, 500.0, ended(1, Ending.INTERRUPTED)),
            (7, 501.0, issued(1, 1, 0, 2)),
            (9, 551.0, issued(2, until=2)),
        ],
        reports=[
            (2, 50.0, 0, 0, 1, 0.5),
            (4, 54.0, 0, 1, 3, 0.5),
            (8, 551.0, 1, 1, 2, 0.5),
            (10, 557.0, 2, 0, 2, 0.5),
        ],
        trials=[trial(number, "complete", 3, 0.5) for number in range(3)],
    )
    assert paces(seen).to_numpy().tolist() == [["w0", 0, 2.0], ["w0", 2, 3.0]]
    only = Seen(others=seen.others[:1], reports=seen.reports[:1], trials=seen.trials)
    assert paces(only).to_numpy().tolist() == [["w0", 0, 50.0]], "where it did nothing else, it does"
