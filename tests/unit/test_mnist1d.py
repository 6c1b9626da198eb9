"""MNIST-1D: the published signals, how they are split, and that each network learns what it should."""

import numpy as np
import pytest
import torch
from hand_trial import first_config, study_of, trained

from objectives.data import mnist1d as source
from objectives.mnist1d import MEAN, STD, Mnist1d
from tuner.errors import SpecError
from tuner.objective import load_objective
from tuner.workflows.fit import check_fit

# Of the data set that the package mnist1d 0.0.2.post1 makes with its defaults.
PUBLISHED_FIRST = [-0.33200567, -0.47191037, -0.77869708, -1.00974083, -0.88235257, 0.10393481]
PUBLISHED_LAST = [-0.39591055, -0.09864609, 0.44723289, 0.65987565, 0.87773435, 1.19315184]
PUBLISHED_LABELS = [2, 6, 4, 5, 6, 6, 6, 0, 3, 1, 6, 9, 4, 3, 4, 5, 1, 9, 0, 3]


@pytest.fixture(scope="module")
def splits():
    return Mnist1d().data()


def test_the_signals_are_the_published_ones():
    (training, labels), (test, test_labels) = source.training_signals(), source.test_signals()
    signals = np.concatenate([training, test]).astype(float)
    published = (signals - signals.mean()) / signals.std()
    assert published.shape == (5000, 40)
    assert published[0, :6] == pytest.approx(PUBLISHED_FIRST, abs=1e-6)
    assert published[-1, -6:] == pytest.approx(PUBLISHED_LAST, abs=1e-6)
    assert labels[:20].tolist() == PUBLISHED_LABELS
    assert np.bincount(np.concatenate([labels, test_labels])).tolist() == [500] * 10


def test_numpys_global_state_is_left_alone():
    source._all_signals.cache_clear()
    before = np.random.get_state()[1].copy()
    source.training_signals()
    assert np.array_equal(np.random.get_state()[1], before)


def test_the_last_800_training_signals_choose_and_the_test_is_not_touched(splits):
    signals, labels = source.training_signals()
    assert [len(split[0]) for split in splits[:2]] == [3200, 800]
    assert np.array_equal(torch.cat([splits.train[0], splits.validation[0]]).numpy(), signals)
    assert np.array_equal(torch.cat([splits.train[1], splits.validation[1]]).numpy(), labels)
    held_out = {signal.tobytes() for signal in source.test_signals()[0]}
    assert len(held_out) == 1000
    assert not held_out & {signal.numpy().tobytes() for split in splits[:2] for signal in split[0]}


def test_statistics_are_the_training_splits_alone(splits):
    points = splits.train[0].double()
    assert (points.mean().item(), points.std(correction=0).item()) == pytest.approx((MEAN, STD), abs=1e-6)
    prepared = Mnist1d().prepare(splits.train[0])
    assert prepared.shape == (3200, 1, 40)
    assert (prepared.mean().item(), prepared.std().item()) == pytest.approx((0, 1), abs=1e-3)


def test_a_change_to_a_tasks_tensors_does_not_reach_the_next_one(splits):
    other = Mnist1d().data()
    other.train[0].zero_()
    assert Mnist1d().data().train[0].abs().sum() > 0


def test_difficulty_is_lowest_for_a_signal_that_is_its_classs_mean(splits):
    inputs, targets = splits.train
    zeros = targets == 0
    mean = inputs[zeros].mean(0)
    found = Mnist1d().difficulty(inputs, targets)
    assert found[zeros].tolist() == pytest.approx((inputs[zeros] - mean).norm(dim=1).tolist(), rel=1e-4)


@pytest.mark.parametrize("wrong", [{"model": "rnn"}, {"model": 3}, {"width": 0}, {"dropout": -0.1}, {"layers": 6}])
def test_a_wrong_value_is_named(wrong):
    with pytest.raises(SpecError) as error:
        Mnist1d().model(wrong)
    assert error.value.path == next(iter(wrong))


def test_the_gru_reads_both_ways_and_drops_between_layers_only_where_there_are_two():
    one, two = (Mnist1d().model({"model": "gru", "layers": n, "dropout": 0.3, "width": 8}) for n in (1, 2))
    assert (one.gru.bidirectional, one.gru.dropout, two.gru.dropout) == (True, 0.0, 0.3)
    signals = torch.randn(4, 1, 40)
    one.eval()
    states = one.gru(signals.transpose(1, 2))[0]
    assert torch.equal(one(signals), one.head[2](states.flatten(1)))


def accuracy(config, epochs):
    return trained(Mnist1d(), config, epochs)["val_accuracy"]


def test_the_file_fits_its_task():
    spec = study_of("mnist1d")
    assert isinstance(load_objective(spec.objective), Mnist1d)
    check_fit(spec, load_objective(spec.objective))


def test_a_third_of_the_studys_training_is_enough_for_90_percent():
    assert accuracy(first_config(study_of("mnist1d")), 9) >= 0.9


@pytest.mark.slow
def test_the_networks_stand_in_the_papers_order():
    config = first_config(study_of("mnist1d"))
    own = {"cnn": {}, "gru": {"width": 32}, "mlp": {"width": 128, "norm": "none"}}
    found = {model: accuracy(config | {"model": model} | more, 27) for model, more in own.items()}
    assert found["cnn"] >= 0.95
    assert 0.85 <= found["gru"] < found["cnn"]
    assert 0.5 <= found["mlp"] < found["gru"]
