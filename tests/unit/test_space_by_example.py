"""Axes and spaces by example: edges of the floats, and what a mistake says."""

import pytest

from tuner.errors import SpecError
from tuner.space import Choice, Float, FrozenDict, Int, SearchSpace, axis_to_dict, parse_axis

EDGES = [
    Float(0, 0.3, step=0.1),
    Float(0.1, 0.7, step=0.2),
    Float(0, 5e-324),
    Float(5e-324, 1e-310, log=True),
    Float(1e-308, 1e308, log=True),
    Float(5e-324, 1.7976931348623157e308, log=True),
    Float(-1e308, 1e308),
    Float(-1e308, 1e308, step=1e307),
    Float(1.0, 1.0000000000000002),
    Float(1.0, 1.0000000000000002, log=True),
    Int(1, 2, log=True),
    Int(1, 2**63 - 1, log=True),
    Int(2**54 - 1, 2**54, log=True),
    Float(1.9999999999999998, 2.0, log=True),
    Int(-(2**63) + 1, 2**63 - 1),
    Int(2**53, 2**53 + 10),
]


@pytest.mark.parametrize("axis", EDGES, ids=repr)
def test_the_edges_of_the_numbers(axis):
    for unit in (0.0, 1e-300, 0.25, 0.5, 0.75, 1 - 1e-12, 1 - 2**-53):
        value = axis.from_unit(unit)
        assert axis.contains(value)
        assert 0 <= axis.to_unit(value) < 1
    assert axis.from_unit(axis.to_unit(axis.low)) == pytest.approx(axis.low, rel=1e-9)
    assert axis.from_unit(axis.to_unit(axis.high)) == pytest.approx(axis.high, rel=1e-9)
    assert axis.grid(3)[0] == axis.low
    assert axis.grid(3)[-1] == axis.high


def test_steps_are_the_numbers_that_were_written():
    assert Float(0, 0.3, step=0.1).grid(9) == [0.0, 0.1, 0.2, 0.3]
    assert Float(0, 3 * 0.1, step=0.1).grid(9) == [0.0, 0.1, 0.2, 3 * 0.1]


def test_log_is_even_in_the_logarithm():
    assert Float(1e-4, 1, log=True).grid(5) == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1], rel=1e-15)
    assert Int(1, 1000, log=True).grid(4) == [1, 10, 100, 1000]


def test_off_has_a_share_of_its_own():
    axis = Float(0.1, 10, log=True, none=True)
    assert axis.from_unit(0.05) is None
    assert axis.from_unit(0.1) == 0.1
    assert axis.from_unit(axis.to_unit(None)) is None


def test_a_choice_keeps_true_from_one():
    axis = Choice((1, True, "1"))
    assert [axis.index(value) for value in (1, True, "1")] == [0, 1, 2]
    assert not Choice((1, 2)).contains(True)
    with pytest.raises(ValueError, match="none of"):
        axis.index("2")


def test_conditions_switch_axes():
    space = SearchSpace({"opt": Choice(("sgd", "adam")), "m": Float(0, 1, when={"opt": "sgd"})}, {"k": 3})
    assert space.from_unit([0.0, 0.5]) == {"k": 3, "opt": "sgd", "m": 0.5}
    assert space.from_unit([0.9, 0.5]) == {"k": 3, "opt": "adam"}
    assert space["m"].when == {"opt": ("sgd",)}


def test_resolve_fills_in_and_makes_floats():
    space = SearchSpace({"a": Float(0, 2), "b": Int(0, 2)}, {"k": 3})
    config = space.resolve({"b": 1, "a": 1})
    assert list(config.items()) == [("k", 3), ("a", 1.0), ("b", 1)]
    assert isinstance(config["a"], float)


def test_the_order_of_axes_counts():
    a, b = Float(0, 1), Int(1, 2)
    assert SearchSpace({"a": a, "b": b}) != SearchSpace({"b": b, "a": a})
    assert SearchSpace({"a": a, "b": b}) == SearchSpace({"a": a, "b": b})


