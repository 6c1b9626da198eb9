"""Random studies on random workers: what must hold on the virtual clock, whatever happens; tables of random spaces."""

from __future__ import annotations

import math
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from replays import Formula, replay
from strategies import configs, search_spaces

from tuner.execution.simulated import Costs, CurveTable, TableInfo, curve_of_units
from tuner.records import Decision, Ending, Report, Segment, SegmentEnd
from tuner.space import Choice
from tuner.spec import Metric

SCHEDULERS = [
    {"name": "none", "max_resource": 9},
    {"name": "asha", "type": "promote", "max_resource": 9},
    {"name": "asha", "type": "stop", "max_resource": 9},
    {"name": "hyperband", "type": "promote", "max_resource": 9},
    {"name": "median", "max_resource": 9, "min_trials": 2},
]
BUDGETS = [{"trials": 12}, {"trials": None, "epochs": 40}, {"trials": 20, "minutes": 0.5}]
losses = st.lists(st.sampled_from([0.0, 0.1, 0.5, 1.0, -3.0, 1e18, math.nan, math.inf]), min_size=1, max_size=9)
durations = st.sampled_from([0.0, 0.5, 1.0, 1.0, 7.25])
seconds = st.sampled_from([0.0, 1.0, 2.5])
some_costs = st.builds(
    Costs,
    worker_start_seconds=seconds,
    segment_start_seconds=seconds,
    checkpoint_load_seconds=seconds,
    checkpoint_save_seconds=seconds,
    failure_probability=st.sampled_from([0.0, 0.2]),
    loss_probability=st.sampled_from([0.0, 0.3]),
    speed_spread=st.sampled_from([0.0, 0.5]),
    seed=st.integers(0, 9),
)


@given(
    curves=st.lists(st.tuples(losses, durations), min_size=1, max_size=8),
    scheduler=st.sampled_from(SCHEDULERS),
    budget=st.sampled_from(BUDGETS),
    costs=some_costs,
    parallel=st.integers(1, 6),
)
@settings(max_examples=100)
def test_whatever_happens(curves, scheduler, budget, costs, parallel):
    """A worker has one segment at a time, time does not go back, all ends once (`Witness` and `replay` check these)."""
    formula = Formula(
        losses=lambda trial, config: curves[trial % len(curves)][0],
        seconds=lambda trial, config: curves[trial % len(curves)][1],
    )
    witness = replay(
        formula, parallel=parallel, costs=costs, scheduler=scheduler, budget=budget, failures={"retries": 1}
    )
    assert Counter(segment.key for segment in witness.pulled) == Counter((e.trial, e.segment) for e in witness.ends)
    assert max(Counter(segment.key for segment in witness.pulled).values(), default=1) == 1
    assert {worker for _, worker, _ in witness.said} <= {f"worker-{n}" for n in range(parallel)}
    stopped = set()
    heard: dict[tuple[int, int], tuple[float, int]] = {}
    for when, _, what in witness.said:
        if isinstance(what, Segment):
            heard[what.key] = (when, what.start)
            continue
        key = (what.trial, what.segment)
        before, resource = heard[key]
        if isinstance(what, Report):
            assert key not in stopped, "a trial that was told to stop works no more"
            assert what.resource > resource, "reports rise"
            assert when - before >= what.seconds - 1e-9, "a report comes when its stretch has passed"
            heard[key] = (when, what.resource)
            if witness.decisions[witness.reports.index(what)] is not Decision.CONTINUE:
                stopped.add(key)
        elif isinstance(what, SegmentEnd) and key in stopped:
            assert what.ending in (Ending.STOPPED, Ending.FAILED, Ending.LOST)


@given(
    durations=st.lists(st.integers(1, 20), min_size=1, max_size=15),
    parallel=st.integers(1, 6),
)
def test_full_trainings_are_list_scheduling(durations, parallel):
    """Without stops the next trial goes to the worker that is free first: the makespan of greedy list scheduling."""
    formula = Formula(seconds=lambda trial, config: float(durations[trial]))
    parts = {"scheduler": {"name": "none", "max_resource": 9}, "budget": {"trials": len(durations)}}
    witness = replay(formula, parallel=parallel, **parts)
    free = [0.0] * parallel
    expected = []
    for trial, duration in enumerate(durations):
        worker = free.index(min(free))
        expected.append((free[worker], f"worker-{worker}", trial))
        free[worker] += 9.0 * duration
    assert witness.begun() == expected
    assert witness.said[-1][0] == max(free)


@given(st.data())
@settings(max_examples=40)
def test_tables_of_any_space_come_back_from_their_file(data):
    space = data.draw(search_spaces())
    listed = data.draw(st.lists(configs(space), min_size=1, max_size=5))
    info = TableInfo(space, Metric(name="loss"), "epoch", "a:b")
    made = CurveTable(info, listed, [curve_of_units({"loss": np.arange(3.0)})] * len(listed))
    with tempfile.TemporaryDirectory() as folder:
        made.save(Path(folder) / "t.parquet")
        read = CurveTable.load(Path(folder) / "t.parquet")
    assert read.info.space == space
    assert [repr(config) for config in read.configs] == [repr(config) for config in listed]


@given(st.data())
@settings(max_examples=40)
def test_a_lookup_is_the_nearest_of_all(data):
    """Against the same distance, one pair after the other."""
    space = data.draw(search_spaces())
    listed = data.draw(st.lists(configs(space), min_size=1, max_size=6))
    asked = data.draw(configs(space))
    made = CurveTable(
        TableInfo(space, Metric(name="loss"), "epoch", "a:b"),
        listed,
        [curve_of_units({"loss": np.arange(3.0)})] * len(listed),
    )
    session = made.session()
    session.curve(0, asked, reach=3)
    slow = [math.sqrt(sum(apart(space[name], asked, config, name) ** 2 for name in space)) for config in listed]
    assert session.distances[0] == pytest.approx(min(slow))
    assert slow[session.rows[0]] == pytest.approx(min(slow))


def apart(axis, one, other, name):
    if name not in one or name not in other:
        return float((name in one) != (name in other))
    here, there = one[name], other[name]
    if isinstance(axis, Choice):
        return float(axis.index(here) != axis.index(there))
    if here is None or there is None:
        return float((here is None) != (there is None))
    return abs(axis.to_unit(here) - axis.to_unit(there)) / (0.9 if axis.none else 1.0)
