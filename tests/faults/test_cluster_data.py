"""Data on a cluster: put once, sent to a node once, fetched once a node, prepared once a worker, never once a trial."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from executor_objectives import Curve
from executors import play
from rank_tasks import Points
from test_cluster_study import cluster_of_one

from tuner.errors import DataError, RunFailed
from tuner.execution import Job
from tuner.execution.ray.parcel import SHARED_FROM, pack, unpack

ELSEWHERE = {"resources": {"cpus": 2}}
"""For workers that the driver's node is too small for."""


def note(folder, what):
    """Leave a line behind: what happened, in which process, on which node."""
    import ray

    with (Path(folder) / what).open("a") as file:
        file.write(f"{ray.get_runtime_context().get_node_id()} {os.getpid()}\n")


def noted(folder, what):
    path = Path(folder) / what
    return path.read_text().splitlines() if path.exists() else []


def mapped_file(address):
    """The file whose mapping holds an address of this process."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        start, _, end = line.split()[0].partition("-")
        if int(start, 16) <= address < int(end, 16):
            return line.split(maxsplit=5)[5] if len(line.split(maxsplit=5)) > 5 else ""
    raise AssertionError("no such address")


class Remembers:
    """Holds a large array and a small one, and says where they are."""

    def __init__(self, folder):
        self.folder = folder
        self.large = np.arange(SHARED_FROM // 8, dtype=np.float64)
        self.small = np.zeros(10)

    def __setstate__(self, state):
        self.__dict__.update(state)
        note(self.folder, "loads")

    def __call__(self, config, trial):
        note(self.folder, "segments")
        assert "plasma" in mapped_file(self.large.ctypes.data)
        with pytest.raises(ValueError, match="read-only"):
            self.large[0] = 1.0
        self.small[0] = 1.0
        assert self.large.sum() == np.arange(SHARED_FROM // 8).sum()
        for epoch in range(trial.start + 1, trial.until + 1):
            time.sleep(0.05)
            trial.report(epoch, checkpoint={}, loss=config["x"])


class Fetched(Points):
    """Says when its data is fetched, and when it is made."""

    def __init__(self, folder):
        self.folder = str(folder)

    def fetch(self):
        note(self.folder, "fetches")

    def data(self):
        note(self.folder, "data")
        return super().data()


class CannotBeFetched(Fetched):
    def fetch(self):
        raise DataError("the mirror is down")


def test_a_parcel_is_the_job_again_and_only_what_is_large_is_shared(tmp_path, monkeypatch):
    monkeypatch.setattr("test_cluster_data.note", lambda *_: None)
    parcel = pack(Job("hand", Remembers(tmp_path), "loss", tmp_path))
    assert [array.nbytes for array in parcel.arrays] == [SHARED_FROM]
    assert len(parcel.pickled) < 10_000
    job = unpack(parcel)
    assert (job.study, job.folder) == ("hand", tmp_path)
    assert np.shares_memory(job.objective.large, parcel.arrays[0])
    assert job.objective.small.flags.writeable


def play_on_two_nodes(tmp_path, objective, folder=None, **parts):
    (tmp_path / "study").mkdir()
    with cluster_of_one() as cluster:
        from tuner.execution.ray.executor import RayTuneExecutor

        cluster.add_node(num_cpus=2)
        executor = RayTuneExecutor(cluster.address)
        try:
            executor.check(Job("hand", objective, "loss", tmp_path))
            folder = tmp_path / "study" if folder is None else folder
            return play(executor, folder, objective, parallel=3, **parts)
        finally:
            executor.close()


@pytest.mark.slow
def test_an_array_is_on_a_node_once_and_unpickled_once_a_worker(tmp_path):
    recorder = play_on_two_nodes(tmp_path, Remembers(tmp_path), budget={"trials": 20})
    assert all(trial.failure is None for trial in recorder.controller.trials)
    segments, loads = noted(tmp_path, "segments"), noted(tmp_path, "loads")
    assert len({line.split()[0] for line in segments}) == 2, "both nodes had work"
    assert set(Counter(loads).values()) == {1}
    assert len(loads) <= 3 < 20 <= len(segments)


@pytest.mark.slow
def test_a_task_is_fetched_once_a_node_and_its_data_is_made_once_a_worker(tmp_path):
    metric, space = {"name": "val_loss"}, {"lr": {"float": [0.001, 0.1], "log": True}}
    parts = {"metric": metric, "space": space, "budget": {"trials": 9}}
    recorder = play_on_two_nodes(tmp_path, Fetched(tmp_path), **parts)
    assert all(trial.failure is None for trial in recorder.controller.trials)
    made = noted(tmp_path, "data")
    assert set(Counter(made).values()) == {1}, "once a process"
    fetched = [line.split()[0] for line in noted(tmp_path, "fetches")]
    other = {line.split()[0] for line in made} & set(fetched)
    assert len(fetched) == len(other) == 1, "once on the node that is not the driver's, by one of its two workers"


@pytest.mark.slow
def test_data_that_a_node_cannot_fetch_ends_the_run_with_its_name(tmp_path):
    with pytest.raises(RunFailed, match=r"a worker on \S+ cannot fetch the task's data: DataError: the mirror is down"):
        play_on_two_nodes(tmp_path, CannotBeFetched(tmp_path), **ELSEWHERE)


@pytest.mark.slow
def test_a_folder_that_a_node_does_not_see_ends_the_run_with_its_name(tmp_path):
    folder = tmp_path / "of another machine"
    with pytest.raises(
        RunFailed, match=r"a worker on \S+ does not see the study's folder .*: name one that all machines"
    ):
        play_on_two_nodes(tmp_path, Curve(), folder, **ELSEWHERE)
    assert not folder.exists()
