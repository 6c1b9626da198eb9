"""Tables of curves: what they answer, their file, and what is no such file."""

from __future__ import annotations

import json
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from replays import FULL, replay

from tuner.errors import UserMistake
from tuner.execution.simulated import (
    Curve,
    Curves,
    CurveTable,
    SimulatedExecutor,
    TableInfo,
    TableSession,
    curve_of_units,
)
from tuner.space import Choice, Float, Int, SearchSpace
from tuner.spec import Metric

LINE = SearchSpace({"x": Float(0.0, 1.0)})
MIXED = SearchSpace(
    {
        "kind": Choice(("sgd", "adam", None, 3, True)),
        "lr": Float(1e-4, 1.0, log=True),
        "clip": Float(0.1, 10.0, log=True, none=True),
        "momentum": Float(0.0, 0.9, when={"kind": ("sgd",)}),
        "layers": Int(1, 4),
    },
    {"schedule": "cosine"},
)


def info(space=LINE):
    return TableInfo(space, Metric(name="loss"), "epoch", "a:b", "2026-11-24T00:00:00+00:00", {"torch": "2"}, "by hand")


def falling(start, n=9, **more):
    return curve_of_units({"loss": start / np.arange(1, n + 1), **more})


def table(*xs, n=9):
    return CurveTable(info(), [{"x": x} for x in xs], [falling(x, n) for x in xs])


def test_each_trial_gets_the_nearest_row_that_no_other_has():
    session = table(0.1, 0.2, 0.5, 0.9).session()
    rows = {0: 0.18, 1: 0.19, 2: 0.21, 3: 0.85, 4: 0.86}
    for trial, x in rows.items():
        session.curve(trial, {"x": x}, reach=9)
    assert session.rows == {0: 1, 1: 0, 2: 2, 3: 3, 4: 3}, "when all are taken, the nearest"
    assert session.distances == pytest.approx({0: 0.02, 1: 0.09, 2: 0.29, 3: 0.05, 4: 0.04})
    assert session.curve(2, {"x": 0.21}, reach=9) is session.curve(2, {"x": 0.21}, reach=3), "a trial keeps its row"


def test_a_new_session_remembers_nothing():
    kept = table(0.1, 0.2)
    first, second = kept.session(), kept.session()
    assert first.curve(0, {"x": 0.1}, 9) is second.curve(5, {"x": 0.1}, 9)


def test_of_equally_near_rows_the_first():
    session = table(0.25, 0.75, 0.25).session()
    session.curve(0, {"x": 0.5}, 9)
    session.curve(1, {"x": 0.25}, 9)
    assert session.rows == {0: 0, 1: 2}


def test_only_rows_that_go_so_far_answer_or_that_have_ended():
    nan = curve_of_units({"loss": np.array([0.5, np.nan])})
    early = Curve(np.arange(1, 4), {"loss": np.ones(3)}, np.ones(3), over=True)
    configs = [{"x": x} for x in (0.5, 0.45, 0.6, 0.9)]
    mixed = CurveTable(info(), configs, [falling(1.0, 3), nan, early, falling(1.0, 9)])
    assert [mixed.rows_reaching(resource) for resource in (1, 3, 4, 9, 10)] == [4, 4, 3, 3, 2]
    session = mixed.session()
    for trial in range(4):
        session.curve(trial, {"x": 0.5}, reach=9)
    assert session.rows == {0: 1, 1: 2, 2: 3, 3: 1}
    assert mixed.session().curve(0, {"x": 0.5}, reach=3) is mixed.curves[0]
    with pytest.raises(UserMistake, match=r"goes as far as epoch 4: the longest ends at 3"):
        table(0.1, n=3).session().curve(0, {"x": 0.1}, reach=4)


@pytest.mark.parametrize(
    ("config", "square"),
    [
        ({"kind": "adam", "lr": 1e-2, "clip": 1.0, "layers": 2}, 0.0),
        ({"kind": "adam", "lr": 1.0 - 1e-12, "clip": 1.0, "layers": 2}, 0.25),
        ({"kind": 3, "lr": 1e-2, "clip": 1.0, "layers": 2}, 1.0),
        ({"kind": True, "lr": 1e-2, "clip": 1.0, "layers": 4}, 1.0 + 0.5**2),
        ({"kind": "adam", "lr": 1e-2, "clip": None, "layers": 2}, 1.0),
        ({"kind": "adam", "lr": 1e-2, "clip": 0.1, "layers": 2}, 0.25),
        ({"kind": "sgd", "lr": 1e-2, "clip": 1.0, "momentum": 0.5, "layers": 2}, 2.0),
    ],
)
def test_distances(config, square):
    here = {"schedule": "cosine", "kind": "adam", "lr": 1e-2, "clip": 1.0, "layers": 2}
    session = CurveTable(info(MIXED), [here], [falling(1.0)]).session()
    session.curve(0, {"schedule": "cosine", **config}, reach=9)
    assert session.distances[0] ** 2 == pytest.approx(square, abs=1e-9)


