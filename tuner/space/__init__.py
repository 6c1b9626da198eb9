"""Search spaces: axes, conditions, and the unit cube they are sampled from."""

from tuner.space.axes import NONE_SHARE, Axis, Choice, Float, Int, Sure
from tuner.space.checks import Condition, check_name, check_value, same_value
from tuner.space.forms import axis_to_dict, describe, parse_axis
from tuner.space.frozen import FrozenDict
from tuner.space.search_space import SearchSpace

__all__ = [
    "NONE_SHARE",
    "Axis",
    "Choice",
    "Condition",
    "Float",
    "FrozenDict",
    "Int",
    "SearchSpace",
    "Sure",
    "axis_to_dict",
    "check_name",
    "check_value",
    "describe",
    "parse_axis",
    "same_value",
]
