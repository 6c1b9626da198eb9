"""A study's description from a YAML file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tuner.errors import SpecError, did_you_mean, shown
from tuner.spec.overrides import apply_override, parse_override, place_of
from tuner.spec.study_spec import StudySpec
from tuner.spec.yaml_nodes import read_yaml

MAX_BYTES = 256 * 1024
"""A spec is a page. This is what is read at most."""


def load_spec(path: str | Path, overrides: Iterable[str] = ()) -> StudySpec:
    """The spec in a YAML file, changed by `overrides` such as "space.lr.log=true".

    YAML 1.2: on, off, yes and no are text, 1e-3 is a number. `study` is the file's stem if the file names none. Raises
    SpecError with the file, the line, the path, the value given and the remedy.
    """
    path = Path(path)
    source = str(path)
    data, places = read_yaml(_read(path), source)
    if data is None:
        raise SpecError("the file is empty", where=source, hint=_WHAT_IT_TAKES)
    if not isinstance(data, dict):
        raise SpecError(f"must be a mapping, got {shown(data)}", where=places[""], hint=_WHAT_IT_TAKES)
    data = {"study": path.stem, **data}
    return _overridden(data, overrides, places, source)


def with_overrides(spec: StudySpec, overrides: Iterable[str]) -> StudySpec:
    """The spec changed by `overrides`, as `load_spec` does it to a file."""
    return _overridden(spec.to_dict(), overrides, {}, None)


def _overridden(
    data: dict[str, Any], overrides: Iterable[str], places: dict[str, str], source: str | None
) -> StudySpec:
    for override in overrides:
        data = apply_override(data, override)
        path = parse_override(override)[0]
        place = place_of(override)
        places = {key: where for key, where in places.items() if not _below(key, path)}
        parts = path.split(".")
        for count in range(len(parts), 0, -1):
            places.setdefault(".".join(parts[:count]), place)
    return _located(data, places, source)


def _located(data: Mapping[str, Any], places: Mapping[str, str], source: str | None) -> StudySpec:
    """The spec of `data`; a SpecError names the place of the nearest thing above its path that has one."""
    try:
        return StudySpec.from_dict(data)
    except SpecError as error:
        above = [key for key in places if key and _below(error.path, key)]
        raise error.at("", where=places[max(above, key=len)] if above else source) from None


def _below(path: str, top: str) -> bool:
    """Whether `path` is `top` or lies below it."""
    return path == top or path.startswith((f"{top}.", f"{top}["))


_WHAT_IT_TAKES = "A spec needs objective, metric and space; `tune schema` shows all of it."


def _read(path: Path) -> str:
    source = str(path)
    try:
        if path.is_dir():
            raise SpecError("is a directory", where=source, hint="Name a YAML file in it.")
        if not path.exists():
            raise SpecError("no such file", where=source, hint=_beside(path))
        if not path.is_file():
            raise SpecError("is not a regular file", where=source, hint="Name a YAML file.")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        hint = "Check the path, and its permissions."
        raise SpecError(f"cannot be read: {error.strerror}", where=source, hint=hint) from None
    if len(content) > MAX_BYTES:
        raise SpecError(
            f"is too large: {path.stat().st_size:,} bytes, at most {MAX_BYTES:,} are read",
            where=source,
            hint="A spec is a page of YAML. Is this the file you meant?",
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SpecError(
            f"byte 0x{content[error.start]:02x} is not UTF-8", where=f"{source}:{line}", hint="Save it as UTF-8."
        ) from None


def _beside(path: Path) -> str:
    names = sorted(p.name for p in path.parent.glob("*.y*ml")) if path.parent.is_dir() else []
    return did_you_mean(path.name, names) if names else f"There is no YAML file in {path.parent.absolute()}."