def test_a_frozen_dict_is_a_dict_that_stays():
    frozen = FrozenDict(a=1)
    assert frozen == {"a": 1}
    for change in (
        lambda: frozen.update(b=1),
        lambda: frozen.pop("a"),
        lambda: frozen.__ior__({"b": 1}),
        lambda: frozen.setdefault("b", 1),
        lambda: frozen.clear(),
        lambda: frozen.__delitem__("a"),
    ):
        with pytest.raises(TypeError, match="read-only"):
            change()


MISTAKES = [
    ({"float": [1, 0]}, "float", "[1.0, 0.0]", "Write [0.0, 1.0]"),
    ({"float": [1, 1]}, "float", "[1.0, 1.0]", "`fixed`"),
    ({"float": [0, 1], "log": True}, "float", "got 0", "drop `log`"),
    ({"int": [0, 9], "log": True}, "int", "got 0", "drop `log`"),
    ({"float": [0, 1], "step": 0.3}, "step", "0.3 does not divide", "high = 0.9 would fit"),
    ({"int": [0, 10], "step": 3}, "step", "3 does not divide", "high = 9 would fit"),
    ({"float": [1, 2], "step": 0.5, "log": True}, "step", "got step 0.5", "Leave one"),
    ({"float": [1e16, 2e16], "step": 0.5}, "step", "0.5 is lost", "more"),
    ({"float": ["1e-3", 1]}, "float[0]", "'1e-3'", "without quotes"),
    ({"float": [0, float("nan")]}, "float[1]", "got nan", "finite"),
    ({"float": [0, float("inf")]}, "float[1]", "got inf", "finite"),
    ({"float": [0, 10**400]}, "float[1]", "got 1000", "64 bits"),
    ({"float": [0, True]}, "float[1]", "got True", "number"),
    ({"float": 3}, "float", "got 3", "[low, high]"),
    ({"int": [0.5, 2]}, "int[0]", "got 0.5", "Use float"),
    ({"choice": []}, "choice", "got []", "at least one"),
    ({"choice": "abc"}, "choice", "got 'abc'", "[32, 64, 128]"),
    ({"choice": [1, 1.0]}, "choice[1]", "1.0 is listed twice", "once"),
    ({"choice": [[1]]}, "choice[0]", "[1] is a list", "Name the others"),
    ({"choice": ["\ud800"]}, "choice[0]", r"'\ud800'", "Unicode"),
    ({"choice": [1], "log": True}, "log", "unknown key for choice", "Allowed: when, prior"),
    ({"float": [0, 1], "none": "yes"}, "none", "got 'yes'", "true or false"),
    ({"float": [0, 1], "prior": 2}, "prior", "2 is not", "inside its range"),
    ({"float": [0, 1], "prior": {"value": 2}}, "prior.value", "2 is not", "inside its range"),
    ({"float": [0, 1], "prior": {"value": "a"}}, "prior.value", "'a'", "inside its range"),
    ({"float": [0, 1], "prior": {"value": 0.5, "sure": "hihg"}}, "prior.sure", "'hihg'", "Did you mean 'high'?"),
    ({"float": [0, 1], "prior": {"value": 0.5, "sure": 3}}, "prior.sure", "got 3", "low, medium, high"),
    ({"float": [0, 1], "prior": {"sure": "high"}}, "prior", "no value", "sure: high"),
    ({"float": [0, 1], "prior": {"value": 0.5, "width": 1}}, "prior.width", "unknown key", "value, sure"),
    ({"float": [0, 1], "sure": "high"}, "sure", "unknown key", "Allowed"),
    ({"float": [0, 1], "lgo": True}, "lgo", "unknown key", "Did you mean 'log'?"),
    ({"flaot": [0, 1]}, "flaot", "'flaot'", "Did you mean 'float'?"),
    ({"float": [0, 1], "int": [0, 1]}, "", "'int'", "For example"),
    ({}, "", "got {}", "For example"),
    (5, "", "got 5", "`fixed`"),
    ({"float": [0, 1], "when": []}, "when", "got []", "{optimizer: [sgd]}"),
    ({"float": [0, 1], "when": {"a": []}}, "when.a", "empty list", "List the values"),
    ({"float": [0, 1], "when": {1: [1]}}, "when", "got 1", "Quote it"),
]


