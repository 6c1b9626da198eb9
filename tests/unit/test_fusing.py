"""What `executor: auto` is, and why trials are not trained in lanes."""

from __future__ import annotations

import pytest
from lane_objectives import FIXED, SPACE, Clouds

from tuner.errors import DataError, SpecError
from tuner.execution import Job
from tuner.spec import Resources, StudySpec
from tuner.workflows.fusing import auto_lanes, require_fused, unfused


class OnGpu(Clouds):
    wants_gpu = True


class OnCpu(Clouds):
    wants_gpu = False


class WithoutData(Clouds):
    def data(self):
        raise DataError("the data is not there", hint="Fetch it.")


class Broken(Clouds):
    def model(self, config):
        raise ZeroDivisionError("oh")


def spec_of(**fixed):
    data = {"study": "s", "objective": "a:b", "metric": {"name": "val_loss"}, "space": SPACE, "fixed": FIXED | fixed}
    return StudySpec.from_dict(data)


def job_of(tmp_path, objective, parallel=None, **resources):
    return Job("s", objective, "val_loss", tmp_path, resources=Resources(**resources), parallel=parallel)


@pytest.fixture
def one_gpu(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)


def test_auto_is_lanes_where_a_task_that_wants_a_gpu_has_one_and_fuses(one_gpu, tmp_path):
    found = auto_lanes(spec_of(), OnGpu(), job_of(tmp_path, OnGpu(), slots=32), None)
    assert found == (True, "in lanes: each up to 32 trials at once on a GPU (executor: ray: each alone)")


@pytest.mark.parametrize(
    ("objective", "resources", "fixed", "address", "why"),
    [
        (OnCpu(), {}, {}, None, ""),
        (lambda config, trial: None, {}, {}, None, ""),
        (OnGpu(), {"gpus": 0}, {}, None, ""),
        (OnGpu(), {}, {}, "auto", ""),
        (OnGpu(), {"isolate": True}, {}, None, "not in lanes: resources.isolate is on"),
        (OnGpu(), {"parallel": 1}, {}, None, "not in lanes: with parallel: 1"),
        (OnGpu(), {}, {"micro_batch": 4}, None, "not in lanes: micro_batch is not fused yet (set micro_batch: null"),
    ],
    ids=["no gpu wanted", "function", "no gpu given", "cluster", "isolate", "one after the other", "not fused"],
)
def test_auto_is_ray_elsewhere_and_says_why(one_gpu, tmp_path, objective, resources, fixed, address, why):
    lanes, note = auto_lanes(spec_of(**fixed), objective, job_of(tmp_path, objective, **resources), address)
    assert lanes is False
    assert note.startswith(why)
    assert bool(note) is bool(why)


def test_without_a_gpu_auto_is_ray(monkeypatch, tmp_path):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    assert auto_lanes(spec_of(), OnGpu(), job_of(tmp_path, OnGpu()), None) == (False, "")


def test_each_reason_is_told_once_with_the_value_that_makes_it():
    spec = StudySpec.from_dict(spec_of().to_dict() | {"space": SPACE | {"mixup": {"choice": [0.0, 0.2, 0.4]}}})
    assert [found.place for found in unfused(spec, Clouds())] in ([""], ["mixup = 0.2"], ["mixup = 0.4"])
    assert list(unfused(spec_of(), Clouds())) == []


@pytest.mark.parametrize(
    ("task", "what"), [(WithoutData(), "the data is not there"), (Broken(), "the task fails: ZeroDivisionError: oh")]
)
def test_a_task_that_cannot_be_asked_does_not_fuse(task, what):
    with pytest.raises(SpecError, match=f"its trials cannot be trained in lanes: {what}"):
        require_fused(spec_of(), task)


def test_slots_are_left_out_of_a_spec_that_does_not_speak_of_them():
    spec = spec_of()
    assert "slots" not in spec.to_dict()["resources"]
    told = StudySpec.from_dict(spec.to_dict() | {"resources": {"slots": 8}})
    assert StudySpec.from_dict(told.to_dict()).resources.slots == 8
    assert told.digest() != spec.digest()
