"""Search spaces: axes, conditions, and the unit cube they are sampled from."""

from tuner.space.axes import NONE_SHARE, Axis, Choice, Condition, Float, Int, check_value, same_value
from tuner.space.search_space import SearchSpace, axis_to_dict, describe, did_you_mean, parse_axis

__all__ = [
    "NONE_SHARE",
    "Axis",
    "Choice",
    "Condition",
    "Float",
    "Int",
    "SearchSpace",
    "axis_to_dict",
    "check_value",
    "describe",
    "did_you_mean",
    "parse_axis",
    "same_value",
]
