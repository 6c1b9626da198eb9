"""Axes and spaces: the way to the unit cube and back."""

import math
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import axes, configs, finite, floats, json_like, search_spaces, units

from tuner.errors import SpecError
from tuner.space import Choice, Float, Int, SearchSpace, axis_to_dict, parse_axis


@given(axes(), units)
def test_every_unit_is_a_value(axis, unit):
    assert axis.contains(axis.from_unit(unit))


@given(axes(), units)
def test_a_value_comes_back(axis, unit):
    value = axis.from_unit(unit)
    back = axis.to_unit(value)
    assert 0 <= back < 1
    again = axis.from_unit(back)
    countable = axis.cardinality() is not None and axis.cardinality() < 2**40 and not getattr(axis, "log", False)
    if countable or value is None:
        assert again == value
    elif axis.log:
        # A coordinate has 53 bits, and a logarithm's error grows with its range.
        assert again == value or math.isclose(again, value, rel_tol=1e-11)
    else:
        assert abs(again / 2 - value / 2) <= 1e-14 * (axis.high / 2 - axis.low / 2) + 5e-324


@given(axes(), st.integers(1, 30))
def test_grid_values_are_values(axis, points):
    values = axis.grid(points)
    assert values
    assert all(axis.contains(value) for value in values)
    assert len({(type(value), value) for value in values}) == len(values)
    if not isinstance(axis, Choice):
        assert len(values) <= points + axis.none
        if points > 1:
            assert {axis.low, axis.high} <= set(values)


@given(axes())
def test_an_axis_survives_its_yaml_form(axis):
    assert parse_axis(axis_to_dict(axis)) == axis
    assert pickle.loads(pickle.dumps(axis)) == axis
    assert hash(parse_axis(axis_to_dict(axis))) == hash(axis)


@given(st.data(), search_spaces())
def test_configs_are_points_of_their_space(data, space):
    config = data.draw(configs(space))
    space.check(config)
    assert space.resolve(config) == config
    again = space.from_unit(space.to_unit(config))
    assert set(again) == set(config) or not all(_countable(axis) for axis in space.values())


def _countable(axis):
    return axis.cardinality() is not None and axis.cardinality() < 2**40 and not getattr(axis, "log", False)


@given(search_spaces())
def test_a_space_does_not_change(space):
    with pytest.raises(TypeError):
        space.axes["another"] = Float(0, 1)
    with pytest.raises(TypeError):
        space.fixed.update(a=1)
    assert pickle.loads(pickle.dumps(space)) == space
    assert hash(SearchSpace(dict(space.axes), dict(space.fixed))) == hash(space)


@given(json_like)
def test_garbage_is_a_spec_error(data):
    for form in (data, {"float": data}, {"int": data}, {"choice": data}, {"float": [0, 1], "step": data, "when": data}):
        try:
            axis = parse_axis(form)
        except SpecError:
            continue
        assert axis.contains(axis.from_unit(0.5))


@given(floats(), finite)
def test_containing_is_being_between(axis, value):
    if axis.step is None:
        assert axis.contains(value) == (axis.low <= value <= axis.high)


@given(st.integers(1, 2**20), st.integers(0, 2**20))
def test_whole_numbers_in_log_space_come_back(low, more):
    axis = Int(low, low + more + 1, log=True)
    for value in (axis.low, axis.high, (axis.low + axis.high) // 2):
        assert axis.from_unit(axis.to_unit(value)) == value
