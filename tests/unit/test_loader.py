"""The loader: the same batches for any number of workers, failures that end, and nothing left behind."""

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset, IterableDataset

from tuner.errors import DataError, TrialFailed
from tuner.training import loader
from tuner.training.loader import LoaderSource

CPU = torch.device("cpu")
ROWS = [torch.tensor([3, 1, 4]), torch.tensor([0, 5, 2]), torch.tensor([7, 6])]


class Noisy(Dataset):
    """A row's input: its number and a draw from each of the global generators."""

    def __len__(self):
        return 8

    def __getitem__(self, row):
        draws = [random.random(), np.random.random(), torch.rand(()).item()]
        return torch.tensor([float(row), *draws]), row


class Troubled(Dataset):
    """Rows from 4 on make the trouble that was asked for."""

    def __init__(self, trouble, folder=None):
        self.trouble = trouble
        self.folder = folder

    def __len__(self):
        return 8

    def __getitem__(self, row):
        if row >= 4:
            match self.trouble:
                case "hangs":
                    time.sleep(60)
                case "slow":
                    time.sleep(1.3)
                case "dies":
                    os.kill(os.getpid(), signal.SIGKILL)
                case "raises":
                    raise RuntimeError("timed out: row of cheese")
                case "memory":
                    raise MemoryError("too much cheese")
                case "ragged":
                    return torch.zeros(row), 0
                case "no pair":
                    return torch.zeros(2)
        return torch.zeros(2), 0.5


def source(dataset, workers, **options):
    return LoaderSource(dataset, CPU, seed=11, workers=workers, **options)


def inputs(loaded, rows=ROWS, epoch=1):
    return torch.cat([batch.inputs for batch in loaded.batches(rows, epoch)])


def children():
    return {child.pid for child in multiprocessing.active_children()}


@pytest.fixture(scope="module")
def expected():
    return {epoch: inputs(source(Noisy(), 0), epoch=epoch) for epoch in (1, 2)}


def test_rows_come_in_the_order_asked_for_with_their_targets():
    batches = list(source(Noisy(), 0).batches(ROWS, 1))
    assert [batch.targets.tolist() for batch in batches] == [[3, 1, 4], [0, 5, 2], [7, 6]]
    assert [batch.inputs[:, 0].tolist() for batch in batches] == [[3, 1, 4], [0, 5, 2], [7, 6]]
    assert batches[0].targets.dtype == torch.int64
    assert len(source(Noisy(), 0)) == 8


def test_a_number_becomes_torchs_default_float():
    (batch,) = source(Troubled(None), 0).batches([torch.tensor([0, 1])], 1)
    assert batch.targets.dtype == torch.float32


def test_draws_differ_between_rows_and_epochs_and_seeds(expected):
    draws = torch.cat([expected[1][:, 1:].flatten(), expected[2][:, 1:].flatten()])
    assert len(draws.unique()) == len(draws)
    other = torch.cat([b.inputs for b in LoaderSource(Noisy(), CPU, seed=12, workers=0).batches(ROWS, 1)])
    assert not (other[:, 1:] == expected[1][:, 1:]).any()


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_draws_belong_to_seed_epoch_and_row_alone(expected, workers):
    loaded = source(Noisy(), workers)
    before = children()
    assert inputs(loaded, epoch=1).equal(expected[1])
    pids = children() - before
    assert len(pids) == workers
    assert inputs(loaded, ROWS[1:], epoch=2).equal(expected[2][3:]), "begun in the middle"
    assert inputs(loaded, ROWS[::-1], epoch=2)[:2].equal(expected[2][-2:]), "in another order"
    assert children() - before == pids, "the workers stay"
    loaded.close()
    assert children() == before
    assert inputs(loaded, epoch=1).equal(expected[1]), "used again"
    loaded.close()


def test_in_process_the_global_generators_are_put_back():
    def draws():
        return random.random(), np.random.random(), torch.rand(()).item()

    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    first = draws()
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.set_rng_state(states[2])
    iterator = source(Noisy(), 0).batches(ROWS, 1)
    next(iterator)
    assert draws() == first
    iterator.close()
    with pytest.raises(TrialFailed):
        list(source(Troubled("raises"), 0).batches(ROWS, 1))
    torch.set_rng_state(states[2])
    assert torch.rand(()).item() == first[2]


