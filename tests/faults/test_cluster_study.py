"""A study run with `--address` on a cluster of several raylets, that share an object store and nothing else."""

from __future__ import annotations

import platform
import re
import time
import warnings
from contextlib import contextmanager

import pytest
from workplace import Workplace

from tuner.analysis import StudyView
from tuner.analysis.stragglers import stragglers
from tuner.storage import open_storage
from tuner.store import open_store

OBJECTIVE = '''
import ray, time

def curve(config, trial):
    """As in workplace.py, and says on which node it runs."""
    state = trial.checkpoint or {"sum": 0.0}
    for epoch in range(trial.start + 1, trial.until + 1):
        state = {"sum": state["sum"] + config["x"] / epoch}
        time.sleep(config["pause"])
        print("epoch", epoch, "node", ray.get_runtime_context().get_node_id())
        trial.report(epoch, checkpoint=state, loss=abs(config["x"] - 0.3) + 1 / epoch, sum=state["sum"])
'''

SCHEDULER = ["--set", "scheduler={name: none, max_resource: 5}"]


@contextmanager
def cluster_of_one(num_cpus=1):
    """A Ray cluster of a head alone, in processes of its own."""
    import tuner.execution.ray.executor  # noqa: F401 (sets the environment before Ray is imported)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's own cluster utility
        from ray.cluster_utils import Cluster

        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": num_cpus})
        try:
            yield cluster
        finally:
            cluster.shutdown()


@pytest.fixture
def place(tmp_path, s3):
    place = Workplace(tmp_path)
    (tmp_path / "thing.py").write_text(OBJECTIVE)
    return place


def start(place, cluster, s3, *arguments):
    option = ["--set", f'storage="{s3.url("runs")}"', "--set", "parallel=auto", "--set", "executor=ray"]
    return place.start("run", "spec.yaml", "--address", cluster.address, *option, *SCHEDULER, *arguments)


def nodes_of(s3):
    """trial -> the node of each epoch in its log, in order."""
    storage = open_storage(s3.url("runs/demo"))
    logs = {name.partition("/")[0]: storage.read(name).decode() for name in storage.names() if name.endswith("log.txt")}
    return {int(trial): re.findall(r"node (\w+)", log) for trial, log in logs.items()}


def all_nodes(s3):
    return {node for nodes in nodes_of(s3).values() for node in nodes}


def wait_until(condition, process, seconds=90):
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.2)


def check_curves(place, n_trials):
    """Nothing lost, nothing failed, nothing twice: each trial has one curve, its own."""
    shown = place.json("show", "demo")
    assert (shown["state"], len(shown["trials"])) == ("finished", n_trials)
    assert shown["counts"]["complete"] == n_trials, shown["counts"]
    for trial in shown["trials"]:
        reports = place.json("trial", "demo", str(trial["number"]))["reports"]
        assert [report["resource"] for report in reports] == list(range(1, 6))
        sums = [sum(trial["config"]["x"] / epoch for epoch in range(1, n + 1)) for n in range(1, 6)]
        assert [report["metrics"]["sum"] for report in reports] == pytest.approx(sums)
    return shown["trials"]


@pytest.mark.slow
def test_nodes_come_and_go_and_every_trial_keeps_its_one_curve(place, s3):
    with cluster_of_one() as cluster:
        process = start(place, cluster, s3, "--trials", "30", "--set", "fixed.pause=0.3")
        wait_until(lambda: len(all_nodes(s3)) == 1, process)
        first = cluster.add_node(num_cpus=1)
        wait_until(lambda: len(all_nodes(s3)) == 2, process)
        cluster.remove_node(first, allow_graceful=False)
        second = cluster.add_node(num_cpus=1)
        wait_until(lambda: len(all_nodes(s3)) == 3, process)
        out, err = process.communicate(timeout=180)
    assert process.returncode == 0, (out, err)
    assert err == "", "a node that goes away is no news"
    trials = check_curves(place, 30)
    told = nodes_of(s3)
    moved = [number for number, nodes in told.items() if first.node_id in nodes[:-1] and nodes[-1] != first.node_id]
    assert moved, "the trial of the node that went away was carried on elsewhere"
    assert all(trials[number]["segments"] == 2 for number in moved)
    assert second.node_id in {nodes[-1] for nodes in told.values()}


@pytest.mark.slow
def test_a_cluster_that_goes_away_leaves_a_study_that_another_finishes(place, s3):
    with cluster_of_one() as cluster:
        process = start(place, cluster, s3, "--trials", "6", "--set", "fixed.pause=0.3")
        wait_until(lambda: len(nodes_of(s3)) == 2, process)
        gone = set(all_nodes(s3))
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1, (out, err)  # Ray ends a process whose raylet is gone, at once
    assert place.json("show", "demo")["counts"]["running"] == 0, "no zombie"
    with cluster_of_one() as cluster:
        process = place.start("resume", "demo", "--address", cluster.address)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0, (out, err)
    check_curves(place, 6)
    assert all_nodes(s3) > gone


SLOW = '''
import os, time

def curve(config, trial):
    """The first worker that comes is a slow one, for as long as it lives."""
    mine = f"{os.getcwd()}/slow"
    try:
        with open(mine, "x") as file:
            file.write(str(os.getpid()))
    except FileExistsError:
        pass
    slow = open(mine).read() == str(os.getpid())
    for epoch in range(trial.start + 1, trial.until + 1):
        time.sleep(config["pause"] * (4 if slow else 1))
        trial.report(epoch, loss=config["x"])
'''


@pytest.mark.slow
def test_asha_does_not_wait_for_a_slow_worker_and_it_is_shown_with_its_machine(tmp_path):
    place = Workplace(tmp_path)
    (tmp_path / "thing.py").write_text(SLOW.replace("os.getcwd()", repr(str(tmp_path))))
    arguments = ["--set", "executor=ray", "--set", "parallel=3", "--set", "resources.cpus=0.5", "--trials", "40"]
    process = place.start("run", "spec.yaml", *arguments, "--set", "fixed.pause=0.1")
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0, (out, err)
    found = stragglers(StudyView(open_store(place.folder / "runs" / "tuner.db"), "demo"))
    (slow,) = found[found["slow"]].to_dict("records")
    assert slow["worker"].startswith(f"{platform.node()} ")
    assert 2 < slow["factor"] < 6
    said = f"Worker {slow['worker']} takes {slow['factor']:.1f} times as long as the others for comparable trials"
    assert said in out
    assert said in place.tune("show", "demo")[0]
    others = 40 - slow["n_trials"]
    assert others > 2 * slow["n_trials"], "what it did not do, the others did"


@pytest.mark.slow
def test_without_a_node_the_study_waits_for_one(place, s3):
    with cluster_of_one(num_cpus=0) as cluster:
        only = cluster.add_node(num_cpus=1)
        process = start(place, cluster, s3, "--trials", "6", "--set", "fixed.pause=0.3")
        wait_until(lambda: all_nodes(s3) == {only.node_id}, process)
        cluster.remove_node(only, allow_graceful=False)
        time.sleep(5)
        assert process.poll() is None
        other = cluster.add_node(num_cpus=1)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0, (out, err)
    check_curves(place, 6)
    assert all_nodes(s3) == {only.node_id, other.node_id}
