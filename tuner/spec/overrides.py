"""`--set path=value`: one value of a spec, changed from the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tuner.errors import SpecError, shown
from tuner.spec.yaml_nodes import read_yaml


def place_of(override: str) -> str:
    """How a message names an override as the place of a mistake; a URL is left out, as it may have a password."""
    return f"--set {override.partition('=')[0]}=..." if "://" in override else f"--set {override}"


def parse_override(override: str) -> tuple[str, Any]:
    """The path and the value of "path=value"; the value is YAML: 1e-3, [1, 4], {choice: [a, b]}; nothing is null."""
    path, equals, text = override.partition("=")
    path = path.strip()
    where = place_of(override)
    if not equals or not path or not all(path.split(".")):
        raise SpecError(
            f"must be path=value, got {shown(override)}", where=where, hint="For example: --set space.lr.log=true."
        )
    try:
        value, _ = read_yaml(text, where)
    except SpecError as error:
        raise SpecError(
            f"the value is not YAML: {error.message}, got {shown(text)}",
            path=path,
            where=where,
            hint="Quote what is text: --set 'storage=\"a: b\"'.",
        ) from None
    return path, value


def apply_override(data: Mapping[str, Any], override: str) -> dict[str, Any]:
    """`data` with the value at the override's path replaced; mappings on the way to it are made where missing.

    A key that holds dots itself is found before the path is split at them. Raises SpecError, `where` the override.
    """
    path, value = parse_override(override)
    try:
        return _replaced(data, path, value)
    except SpecError as error:
        raise SpecError(error.message, path=error.path, where=place_of(override), hint=error.hint) from None


def _replaced(data: Any, path: str, value: Any, above: str = "") -> dict[str, Any]:
    if data is not None and not isinstance(data, Mapping):
        raise SpecError(
            f"is not a mapping but {shown(data)}", path=above, hint=f"Set {above} as a whole: --set '{above}=...'."
        )
    known = dict(data or {})
    matching = [key for key in known if path == key or path.startswith(f"{key}.")]
    key = max(matching, key=len) if matching else path.partition(".")[0]
    rest = path[len(key) + 1 :]
    place = f"{above}.{key}" if above else key
    return {**known, key: _replaced(known.get(key), rest, value, place) if rest else value}
