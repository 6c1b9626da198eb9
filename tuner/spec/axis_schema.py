"""JSON Schema of the axis forms: {float: [low, high], ...}, {int: [low, high], ...}, {choice: [...], ...}."""

from __future__ import annotations

from typing import Any, get_args

from tuner.space import Sure

_SCALAR: dict[str, Any] = {"type": ["boolean", "number", "string", "null"]}

CONFIG_SCHEMA: dict[str, Any] = {"type": "object", "additionalProperties": _SCALAR}
"""name -> value."""

_WHEN = {
    "description": "The axis exists only where each of these names has one of these values.",
    "type": "object",
    "minProperties": 1,
    "additionalProperties": {"anyOf": [_SCALAR, {"type": "array", "minItems": 1, "items": _SCALAR}]},
}


def _prior(value: dict[str, Any]) -> dict[str, Any]:
    sure = {"enum": list(get_args(Sure)), "default": "medium", "description": "How sure you are of it."}
    return {
        "description": "A good value: tried first, and searched around as long as that pays.",
        "anyOf": [
            value,
            {
                "type": "object",
                "properties": {"value": value, "sure": sure},
                "required": ["value"],
                "additionalProperties": False,
            },
        ],
    }


def _form(kind: str, body: dict[str, Any], description: str, **options: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "description": description,
        "properties": {kind: body, **options, "when": _WHEN},
        "required": [kind],
        "additionalProperties": False,
    }


def _range(number: str) -> dict[str, Any]:
    return {"type": "array", "items": {"type": number}, "minItems": 2, "maxItems": 2, "description": "[low, high]"}


def _options(number: str) -> dict[str, Any]:
    return {
        "log": {"type": "boolean", "default": False, "description": "Search the logarithm: low must be above 0."},
        "step": {"type": number, "exclusiveMinimum": 0, "description": "Only low + k * step."},
        "none": {"type": "boolean", "default": False, "description": "The axis may also be off: null."},
        "prior": _prior({"type": number}),
    }


SPACE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "minProperties": 1,
    "additionalProperties": {
        "anyOf": [
            _form("float", _range("number"), "A real number.", **_options("number")),
            _form("int", _range("integer"), "A whole number.", **_options("integer")),
            _form(
                "choice",
                {"type": "array", "minItems": 1, "items": _SCALAR, "description": "The values."},
                "One of several values, without an order.",
                prior=_prior(_SCALAR),
            ),
        ]
    },
}
"""name -> axis."""
