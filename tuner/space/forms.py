"""Axes in their YAML form, and in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from tuner.errors import SpecError, did_you_mean, shown
from tuner.space.axes import Axis, Choice, Float, Int

KINDS: dict[str, type[Float] | type[Int] | type[Choice]] = {"float": Float, "int": Int, "choice": Choice}

_OPTIONS = ("log", "step", "none", "when", "prior")

_EXAMPLE = "For example: {float: [1.0e-5, 1.0], log: true}, {int: [1, 4]} or {choice: [32, 64]}."


def parse_axis(data: Any) -> Axis:
    """An axis from its YAML form (`{float: [0, 1], log: true}`), or as it is if it is one already."""
    if isinstance(data, Float | Int | Choice):
        return data
    if not isinstance(data, Mapping):
        raise SpecError(f"must be an axis, got {shown(data)}", hint=f"{_EXAMPLE} A single value belongs under `fixed`.")
    kind = _kind(data)
    options = {key: value for key, value in data.items() if key != kind}
    allowed = _options(KINDS[kind])
    for option in options:
        if option not in allowed:
            raise SpecError(f"unknown key for {kind}", path=str(option), hint=did_you_mean(str(option), allowed))
    options |= _prior(options.get("prior"))
    try:
        return Choice(data[kind], **options) if kind == "choice" else _ranged(kind, data[kind], options)
    except SpecError as error:
        raise _within_prior(error, data.get("prior")) from None


def _prior(given: Any) -> dict[str, Any]:
    """A prior's YAML form, a value or {value: .., sure: ..}, as an axis's arguments."""
    if not isinstance(given, Mapping):
        return {}
    for key in given:
        if key not in ("value", "sure"):
            raise SpecError("unknown key", path=f"prior.{key}", hint=did_you_mean(str(key), ["value", "sure"]))
    if given.get("value") is None:
        raise SpecError(f"no value, got {shown(dict(given))}", path="prior", hint="Such as {value: 0.001, sure: high}.")
    return {"prior": given["value"], "sure": given.get("sure", "medium")}


def _within_prior(error: SpecError, given: Any) -> SpecError:
    """The error of an axis, its path as in YAML, where `sure` stands below `prior`."""
    below = {"sure": "prior.sure", "prior": "prior.value"} if isinstance(given, Mapping) else {}
    return SpecError(error.message, path=below.get(error.path, error.path), hint=error.hint)


def _kind(data: Mapping[Any, Any]) -> str:
    kinds = [kind for kind in KINDS if kind in data]
    if len(kinds) == 1:
        return kinds[0]
    unknown = [str(key) for key in data if key not in _OPTIONS]
    if kinds or not unknown:
        raise SpecError(f"must have one of float, int, choice; got {shown(dict(data))}", hint=_EXAMPLE)
    hint = did_you_mean(unknown[0], KINDS)
    raise SpecError(f"must have one of float, int, choice; got {unknown[0]!r}", path=unknown[0], hint=hint)


def _ranged(kind: str, bounds: Any, options: dict[str, Any]) -> Axis:
    if isinstance(bounds, str | bytes) or not isinstance(bounds, Sequence) or len(bounds) != 2:
        raise SpecError(f"must be [low, high], got {shown(bounds)}", path=kind, hint=_EXAMPLE)
    try:
        return KINDS[kind](*bounds, **options)
    except SpecError as error:
        index = {"low": f"{kind}[0]", "high": f"{kind}[1]"}
        raise SpecError(error.message, path=index.get(error.path, error.path), hint=error.hint) from None


def _options(cls: type[Axis]) -> list[str]:
    return [field.name for field in fields(cls) if field.name in _OPTIONS]


def axis_to_dict(axis: Axis) -> dict[str, Any]:
    """The YAML form of an axis; `parse_axis` reads it back."""
    kind = next(kind for kind, cls in KINDS.items() if isinstance(axis, cls))
    body: dict[str, Any] = {kind: list(axis.values) if isinstance(axis, Choice) else [axis.low, axis.high]}
    for option in fields(axis):
        value = getattr(axis, option.name)
        if option.name in _OPTIONS and value != option.default:
            body[option.name] = {k: list(v) for k, v in value.items()} if option.name == "when" else value
    if axis.sure != "medium":
        body["prior"] = {"value": axis.prior, "sure": axis.sure}
    return body


def describe(axis: Axis) -> str:
    """The axis in words, for messages."""
    if isinstance(axis, Choice):
        return f"One of {', '.join(map(repr, axis.values))}."
    kind = "A whole number" if isinstance(axis, Int) else "A number"
    step = f", in steps of {axis.step}" if axis.step not in (None, 1) else ""
    return f"{kind} from {axis.low} to {axis.high}{step}{', or null' if axis.none else ''}."
