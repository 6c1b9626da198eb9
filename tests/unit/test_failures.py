"""What is recorded of an exception: its kind, and a traceback in which the user's own lines come out."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn
from training_runs import Blobs
from workplace import Workplace

from tuner.errors import CheckpointError, DataError, TrialFailed
from tuner.execution import Job
from tuner.execution.trial_run import run_segment
from tuner.failures import failure_of
from tuner.records import Decision, Ending, FailureKind, Segment


def raised(function, *arguments):
    with pytest.raises(BaseException) as caught:
        function(*arguments)
    return failure_of(caught.value)


def whole(error):
    raise error


def no_room():
    torch.empty(2**55)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ValueError("no"), FailureKind.EXCEPTION),
        (RuntimeError("no room for it"), FailureKind.EXCEPTION),
        (FileNotFoundError("mine.txt"), FailureKind.EXCEPTION),
        (MemoryError(), FailureKind.OUT_OF_MEMORY),
        (torch.OutOfMemoryError("CUDA out of memory"), FailureKind.OUT_OF_MEMORY),
        (DataError("no digits"), FailureKind.DATA_MISSING),
        (CheckpointError("torn"), FailureKind.CHECKPOINT),
        (TrialFailed("taken away", kind="preempted"), FailureKind.PREEMPTED),
        (TrialFailed("no such column", kind="data missing"), FailureKind.DATA_MISSING),
    ],
)
def test_kinds(error, kind):
    assert raised(whole, error).kind is kind


def test_the_allocator_of_the_cpu_is_out_of_memory_too():
    assert raised(no_room).kind is FailureKind.OUT_OF_MEMORY


def test_lines_of_libraries_are_folded_between_the_users_own():
    network = nn.Sequential(nn.Linear(4, 8), nn.Linear(4, 2))
    failure = raised(lambda: network(torch.zeros(1, 4)))
    lines = failure.details.splitlines()
    assert "network(torch.zeros(1, 4))" in failure.details
    assert [line for line in lines if "torch" in line and "lines of" in line]
    assert not any("site-packages" in line for line in lines)
    assert lines[-1].startswith("RuntimeError: mat1 and mat2 shapes cannot be multiplied")
    assert "(test_failures.py:" in failure.message, "the place is the user's, not torch's"


def test_what_led_to_it_comes_first():
    def settings():
        try:
            {}["lr"]
        except KeyError as error:
            raise ValueError("no settings") from error

    details = raised(settings).details
    assert details.index("KeyError: 'lr'") < details.index("which led to:") < details.index("ValueError: no settings")


def test_an_error_that_never_came_to_the_users_code_is_told_whole():
    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads("{")
    caught.value.__traceback__ = caught.value.__traceback__.tb_next
    details = failure_of(caught.value).details
    assert "decoder.py" in details
    assert "of Python" not in details


def test_data_that_is_not_there_is_data_missing_and_its_place_is_the_tasks(tmp_path):
    class Elsewhere(Blobs):
        def data(self):
            return open("/no/such/file")  # noqa: PTH123 - as users do

    segment = Segment(0, 0, 0, 1, {}, 0, 1)
    end = run_segment(Job("s", Elsewhere(), "val_loss", tmp_path), segment, lambda message, wait: Decision.CONTINUE)
    failure = end.failure
    assert failure.kind is FailureKind.DATA_MISSING
    assert "/no/such/file" in failure.message
    assert "(test_failures.py:" in failure.message


def test_a_trial_that_says_it_was_preempted_is_lost_not_failed_and_its_log_has_every_frame(tmp_path):
    def objective(config, trial):
        raise TrialFailed("the spot machine goes", kind="preempted")

    segment = Segment(0, 0, 0, 1, {}, 0, 1)
    end = run_segment(Job("s", objective, "loss", tmp_path), segment, lambda message, wait: Decision.CONTINUE)
    assert end.ending is Ending.LOST
    assert end.failure.kind is FailureKind.PREEMPTED
    log = (tmp_path / "0" / "log.txt").read_text()
    assert "Traceback (most recent call last)" in log
    assert "trial_run.py" in log


def test_a_study_whose_data_goes_away_ends_and_goes_on_where_it_stood(tmp_path):
    place = Workplace(tmp_path)
    (tmp_path / "data.txt").write_text("0.5")
    (tmp_path / "thing.py").write_text(NEEDS_DATA)
    place.tune("run", "spec.yaml", "--set", "fixed={}", code=1)
    shown = place.json("show", "demo")
    assert (shown["state"], shown["counts"]["failed"]) == ("failed", 0)
    assert "data missing: data.txt is not there" in place.tune("show", "demo")[0]
    (tmp_path / "data.txt").write_text("0.5")
    place.tune("resume", "demo")
    shown = place.json("show", "demo")
    assert (shown["state"], shown["counts"]["failed"], len(shown["trials"])) == ("finished", 0, 12)


NEEDS_DATA = """
from pathlib import Path
from tuner.errors import DataError

def curve(config, trial):
    if trial.number == 2 and not Path("gone").exists():
        Path("gone").touch()
        Path("data.txt").unlink()
    if not Path("data.txt").exists():
        raise DataError("data.txt is not there")
    for epoch in range(trial.start + 1, trial.until + 1):
        trial.report(epoch, checkpoint={}, loss=config["x"])
"""