def test_workers_do_not_move_the_global_generators():
    state = torch.get_rng_state()
    loaded = source(Noisy(), 1)
    list(loaded.batches(ROWS, 1))
    list(loaded.batches(ROWS, 2))
    loaded.close()
    assert torch.get_rng_state().equal(state)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_iteration_left_half_way_leaves_nothing_behind(expected, workers):
    before = children()
    loaded = source(Noisy(), workers)
    iterator = loaded.batches(ROWS, 1)
    next(iterator)
    iterator.close()
    assert children() == before
    assert inputs(loaded, epoch=2).equal(expected[2])
    loaded.close()
    assert children() == before


@pytest.mark.parametrize("workers", [0, 1])
def test_iterations_may_overlap(expected, workers):
    loaded = source(Noisy(), workers)
    outer = loaded.batches(ROWS, 1)
    first = next(outer).inputs
    assert inputs(loaded, epoch=2).equal(expected[2])
    assert torch.cat([first, *(batch.inputs for batch in outer)]).equal(expected[1])
    loaded.close()


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(
    ("trouble", "kind", "says"),
    [
        ("raises", "exception", "at row 4: RuntimeError: timed out: row of cheese"),
        ("memory", "out of memory", "at row 4: MemoryError: too much cheese"),
        ("ragged", "exception", "do not make a batch: RuntimeError: stack expects"),
        ("no pair", "exception", r"must be a pair \(input, target\), got Tensor"),
    ],
)
def test_what_the_dataset_raises_keeps_its_message(workers, trouble, kind, says):
    before = children()
    with pytest.raises(TrialFailed, match=says) as caught:
        list(source(Troubled(trouble), workers).batches([torch.tensor([0]), torch.tensor([1, 4, 5])], 1))
    assert caught.value.kind == kind
    if trouble == "raises":
        assert "test_loader.py" in caught.value.details
    assert children() == before


def test_a_worker_that_dies_is_noticed_soon():
    before = children()
    started = time.monotonic()
    with pytest.raises(TrialFailed, match="has died") as caught:
        list(source(Troubled("dies"), 1).batches([torch.tensor([0]), torch.tensor([4])], 1))
    assert caught.value.kind == "worker lost"
    assert time.monotonic() - started < 30
    assert children() == before


@pytest.mark.slow  # torch gives a worker 5 s to end by itself
def test_a_worker_that_hangs_ends_in_a_time_out():
    before = children()
    started = time.monotonic()
    with pytest.raises(TrialFailed, match="no batch was loaded within 2 s") as caught:
        list(source(Troubled("hangs"), 1, timeout=2.0).batches([torch.tensor([0]), torch.tensor([4])], 1))
    assert caught.value.kind == "timeout"
    assert time.monotonic() - started < 30
    assert children() == before


def test_a_row_slower_than_a_look_but_within_the_time_out_is_waited_for(monkeypatch):
    monkeypatch.setattr(loader, "LOOK_SECONDS", 0.2)
    loaded = source(Troubled("slow"), 1, timeout=30.0)
    assert len(list(loaded.batches([torch.tensor([0]), torch.tensor([4]), torch.tensor([1])], 1))) == 3
    loaded.close()


def test_a_dataset_that_cannot_be_sent_is_told():
    class Local(Noisy):
        pass

    with pytest.raises(DataError, match="cannot be sent to loader processes") as caught:
        list(source(Local(), 1).batches(ROWS, 1))
    assert "loader_workers: 0" in str(caught.value)
    assert len(inputs(source(Local(), 0))) == 8


def test_an_iterable_dataset_is_refused():
    class Stream(IterableDataset):
        def __iter__(self):
            return iter([])

    with pytest.raises(DataError, match="map-style"):
        source(Stream(), 0)


KILLED = """
import multiprocessing, os, signal, torch
from torch.utils.data import TensorDataset
from tuner.training.loader import LoaderSource

if __name__ == "__main__":
    rows = TensorDataset(torch.zeros(9, 2), torch.zeros(9))
    iterator = LoaderSource(rows, torch.device("cpu"), seed=0, workers=2).batches(torch.arange(9).split(1), 0)
    next(iterator)
    print(*[child.pid for child in multiprocessing.active_children()], flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def is_running(pid):
    """Not so for a process that is gone, or a zombie that nobody has buried."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow  # starts a process that imports torch
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up in /proc")
def test_workers_end_when_their_process_is_killed(tmp_path):
    script, said = tmp_path / "killed.py", tmp_path / "pids"
    script.write_text(KILLED)
    with said.open("w") as file:
        ended = subprocess.run([sys.executable, str(script)], stdout=file, stderr=subprocess.DEVNULL, timeout=60)
    assert ended.returncode == -signal.SIGKILL
    pids = [int(pid) for pid in said.read_text().split()]
    assert len(pids) == 2
    deadline = time.monotonic() + 10
    while any(is_running(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(is_running(pid) for pid in pids)
