"""Weights alone: what was evaluated, as a plain safetensors file."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from tuner.errors import CheckpointError, UserMistake
from tuner.training.weights import load_weights, save_weights


def network() -> nn.Module:
    torch.manual_seed(0)
    made = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 4, bias=False)).bfloat16()
    made[2].weight = made[0].weight  # tied
    return made


def test_any_reader_of_the_format_can_load_them(tmp_path):
    model = network()
    save_weights({"model": model.state_dict(), "averaged": None, "optimizer": {"step": 3}}, tmp_path / "a" / "w")
    found = load_file(tmp_path / "a" / "w")
    assert set(found) == set(model.state_dict())
    for name, tensor in model.state_dict().items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)
        assert torch.equal(load_weights(tmp_path / "a" / "w")[name], tensor)
    network().load_state_dict(load_weights(tmp_path / "a" / "w"))
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["w"]


def test_averages_take_the_place_of_the_weights_and_the_rest_stays(tmp_path):
    model = network().state_dict()
    averaged = {"0.weight": torch.full((4, 4), 7.0).t(), "0.bias": torch.zeros(8)[::2]}  # not contiguous
    save_weights({"model": model, "averaged": averaged}, tmp_path / "w")
    found = load_weights(tmp_path / "w")
    assert torch.equal(found["0.weight"], averaged["0.weight"])
    assert torch.equal(found["0.bias"], averaged["0.bias"])
    assert torch.equal(found["1.running_var"], model["1.running_var"])
    assert torch.equal(found["2.weight"], model["2.weight"])


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"sum": 1.0}, "it holds 'sum'"),
        ({}, "it holds nothing"),
        ({"model": b"pickled"}, "it holds 'model'"),
        ({"model": {"a": 1.0}}, "'a' is a float"),
        ({"model": {3: torch.ones(1)}}, "3 is a Tensor"),
        ({"model": {"a": torch.ones(1)}, "averaged": {"b": torch.ones(1)}}, "does not have: b"),
    ],
)
def test_another_checkpoint_is_refused_and_nothing_is_written(tmp_path, state, said):
    with pytest.raises(UserMistake, match=said):
        save_weights(state, tmp_path / "w")
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_something_else_is_told(tmp_path):
    with pytest.raises(CheckpointError, match="No such file"):
        load_weights(tmp_path / "none")
    (tmp_path / "w").write_bytes(b"not weights at all")
    with pytest.raises(CheckpointError, match="damaged"):
        load_weights(tmp_path / "w")
    save_weights({"model": network().state_dict()}, tmp_path / "w")
    (tmp_path / "w").write_bytes((tmp_path / "w").read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="damaged"):
        load_weights(tmp_path / "w")
