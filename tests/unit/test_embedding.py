"""A search space as the Gaussian process sees it: the same configuration, the same row."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import search_spaces

from tuner.search.embedding import CELLS, FEW, Embedding
from tuner.space import Choice, Float, Int, SearchSpace


@st.composite
def spaces_and_points(draw):
    """A space and points of its cube, at the middles of cells: there a coordinate means one value for certain."""
    space = draw(search_spaces())
    cells = st.lists(st.integers(0, CELLS - 1), min_size=len(space), max_size=len(space))
    return space, (np.array(draw(st.lists(cells, min_size=1, max_size=5)), dtype=float) + 0.5) / CELLS


@settings(deadline=None)
@given(spaces_and_points())
def test_units_are_what_the_configurations_there_give_back(drawn):
    space, points = drawn
    units = Embedding(space).units(points)
    for point, own in zip(points, units, strict=True):
        config = space.from_unit(point.tolist())
        assert space.from_unit(own.tolist()) == config
        for name, unit, given_back in zip(space, own, space.to_unit(config), strict=True):
            n_values = space[name].cardinality()
            if name not in config or config[name] is None or (n_values is not None and n_values <= FEW):
                assert abs(unit - given_back) < 1e-9


@settings(deadline=None)
@given(spaces_and_points())
def test_features_lie_in_the_unit_interval_and_are_those_of_the_configuration(drawn):
    space, points = drawn
    embedding = Embedding(space)
    features = embedding.features(embedding.units(points))
    assert features.min() >= 0
    assert features.max() <= 1
    assert len(features) == len(points)
    np.testing.assert_array_equal(embedding.units(embedding.units(points)), embedding.units(points))


def test_continuous_coordinates_are_those_of_the_configuration():
    space = SearchSpace({"lr": Float(1e-5, 1.0, log=True), "x": Float(-2.0, 2.0), "clip": Float(0.1, 1.0, none=True)})
    points = np.random.default_rng(0).random((200, 3))
    given_back = [space.to_unit(space.from_unit(point)) for point in points.tolist()]
    np.testing.assert_allclose(Embedding(space).units(points), given_back, atol=1e-9)


def test_what_is_absent_or_off_tells_nothing_of_its_coordinate():
    space = SearchSpace({"optimizer": Choice(("sgd", "adam", "lion")), "m": Float(0, 1, when={"optimizer": ("sgd",)})})
    embedding = Embedding(space)
    rows = embedding.features(embedding.units(np.array([[0.5, 0.1], [0.5, 0.9], [0.1, 0.1], [0.1, 0.9]])))
    np.testing.assert_array_equal(rows[0], rows[1])
    assert (rows[2] != rows[3]).any()
    off = SearchSpace({"clip": Float(0.1, 10.0, log=True, none=True)})
    rows = Embedding(off).features(Embedding(off).units(np.array([[0.01], [0.09], [0.11]])))
    np.testing.assert_array_equal(rows[0], rows[1])
    assert rows[0, 1] > 0 == rows[2, 1]


def test_columns():
    """One for a number and for a choice of numbers in order or of two values; otherwise one a value."""
    axes = {
        "float": (Float(0, 1), 1),
        "off": (Int(1, 9, none=True), 2),
        "ordered": (Choice((32, 64, 128)), 1),
        "falling": (Choice((3, 2, 1)), 1),
        "unordered": (Choice((1, 3, 2)), 3),
        "two": (Choice(("a", "b")), 1),
        "words": (Choice(("a", "b", "c", "d")), 4),
    }
    for axis, n_columns in axes.values():
        assert Embedding(SearchSpace({"a": axis})).features(np.array([[0.3]])).shape == (1, n_columns)


def test_any_two_words_are_as_far_apart_as_any_other_two():
    space = SearchSpace({"word": Choice(("a", "b", "c", "d"))})
    rows = Embedding(space).features(np.array([[0.1], [0.3], [0.6], [0.9]]))
    apart = {round(float(np.linalg.norm(a - b)), 9) for i, a in enumerate(rows) for b in rows[:i]}
    assert len(apart) == 1
