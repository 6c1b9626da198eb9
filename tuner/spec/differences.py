"""Where two specs differ, for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def differences(there: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """Where two specs in YAML form differ, as "path: old -> new"."""
    return list(_differences(there, given, ""))


def _differences(there: Any, given: Any, path: str) -> Iterator[str]:
    if isinstance(there, Mapping) and isinstance(given, Mapping):
        for key in [*there, *(key for key in given if key not in there)]:
            below = f"{path}.{key}" if path else str(key)
            if key not in given:
                yield f"{below}: {there[key]!r} -> nothing"
            elif key not in there:
                yield f"{below}: nothing -> {given[key]!r}"
            else:
                yield from _differences(there[key], given[key], below)
        if list(there) != list(given) and set(there) == set(given):
            yield f"{path}: another order"
    elif there != given:
        yield f"{path}: {there!r} -> {given!r}"
