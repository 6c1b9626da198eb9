"""Which models are one program for a lane: those that differ in tensors and in the rates of placed dropouts alone."""

from functools import partial

import pytest
import torch
from torch import nn

from objectives.models import mlp
from tuner.training.dropout import Streams, placed_dropout
from tuner.training.lanes.blueprint import blueprint
from tuner.training.lanes.structure import structure
from tuner.training.settings import TrainerSettings


class Holding(nn.Module):
    """A module with one attribute."""

    def __init__(self, value, p=0.5):
        super().__init__()
        self.layer, self.drop, self.value = nn.Linear(2, 2), nn.Dropout(p), value


def square(x):
    return x * x


def plan(model):
    return blueprint(placed_dropout(model))


@pytest.mark.parametrize(
    "value", [1, 2.5, "word", None, (1, [2, {"a": 3}]), torch.float32, square, nn.functional.relu, {3, 1, 2}]
)
def test_what_is_equal_by_value_is_one_program_whatever_the_rate(value):
    assert plan(Holding(value)) == plan(Holding(value, p=0.1)) is not None


@pytest.mark.parametrize(
    ("one", "other"), [(1, 2), (1, 1.0), (1, True), ((1,), [1]), (None, 0), (square, nn.functional.relu)]
)
def test_other_values_are_other_programs(one, other):
    assert plan(Holding(one)) != plan(Holding(other))


@pytest.mark.parametrize(
    "value", [torch.ones(2), lambda x: x, partial(square, 2), object(), torch.relu, [torch.ones(1)]]
)
def test_what_cannot_be_compared_is_told(value):
    assert plan(Holding(value)) is None


def test_a_class_that_a_function_made_may_hold_a_configuration():
    class Local(Holding):
        pass

    assert plan(Local(1)) is None


def test_the_tree_counts_and_a_dropout_that_is_not_placed_keeps_its_rate():
    trees = [
        nn.Sequential(nn.ReLU()),
        nn.Sequential(nn.ReLU(), nn.ReLU()),
        nn.Sequential(nn.Tanh()),
        nn.Sequential(nn.AlphaDropout(0.1)),
        nn.Sequential(nn.AlphaDropout(0.2)),
        nn.Sequential(nn.Dropout(0.1)),
        nn.Sequential(nn.Dropout(0.1, inplace=True)),
    ]
    assert len({plan(tree) for tree in trees}) == len(trees)
    shared, two = nn.Dropout(0.1), [nn.Dropout(0.1), nn.Dropout(0.1)]
    assert plan(nn.Sequential(shared, shared)) != plan(nn.Sequential(*two))


def of(config, model):
    Streams(placed_dropout(model), 0, 0, torch.device("cpu"))  # as a run's is
    return structure(config, TrainerSettings.from_config(config), model)


def test_structures_leave_rates_out_and_keep_all_else():
    def mlp_of(**config):
        return of(config, mlp(config, 8, 3, width=4, layers=2))

    own = mlp_of(lr=0.1, dropout=0.2)
    assert own == mlp_of(lr=0.3, dropout=0.4)
    assert own.model_values == ()
    assert own != mlp_of(lr=0.1, dropout=0.0)
    assert own != mlp_of(lr=0.1, dropout=0.2, norm="layer")

    def held(dropout, value, p):
        return of({"dropout": dropout, "value": value}, Holding(value, p))

    assert held(0.2, 0.3, 0.2) == held(0.4, 0.3, 0.4)
    assert held(0.2, 0.2, 0.2) != held(0.4, 0.4, 0.4)  # the value is an attribute as well
    assert held(0.2, 0.3, 0.1) != held(0.4, 0.3, 0.2)  # a rate that is worked out: not known to be one
    one, other = (held(rate, torch.ones(1), rate).model_values for rate in (0.2, 0.4))
    assert one != other
