"""Out of memory: micro-batches are halved, nothing of the failed attempt stays, and what fitted is remembered.

The faults are real ones of torch's CPU allocator, which is asked for more than there is.
"""

from __future__ import annotations

import gc
import json

import pytest
import torch
from test_training_accumulation import ADAMW, MECHANISMS, Net, assert_close_weights
from torch import nn
from training_runs import Blobs, Trial, assert_same_state, run, untimed

from tuner.errors import StopTrial, TrialFailed
from tuner.failures import out_of_memory
from tuner.training import train

BATCH = {**ADAMW, "batch_size": 32}
TOO_MUCH = 2**55


class Crowded(nn.Module):
    """No room for more than `most` rows: at its end, when all before it has left its traces."""

    def __init__(self, body, most):
        super().__init__()
        self.body, self.most, self.sizes = body, most, []

    def forward(self, inputs):
        outputs = self.body(inputs)
        most = self.most[0 if self.training else 1]
        if len(inputs) > most:
            torch.empty(TOO_MUCH)
        if self.training:
            self.sizes.append(len(inputs))
        return outputs


def crowded(task, step=10**9, evaluation=10**9):
    """The task, its model without room for more rows than these."""

    class Task(task):
        def model(self, config):
            self.made = Crowded(super().model(config), (step, evaluation))
            return self.made

    return Task()


def before_each_pass(task, change):
    """The task, whose models are given to `change` before each forward pass."""
    inner = task.model

    def model(config):
        made = inner(config)
        made.register_forward_pre_hook(lambda module, _: change(module))
        return made

    task.model = model
    return task


@pytest.mark.parametrize("mechanism", [*MECHANISMS.values(), {"mixup": 0.4}], ids=[*MECHANISMS, "mixup"])
@pytest.mark.parametrize("room", [31, 10, 1])
def test_the_steps_are_those_of_the_whole_batch(tmp_path, mechanism, room):
    config = {**BATCH, **mechanism}
    whole = run(config, task=crowded(Net))
    task = crowded(Net, step=room)
    parts = run(config, task=task, folder=tmp_path / "0")
    assert_close_weights(parts.states[-1]["model"], whole.states[-1]["model"])
    assert max(task.made.sizes) <= room
    halvings = [event for event in parts.events if "out of memory" in event]
    assert len(halvings) == {31: 1, 10: 2, 1: 5}[room]
    assert halvings[0] == "step 0: out of memory at micro-batch 32: goes on with 16, 2 accumulated"


def test_from_the_halving_on_it_is_the_trial_that_had_asked_for_such_micro_batches(tmp_path):
    """Bit for bit, buffers of batch norm included: the attempt that failed had moved them."""
    task = crowded(Blobs, step=16)
    halved = run(BATCH, task=task, folder=tmp_path / "0")
    asked = run({**BATCH, "micro_batch": 16}, task=crowded(Blobs))
    assert untimed(halved.metrics) == untimed(asked.metrics)
    assert_same_state(halved.states[-1]["model"], asked.states[-1]["model"])
    assert any("batch norm" in event for event in halved.events)


class Follows(nn.Module):
    """Its running mean is another tensor after each pass, and its scale is there after the first."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 2)
        self.register_buffer("mean", torch.zeros(4))
        self.register_buffer("scale", None)

    def forward(self, inputs):
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * inputs.mean(0)
            self.scale = inputs.std(0) + 1 if self.scale is None else self.scale
        return self.linear((inputs - self.mean) / self.scale)


def test_buffers_that_a_model_assigns_anew_are_those_before_the_attempt(tmp_path):
    class Task(Net):
        def model(self, config):
            return Follows()

    halved = run(BATCH, task=crowded(Task, step=16), folder=tmp_path / "0")
    asked = run({**BATCH, "micro_batch": 16}, task=crowded(Task))
    assert_same_state(halved.states[-1]["model"], asked.states[-1]["model"])


def test_a_trial_by_small_micro_batches_that_is_not_finite_is_told_as_that(tmp_path):
    class Undefined(Net):
        def loss(self, outputs, targets):
            return super().loss(outputs, targets) * torch.nan

    with pytest.raises(TrialFailed, match="first in the loss") as caught:
        run(BATCH, task=crowded(Undefined, step=16), folder=tmp_path / "0")
    assert caught.value.kind == "non-finite"


def test_not_finite_is_told_also_where_there_is_no_room_to_find_out_why(tmp_path):
    class Undefined(Net):
        def loss(self, outputs, targets):
            return super().loss(outputs, targets) * torch.nan

    def filled(module):
        if module.training and len(module.sizes) == 7:  # the steps up to the first report
            module.most = (0, 0)

    task = before_each_pass(crowded(Undefined), filled)
    with pytest.raises(TrialFailed, match="no memory left to take the step again") as caught:
        run(BATCH, task=task, folder=tmp_path / "0")
    assert caught.value.kind == "non-finite"


def test_the_hessian_is_halved_likewise(tmp_path):
    """On the CPU torch's error is a plain RuntimeError, as is that of a function without a second derivative."""

    class Curved(Net):
        def forward(self, network, inputs, progress):
            outputs = super().forward(network, inputs, progress)
            if progress is None and torch.is_grad_enabled() and len(inputs) > 20:
                outputs.register_hook(lambda gradient: torch.empty(TOO_MUCH))
            return outputs

    config = {**BATCH, "hessian": True}
    little = run(config, task=crowded(Curved), folder=tmp_path / "0")
    plenty = run(config, task=crowded(Net))
    assert little.metrics[-1]["hessian_top"] == pytest.approx(plenty.metrics[-1]["hessian_top"], rel=1e-4)
    assert [event.split(": ")[-1] for event in little.events if "evaluation" in event] == [
        "goes on by 30",
        "goes on by 15",
    ]