@pytest.mark.parametrize(("form", "path", "given", "remedy"), MISTAKES, ids=lambda part: str(part)[:40])
def test_mistakes_in_an_axis(form, path, given, remedy):
    with pytest.raises(SpecError) as caught:
        parse_axis(form)
    assert caught.value.path == path
    assert given in str(caught.value)
    assert remedy in str(caught.value)


def test_a_prior_says_how_sure_it_is():
    plain, sure = parse_axis({"float": [0, 1], "prior": 0.5}), parse_axis({"float": [0, 1], "prior": {"value": 0.5}})
    assert plain == sure == Float(0, 1, prior=0.5, sure="medium")
    assert axis_to_dict(plain) == {"float": [0.0, 1.0], "prior": 0.5}
    choice = Choice(("a", "b"), prior="b", sure="low")
    assert axis_to_dict(choice) == {"choice": ["a", "b"], "prior": {"value": "b", "sure": "low"}}
    assert parse_axis(axis_to_dict(choice)) == choice
    with pytest.raises(SpecError, match="sure of what"):
        Int(0, 3, sure="high")


def _chain(**parents):
    return {name: Choice((0, 1), when={parent: [1]} if parent else None) for name, parent in parents.items()}


SPACE_MISTAKES = [
    (_chain(a="b"), "a.when.b", "no such axis: 'b'", "Allowed"),
    (_chain(optim=None, m="optm"), "m.when.optm", "'optm'", "Did you mean 'optim'?"),
    (_chain(a="b", b=None), "a.when.b", "'b' comes later", "move 'b' above 'a'"),
    (_chain(a="a"), "a.when.a", "a -> a", "Remove one"),
    (_chain(a="b", b="c", c="a"), "a.when.b", "a -> b -> c -> a", "Remove one"),
    ({"a": Choice((0, 1)), "b": Int(0, 1, when={"a": [2]})}, "b.when.a", "2 is not a value", "One of 0, 1"),
    ({"k": Int(0, 1)}, "k", "also under fixed (3)", "Keep one"),
]


@pytest.mark.parametrize(("axes", "path", "given", "remedy"), SPACE_MISTAKES, ids=lambda part: str(part)[:40])
def test_mistakes_between_axes(axes, path, given, remedy):
    with pytest.raises(SpecError) as caught:
        SearchSpace(axes, {"k": 3})
    assert caught.value.path == path
    assert given in str(caught.value)
    assert remedy in str(caught.value)


@pytest.mark.parametrize(
    ("config", "path", "given", "remedy"),
    [
        ({"a": 5, "b": 1}, "a", "5 is not", "from 0.0 to 2.0"),
        ({"b": 1}, "a", "no value", "every axis"),
        ({"a": 1, "b": 1, "k": 4}, "k", "got 4", "Leave it out"),
        ({"a": 1, "b": 1, "c": 4}, "c", "does not exist here", "Leave it out"),
        ({"a": 1, "b": 1, "bb": 4}, "bb", "no such axis: 'bb'", "Did you mean"),
    ],
)
def test_what_is_no_point_of_a_space(config, path, given, remedy):
    space = SearchSpace({"a": Float(0, 2), "b": Int(0, 2), "c": Int(0, 9, when={"b": 2})}, {"k": 3})
    with pytest.raises(SpecError) as caught:
        space.check(config)
    assert not space.contains(config)
    assert caught.value.path == path
    assert given in str(caught.value)
    assert remedy in str(caught.value)
