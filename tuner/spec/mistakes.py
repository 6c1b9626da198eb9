"""pydantic's findings as one SpecError: the path, the value given, what is allowed, and a "did you mean".

What is allowed is read from the field's own JSON Schema (`words`), so that a message never disagrees with the model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from tuner.errors import SpecError, did_you_mean, shown

Schema = Mapping[str, Any]


def model_mistake(error: ValidationError, model: type[BaseModel], data: Any) -> SpecError:
    """The SpecError for a mapping that is none, or has keys too many or too few.

    An unknown key comes first: it is most often the missing one, misspelt.
    """
    keys = {field.alias or name: field for name, field in model.model_fields.items()}
    if not isinstance(data, Mapping):
        hint = f"Write {{name: {data}}}." if isinstance(data, str) and "name" in keys else f"Keys: {', '.join(keys)}."
        return SpecError(f"must be a mapping, got {shown(data)}", hint=hint)
    for key in data:
        if key not in keys:
            return SpecError(f"unknown key, got {shown(key)}", path=str(key), hint=did_you_mean(str(key), keys))
    finding = error.errors()[0]
    path = str(finding["loc"][-1])
    given = f"got {', '.join(data)}" if data else "got no keys"
    return SpecError(f"is missing, {given}", path=path, hint=keys[path].description)


def field_mistake(error: ValidationError, model: type[BaseModel], key: str, value: Any) -> SpecError:
    """The SpecError for a field's value, its path relative to the model."""
    document = model.model_json_schema()
    schema = document["properties"][key]
    path = key
    for part in error.errors()[0]["loc"]:
        # pydantic names the branch of a union here too: only what is in the value is part of the path.
        if isinstance(value, Mapping) and part in value:
            path, value, schema = f"{path}.{part}", value[part], schema.get("additionalProperties", {})
        elif isinstance(value, list | tuple) and isinstance(part, int):
            path, value, schema = f"{path}[{part}]", value[part], schema.get("items", {})
    hint = did_you_mean(value, _literals(schema)) if isinstance(value, str) and _literals(schema) else None
    return SpecError(
        f"must be {words(schema, value)}, got {shown(value)}",
        path=path,
        hint=hint or _quoted(value, schema) or _purpose(schema),
    )


def words(schema: Schema, value: Any = None) -> str:
    """A JSON Schema node as what comes after "must be"; an upper limit only where `value` is above it."""
    if "anyOf" in schema:
        return " or ".join(words(branch, value) for branch in schema["anyOf"])
    if "const" in schema:
        return repr(schema["const"])
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    noun = _NOUNS.get(str(schema.get("type")), "something else")
    if schema.get("maxProperties") == 0 or schema.get("maxItems") == 0:
        return f"empty, as nothing can be given here yet ({noun})"
    if schema.get("minLength"):
        return f"{noun} that is not empty"
    if isinstance(value, float) and not math.isfinite(value):
        noun = noun.replace("a number", "a finite number")
    limits = [f"{word} {schema[key]}" for key, word in _LOWER.items() if key in schema]
    if isinstance(value, int | float):
        limits += [f"{word} {schema[key]}" for key, word in _UPPER.items() if key in schema and value >= schema[key]]
    return " ".join([noun, " and ".join(limits)]).strip()


_NOUNS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "null": "null",
    "object": "a mapping",
    "array": "a list",
}

_LOWER = {"minimum": "of at least", "exclusiveMinimum": "above"}
_UPPER = {"maximum": "of at most", "exclusiveMaximum": "below"}


def _literals(schema: Schema) -> list[str]:
    """The words that the schema allows, if it allows any."""
    here = [schema["const"]] if "const" in schema else list(schema.get("enum", []))
    return here + [word for branch in schema.get("anyOf", []) for word in _literals(branch)]


def _quoted(value: Any, schema: Schema) -> str | None:
    types = {branch.get("type") for branch in [schema, *schema.get("anyOf", [])]}
    if isinstance(value, str) and types & {"integer", "number", "boolean"} and value.strip("+-.").isalnum():
        return "Write it without quotes." if value[:1].isdigit() else None
    if types == {"string"} and isinstance(value, int | float):
        return f'Quote it: "{value}".'
    return None


def _purpose(schema: Schema) -> str | None:
    description = schema.get("description")
    return str(description) if description else None
