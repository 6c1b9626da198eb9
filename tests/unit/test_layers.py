"""The layers of a model: their order, norms, ties, rates, and freezing."""

import pytest
import torch
from torch import nn

from tuner.errors import SpecError
from tuner.training.layers import layers_of, rate_multipliers, set_frozen


class Tied(nn.Module):
    """An embedding whose weight is the output layer's too, and a parameter of its own."""

    def __init__(self):
        super().__init__()
        self.position = nn.Parameter(torch.zeros(5))
        self.embedding = nn.Embedding(7, 4)
        self.blocks = nn.ModuleList([nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 4)) for _ in range(2)])
        self.output = nn.Linear(4, 7)
        self.output.weight = self.embedding.weight


def network():
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, bias=False),
        nn.BatchNorm2d(2),
        nn.ReLU(),
        nn.Conv2d(2, 2, 3),
        nn.GroupNorm(1, 2),
        nn.Linear(4, 2),
    )


def test_layers_are_in_order_and_a_norm_belongs_to_the_one_before():
    assert layers_of(network()) == [
        ["0.weight", "1.weight", "1.bias"],
        ["3.weight", "3.bias", "4.weight", "4.bias"],
        ["5.weight", "5.bias"],
    ]


def test_a_norm_with_nothing_before_it_belongs_to_the_next():
    model = nn.Sequential(nn.LayerNorm(3, bias=False), nn.BatchNorm1d(3), nn.Linear(3, 2), nn.Linear(2, 1, bias=False))
    assert layers_of(model) == [["0.weight", "1.weight", "1.bias", "2.weight", "2.bias"], ["3.weight"]]
    assert layers_of(nn.LayerNorm(3)) == [["weight", "bias"]]
    assert layers_of(nn.ReLU()) == []


def test_tied_parameters_are_in_the_first_layer_that_has_them():
    assert layers_of(Tied()) == [
        ["position"],
        ["embedding.weight", "blocks.0.0.weight", "blocks.0.0.bias"],
        ["blocks.0.1.weight", "blocks.0.1.bias", "blocks.1.0.weight", "blocks.1.0.bias"],
        ["blocks.1.1.weight", "blocks.1.1.bias"],
        ["output.bias"],
    ]


@pytest.mark.parametrize("bias", [True, False])
def test_a_parametrised_module_is_one_layer(bias):
    normed = torch.nn.utils.parametrizations.weight_norm(nn.Linear(3, 2, bias=bias))
    model = nn.Sequential(nn.Linear(2, 3, bias=False), normed, nn.Linear(2, 1, bias=False))
    originals = [f"1.parametrizations.weight.original{i}" for i in (0, 1)]
    assert layers_of(model) == [["0.weight"], ["1.bias"] * bias + originals, ["2.weight"]]
    assert layers_of(normed) == [["bias"] * bias + [name[2:] for name in originals]]


def test_every_parameter_is_in_one_layer():
    for model in (network(), Tied(), nn.TransformerEncoderLayer(4, 2), nn.LSTM(3, 4, num_layers=2, proj_size=2)):
        names = [name for names in layers_of(model) for name in names]
        assert sorted(names) == sorted(name for name, _ in model.named_parameters())


def test_rates_fall_by_the_layer_from_the_output():
    multipliers = rate_multipliers(network(), 0.5)
    assert {multipliers[name] for name in ("0.weight", "1.weight", "1.bias")} == {0.25}
    assert {multipliers[name] for name in ("3.weight", "4.bias")} == {0.5}
    assert {multipliers[name] for name in ("5.weight", "5.bias")} == {1.0}
    assert set(rate_multipliers(Tied(), 1.0).values()) == {1.0}


def trained(model):
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def test_freezing_and_thawing_leave_what_a_user_froze():
    model = network()
    model[0].weight.requires_grad_(False)
    model[5].bias.requires_grad_(False)
    trainable = frozenset(trained(model))
    model(torch.randn(2, 1, 6, 8)).sum().backward()
    set_frozen(model, 1, trainable)
    assert trained(model) == {"3.weight", "3.bias", "4.weight", "4.bias", "5.weight"}
    assert model[1].weight.grad is None
    assert model[3].weight.grad is not None
    set_frozen(model, 2, trainable)
    assert trained(model) == {"5.weight"}
    set_frozen(model, 0, trainable)
    assert trained(model) == trainable


@pytest.mark.parametrize("n", [3, 4])
def test_freezing_every_layer_is_refused_before_anything_changes(n):
    model = network()
    everything = frozenset(trained(model))
    with pytest.raises(SpecError, match=f"3, got {n}") as error:
        set_frozen(model, n, everything)
    assert error.value.path == "freeze"
    assert trained(model) == everything
    set_frozen(nn.ReLU(), 0, frozenset())