def test_later_in_a_trial_only_the_step_is_repeated(tmp_path):
    """It fits for a while, and then no more, as where memory is shared."""

    def shrinks(module):
        if module.training and len(module.sizes) == 5:
            module.most = (16, module.most[1])

    task = before_each_pass(crowded(Net), shrinks)
    late = run(BATCH, task=task, folder=tmp_path / "0")
    assert task.made.sizes[:8] == [32] * 5 + [16, 16, 8], "the seventh batch of an epoch has eight rows"
    assert [event.split(":")[0] for event in late.events if "out of memory" in event] == ["step 5"]
    assert_close_weights(late.states[-1]["model"], run(BATCH, task=crowded(Net)).states[-1]["model"])


def test_a_single_row_that_does_not_fit_is_a_failure(tmp_path):
    with pytest.raises(RuntimeError) as caught:
        run(BATCH, task=crowded(Net, step=0), folder=tmp_path / "0")
    assert out_of_memory(caught.value)


def test_other_errors_are_no_reason_to_repeat(tmp_path):
    class Wrong(Net):
        calls = 0

        def loss(self, outputs, targets):
            type(self).calls += 1
            raise RuntimeError("shapes")

    with pytest.raises(RuntimeError, match="shapes"):
        run(BATCH, task=Wrong(), folder=tmp_path / "0")
    assert Wrong.calls == 1


def test_an_evaluation_is_halved_likewise_and_means_the_same(tmp_path):
    plenty = run(BATCH, task=crowded(Blobs))
    little = run(BATCH, task=crowded(Blobs, evaluation=20), folder=tmp_path / "0")
    for one, other in zip(untimed(little.metrics), untimed(plenty.metrics), strict=True):
        assert one == pytest.approx(other, rel=1e-5, abs=1e-6)
    assert_same_state(little.states[-1]["model"], plenty.states[-1]["model"])
    told = [event for event in little.events if "out of memory in an evaluation" in event]
    assert [event.split(": ")[-1] for event in told] == ["goes on by 30", "goes on by 15"], "of 60 rows"


def test_what_fitted_is_remembered_for_trials_at_least_as_large(tmp_path):
    def again(number, width, batch_size=32):
        class Wide(Net):
            def model(self, config):
                return nn.Sequential(nn.Linear(4, width), nn.Tanh(), nn.Linear(width, 2))

        task = crowded(Wide, step=10)
        trial = Trial(1, folder=tmp_path / str(number))
        trial.number = number
        train(task, {**BATCH, "batch_size": batch_size}, trial)
        return [event for event in trial.events if "out of memory" in event], max(task.made.sizes)

    assert len(again(0, 16)[0]) == 2
    assert again(1, 16) == ([], 8), "it begins with what fitted"
    assert again(2, 64) == ([], 8)
    assert again(3, 64, batch_size=9) == ([], 9), "nothing is known against nine rows"
    assert len(again(4, 8)[0]) == 2, "a smaller model finds out for itself"
    note = json.loads((tmp_path / "room" / "0.json").read_bytes())
    assert note == {"parameters": 114, "place": "cpu, fp32", "step": 16, "evaluation": None}


def test_a_resumed_trial_goes_on_as_it_was_whatever_others_have_found(tmp_path):
    whole = run(BATCH, task=crowded(Net, step=10), folder=tmp_path / "a" / "0")
    first = Trial(3, stop_at=2, folder=tmp_path / "b" / "0")
    with pytest.raises(StopTrial):
        train(crowded(Net, step=10), BATCH, first)
    (tmp_path / "b" / "room" / "7.json").write_text(
        json.dumps({"parameters": 1, "place": "cpu, fp32", "step": 2, "evaluation": 2})
    )
    rest = run(BATCH, task=crowded(Net), start=2, checkpoint=first.states[-1], folder=tmp_path / "b" / "0")
    assert_same_state(rest.states[-1], whole.states[-1])


def test_a_checkpoint_from_before_there_was_room_in_it_is_gone_on_from(tmp_path):
    state = run(BATCH, until=1, task=Net()).states[-1]
    del state["room"]
    assert run(BATCH, until=2, task=Net(), start=1, checkpoint=state).metrics


@pytest.mark.skipif(not torch.cuda.is_available(), reason="takes a GPU")
@pytest.mark.parametrize("cuda_graph", [False, True])
def test_on_a_gpu_whose_memory_is_limited(tmp_path, cuda_graph):
    class Large(Net):
        def model(self, config):
            return nn.Sequential(nn.Linear(4, 65536), nn.Tanh(), nn.Linear(65536, 2))

    class OnGpu(Trial):
        device = "cuda"

    config = {**BATCH, "batch_size": 128, "optimizer": "sgd", "cuda_graph": cuda_graph}
    plenty, little = (OnGpu(5, folder=tmp_path / name / "0") for name in ("plenty", "little"))
    train(Large(), config, plenty)
    gc.collect()
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    mib = 160 if cuda_graph else 80  # cuBLAS takes 32 for each stream, and a recording has one of its own
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + mib * 2**20) / total)
    try:
        train(Large(), config, little)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert any("out of memory at micro-batch" in event for event in little.events)
    assert_close_weights(little.states[-1]["model"], plenty.states[-1]["model"], tolerance=1e-3)
