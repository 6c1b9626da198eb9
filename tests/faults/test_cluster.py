"""Ray nodes that come and go while a study runs: separate raylets on this machine."""

from __future__ import annotations

import os
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
from executors import play

from tuner.execution import Job
from tuner.records import Ending, FailureKind


class Where:
    """Leaves its node's name behind."""

    def __call__(self, config, trial):
        import ray

        node = ray.get_runtime_context().get_node_id()
        with (trial.folder / "nodes").open("a") as file:
            file.write(f"{node} {os.getpid()}\n")
        for epoch in range(trial.start + 1, trial.until + 1):
            time.sleep(0.4)
            trial.report(epoch, checkpoint={}, loss=config["x"])


@pytest.mark.slow
def test_a_worker_joins_when_a_node_does_and_its_trial_goes_on_elsewhere_when_the_node_dies(tmp_path):
    from tuner.execution.ray.executor import RayTuneExecutor  # sets the environment before Ray is imported

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's own cluster utility
        from ray.cluster_utils import Cluster

        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        try:
            executor = RayTuneExecutor(cluster.address)
            executor.check(Job("cluster", Where(), "loss", tmp_path))
            with ThreadPoolExecutor(1) as pool:
                playing = pool.submit(play, executor, tmp_path, Where(), parallel=None, budget={"trials": 60})
                time.sleep(8)
                node = cluster.add_node(num_cpus=1)  # in the main thread, for its signal handler
                wait_until(lambda: len(nodes_used(tmp_path)) == 2)
                cluster.remove_node(node, allow_graceful=False)
                recorder = playing.result(timeout=180)
        finally:
            executor.close()
            cluster.shutdown()
    lost = [end for end in recorder.ends if end.ending is Ending.LOST]
    assert len(lost) <= 1
    assert {end.failure.kind for end in lost} <= {FailureKind.NODE_LOST, FailureKind.WORKER_LOST}, lost
    assert all(trial.ended and trial.failure is None for trial in recorder.controller.trials)


def nodes_used(folder):
    return {line.split()[0] for path in folder.glob("*/nodes") for line in path.read_text().splitlines()}


def wait_until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.2)
