"""The recorded table of MNIST that ships with the repository."""

import hashlib
from collections import Counter

import numpy as np
import pytest
from hand_trial import ROOT, study_of

from tuner.execution.simulated import CurveTable

PATH = ROOT / "benchmarks" / "tables" / "mnist.parquet"
METRICS = ("val_loss", "val_accuracy", "train_loss", "train_eval_loss")
CONTENT = "fea372e6d984e5f27862ab076e09e96dc5be6554561666f12de23370cf407f8d"


@pytest.fixture(scope="module")
def spec():
    return study_of("mnist")


@pytest.fixture(scope="module")
def table():
    return CurveTable.load(PATH)


@pytest.fixture(scope="module")
def values(table):
    """{metric: (configurations, epochs)}, the seconds among them."""
    found = {name: np.stack([curve.metrics[name] for curve in table.curves]) for name in table.metrics}
    return found | {"seconds": np.stack([curve.seconds for curve in table.curves])}


def test_it_is_small_and_is_what_was_recorded(table, values):
    assert PATH.stat().st_size < 1_000_000
    content = hashlib.sha256(repr([sorted(config.items()) for config in table.configs]).encode())
    for name in sorted(values):
        content.update(values[name].astype("<f4").tobytes())
    assert content.hexdigest() == CONTENT


def test_it_is_of_the_study_that_ships(table, spec):
    info = table.info
    assert (info.objective, info.metric, info.unit) == (spec.objective, spec.metric, spec.scheduler.unit)
    assert dict(info.space) == dict(spec.space)
    assert info.space.fixed == spec.space.fixed
    for config in table.configs:
        spec.space.check(config)


def test_every_curve_is_full(table, values):
    assert len(table) == 4096
    assert table.metrics == METRICS
    assert table.rows_reaching(9) == 4096
    assert {array.shape for array in values.values()} == {(4096, 9)}
    assert all(np.isfinite(array).all() for array in values.values())


def test_it_covers_the_space_evenly(table, spec):
    counts = Counter(config["batch_size"] for config in table.configs)
    assert counts == dict.fromkeys(spec.space["batch_size"].values, 1024)
    off = sum(config["clip_norm"] is None for config in table.configs)
    assert off / 4096 == pytest.approx(0.1, abs=0.005)
    for name in ("lr", "weight_decay", "warmup", "clip_norm"):
        axis = spec.space[name]
        given = sorted(axis.to_unit(config[name]) for config in table.configs if config[name] is not None)
        even = np.linspace(0.1 if axis.none else 0, 1, len(given))
        assert np.abs(given - even).max() < 0.005  # 0.02 is usual for as many random points


def test_no_configuration_stands_in_it_twice(table):
    assert len({tuple(sorted(config.items(), key=str)) for config in table.configs}) == 4096


def test_the_numbers_are_those_of_mnist(table, values):
    last = {name: array[:, -1] for name, array in values.items()}
    assert 0.05 < last["val_loss"].min() < 0.065
    assert 0.98 < last["val_accuracy"].max() < 0.99
    assert values["val_accuracy"].min() >= 0
    learned = last["val_loss"] < 0.3
    assert 0.5 < learned.mean() < 0.8
    assert (last["val_accuracy"][learned] > 0.9).all()
    rates = np.array([config["lr"] for config in table.configs])
    assert np.median(last["val_loss"][rates > 0.3]) == pytest.approx(np.log(10), abs=0.01)  # no better than guessing
    assert 3e-4 < np.median(rates[np.argsort(last["val_loss"])[:40]]) < 3e-3


def test_an_epoch_takes_as_long_as_its_batch_size_was_measured_to(table, values):
    sizes = np.array([config["batch_size"] for config in table.configs])
    by_size = [values["seconds"][sizes == size] for size in (32, 64, 128, 256)]
    assert all((seconds == seconds[0]).all() for seconds in by_size)
    usual = [np.median(seconds[0]) for seconds in by_size]
    assert usual == sorted(usual, reverse=True)
    assert 0.01 < usual[-1] < usual[0] < 1
