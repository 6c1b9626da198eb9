"""What a worker died of, by the errors that Ray makes and Tune keeps in a file. Real deaths are in the contract."""

from __future__ import annotations

import pytest

from tuner.execution.ray.obituary import obituary  # sets the environment before Ray is imported
from tuner.records import FailureKind

WORKER_LOST, NODE_LOST, PREEMPTED = FailureKind.WORKER_LOST, FailureKind.NODE_LOST, FailureKind.PREEMPTED


def died(words, preempted=False):
    from ray.exceptions import RayActorError

    return RayActorError("01", words, preempted=preempted)


@pytest.mark.parametrize(
    ("words", "preempted", "kind"),
    [
        ("its worker process has died. Worker exits unexpectedly. The process receives a SIGTERM.", False, PREEMPTED),
        ("The actor died because its node has died. Node Id: 5882b5", False, NODE_LOST),
        ("The actor died because its node has died. Node Id: 5882b5", True, PREEMPTED),
        ("its worker process has died. Worker exit type: SYSTEM_ERROR. End of file.", False, WORKER_LOST),
        ("Task was killed due to the node running low on memory.", False, WORKER_LOST),
    ],
)
def test_kinds(tmp_path, words, preempted, kind):
    from ray import cloudpickle

    (tmp_path / "error.pkl").write_bytes(cloudpickle.dumps(died(words, preempted)))
    found = obituary(str(tmp_path / "error.pkl"))
    assert found.kind is kind
    assert words in found.details
    assert ("low on memory" in found.message) == ("low on memory" in words)


@pytest.mark.parametrize("path", [None, "/no/such/file"])
def test_where_tune_kept_nothing_the_worker_is_lost_all_the_same(path):
    assert obituary(path).kind is WORKER_LOST
