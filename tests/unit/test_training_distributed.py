"""One trial on two processes does what one process does: weights, metrics, resuming."""

import pytest
import torch
from hand_trial import HandTrial
from rank_tasks import Points

from tuner.errors import SpecError, StopTrial
from tuner.training import train
from tuner.training.distributed import n_ranks
from tuner.training.settings import DistributedSettings

CONFIG = {"batch_size": 32, "lr": 0.01, "clip_norm": 1.0, "schedule": "cosine"}
EPOCHS = 7
"""Of 3 steps each: 32, 32 and 25 samples, of which rank 0 has 13 and rank 1 has 12."""
UNLIKE = {"seconds", "samples_per_second", "data_wait"}


class Stopped(HandTrial):
    """Is stopped at its first report."""

    def report(self, resource, /, **options):
        super().report(resource, **options)
        raise StopTrial


def run(config, folder, until=EPOCHS, kind=HandTrial, **options):
    trial = kind(until, folder=folder, **options)
    train(Points(), config, trial)
    return trial


@pytest.mark.parametrize(
    "extra", [{"micro_batch": 5}, pytest.param({"optimizer": "sgd", "batch_size": 11}, marks=pytest.mark.slow)]
)
def test_two_ranks_train_what_one_process_trains(tmp_path, extra):
    alone, together = (run(CONFIG | extra | {"ranks": n}, tmp_path) for n in (1, 2))
    for name, weights in alone.kept["model"].items():
        torch.testing.assert_close(together.kept["model"][name], weights, rtol=1e-5, atol=1e-5)
    for resource, metrics in alone.reports.items():
        other = together.reports[resource]
        assert other.keys() == metrics.keys()
        for name in metrics.keys() - UNLIKE:
            assert other[name] == pytest.approx(metrics[name], rel=1e-4, abs=1e-5), name


@pytest.mark.slow
def test_a_resumed_trial_of_two_ranks_is_the_uninterrupted_one(tmp_path):
    config = CONFIG | {"ranks": 2, "averaging": "ema", "mixup": 0.2}
    whole = run(config, tmp_path)
    first = run(config, tmp_path, until=3, horizon=EPOCHS)
    second = run(config, tmp_path, start=3, checkpoint=first.kept)
    assert second.kept["optimizer"].keys() == whole.kept["optimizer"].keys()
    for name, weights in whole.kept["model"].items():
        assert torch.equal(second.kept["model"][name], weights), name
    for name in whole.last.keys() - UNLIKE:
        assert second.last[name] == whole.last[name], name


def test_stop_trial_ends_all_ranks(tmp_path):
    trial = Stopped(EPOCHS, folder=tmp_path)
    with pytest.raises(StopTrial):
        train(Points(), CONFIG | {"ranks": 2}, trial)
    assert list(trial.reports) == [1]


class Gpus:
    device, gpus = "cuda", 2


def test_as_many_ranks_as_gpus_unless_said_otherwise():
    assert n_ranks(DistributedSettings(), Gpus()) == 2
    assert n_ranks(DistributedSettings(ranks=1), Gpus()) == 1
    with pytest.raises(SpecError, match=r"ranks: 3 ranks, but the worker has 2 GPUs"):
        n_ranks(DistributedSettings(ranks=3), Gpus())