def test_a_file_holds_all_of_it(tmp_path):
    rng = np.random.default_rng(0)
    configs = [MIXED.from_unit(rng.random(5).tolist()) for _ in range(60)]
    assert any(config["clip"] is None for config in configs)
    curves = []
    for row in range(60):
        n = int(rng.integers(1, 9))
        metrics = {"loss": rng.random(n).astype(np.float32), "acc": rng.random(n)}
        curves.append(Curve(np.arange(1, n + 1) * 2, metrics, rng.random(n), over=row % 7 == 0))
    curves[3].metrics["loss"][-1] = np.nan
    made = CurveTable(info(MIXED), configs, curves)
    made.save(tmp_path / "t.parquet")
    read = CurveTable.load(tmp_path / "t.parquet")
    assert (read.info, read.configs) == (made.info, made.configs)
    assert [type(value) for config in read.configs for value in config.values()] == [
        type(value) for config in made.configs for value in config.values()
    ]
    for ours, theirs in zip(made.curves, read.curves, strict=True):
        np.testing.assert_array_equal(ours.resources, theirs.resources)
        np.testing.assert_array_equal(ours.seconds, theirs.seconds)
        assert ours.over == theirs.over
        for name in ("loss", "acc"):
            np.testing.assert_array_equal(ours.metrics[name], theirs.metrics[name])
            assert ours.metrics[name].dtype == theirs.metrics[name].dtype
    assert isinstance(read, Curves)
    assert (read.metrics, read.unit) == (("loss", "acc"), "epoch")


def test_the_file_is_a_plain_table(tmp_path):
    """Anyone can read it: a column per axis and metric, a row per configuration and resource."""
    table(0.25, 0.5, n=3).save(tmp_path / "t.parquet")
    frame = pq.read_table(tmp_path / "t.parquet").to_pandas()
    assert list(frame) == ["row", "resource", "config.x", "metric.loss", "seconds"]
    assert frame["config.x"].tolist() == [0.25] * 3 + [0.5] * 3
    assert frame["resource"].tolist() == [1, 2, 3] * 2


def broken(path, change):
    """A table's file with something changed."""
    table(0.25, 0.5, n=3).save(path)
    columns = pq.read_table(path)
    described = json.loads(columns.schema.metadata[b"tuner.curves"])
    columns, described = change(columns, described)
    pq.write_table(columns.replace_schema_metadata({b"tuner.curves": json.dumps(described).encode()}), path)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda columns, described: (columns.drop_columns(["seconds"]), described), "seconds"),
        (lambda columns, described: (columns.drop_columns(["config.x"]), described), "config.x"),
        (lambda columns, described: (columns.drop_columns(["metric.loss"]), described), "no metric 'loss'"),
        (lambda columns, described: (columns.take([0, 3, 1]), described), "not in order"),
        (lambda columns, described: (columns.take([1, 0]), described), "resources must rise"),
        (lambda columns, described: (columns.slice(0, 0), described), "needs configurations"),
        (lambda columns, described: (columns, described | {"format": 99}), "format 99 where 1 is known"),
        (lambda columns, described: (columns, described | {"space": {"x": {"float": [1, 0]}}}), "low"),
        (lambda columns, described: (columns, described | {"space": {"x": {"float": [0.4, 1]}}}), "0.25"),
        (lambda columns, described: (columns, {"format": 1}), "space"),
        (lambda columns, described: (columns, "tables"), "its description is 'tables'"),
        (
            lambda columns, described: (columns.set_column(4, "seconds", [pa.array([math.nan] * 6)]), described),
            "seconds must be finite",
        ),
        (
            lambda columns, described: (columns.set_column(4, "seconds", [pa.array(["slow"] * 6)]), described),
            "column seconds holds no numbers, but string",
        ),
    ],
)
def test_what_is_no_table_is_one_clear_mistake(tmp_path, change, why):
    path = tmp_path / "t.parquet"
    broken(path, change)
    with pytest.raises(UserMistake, match=why) as caught:
        CurveTable.load(path)
    assert caught.value.message.startswith(f"{path} is not a table of curves: ")


def test_other_files(tmp_path):
    with pytest.raises(UserMistake, match="there is no table at"):
        CurveTable.load(tmp_path / "none.parquet")
    with pytest.raises(UserMistake, match="there is no table at"):
        CurveTable.load(tmp_path)
    (tmp_path / "text").write_text("x,loss\n1,2\n")
    pq.write_table(pa.table({"row": [0]}), tmp_path / "plain")
    for name in ("text", "plain"):
        with pytest.raises(UserMistake, match="is not a table of curves"):
            CurveTable.load(tmp_path / name)


def test_what_makes_no_table():
    with pytest.raises(UserMistake, match="got 0 configurations and 0 curves"):
        CurveTable(info(), [], [])
    with pytest.raises(UserMistake, match="the same metrics, here loss"):
        CurveTable(info(), [{"x": 0.1}, {"x": 0.2}], [falling(1.0), falling(1.0, acc=np.ones(9))])
    with pytest.raises(UserMistake, match=r"2\.0 is not a value"):
        CurveTable(info(), [{"x": 2.0}], [falling(1.0)])
    for resources, seconds in (([0, 1], [1, 1]), ([2, 2], [1, 1]), ([1, 2], [1]), ([1, 2], [1, -1])):
        with pytest.raises(ValueError, match=r"resources|seconds"):
            Curve(np.array(resources), {"loss": np.ones(2)}, np.array(seconds))


def test_a_study_on_a_table_sees_its_curves():
    kept = table(*np.linspace(0, 1, 50).tolist())
    executor = SimulatedExecutor()
    witness = replay(kept, parallel=4, executor=executor, scheduler=FULL, budget={"trials": 50})
    assert sorted(trial.loss for trial in witness.controller.trials) == pytest.approx(
        sorted(curve.metrics["loss"][-1] for curve in kept.curves)
    ), "50 trials use up 50 rows"
    assert isinstance(executor.session, TableSession)
    assert {
        trial: abs(kept.configs[row]["x"] - witness.controller.trials[trial].config["x"])
        for trial, row in executor.session.rows.items()
    } == pytest.approx(executor.session.distances)
