"""A study's spec, changed when the study has begun: what may change, and which trials go on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tuner.errors import SpecError, shown
from tuner.records import Config
from tuner.spec import Budget, StudySpec, apply_override

MAY_CHANGE = (
    "space",
    "sampler",
    "scheduler.max_resource",
    "budget",
    "failures",
    "timeouts",
    "checkpoint",
    "resources",
    "parallel",
    "executor",
)
"""What has been learned keeps its meaning under all of these."""

LIMITS = ("trials", "minutes", "epochs")


def revise(spec: StudySpec, standing: Budget, overrides: Sequence[str]) -> tuple[StudySpec, dict[str, Any]]:
    """A begun study's spec with `overrides` (path=value each), and the limits of its `standing` budget as they change.

    Raises SpecError for what cannot be, or may not change any more. The limits in the spec stay: a budget is extended
    by a command, which a running study hears too.
    """
    before = spec.to_dict() | {"budget": standing.model_dump(mode="json")}
    data = before
    for override in overrides:
        data = apply_override(data, override)
    revised = StudySpec.from_dict(data)
    after = revised.to_dict()
    _check(before, after)
    limits = {name: after["budget"][name] for name in LIMITS if after["budget"][name] != before["budget"][name]}
    budget = spec.budget.model_copy(update={"until": revised.budget.until})
    return revised.model_copy(update={"budget": budget}), limits


def horizon_free(objective: Any, configs: Iterable[Config]) -> list[int]:
    """The numbers of the trials, given their `configs` in order, that train alike whatever max_resource is."""
    if not getattr(objective, "__tuner_task__", False):
        return [number for number, _ in enumerate(configs) if not getattr(objective, "uses_horizon", True)]
    from tuner.training.horizon import is_horizon_free  # imports torch

    return [number for number, config in enumerate(configs) if is_horizon_free(objective, config)]


def _check(before: dict[str, Any], after: dict[str, Any]) -> None:
    for key in {**before, **after}:
        if before.get(key) != after.get(key) and key not in MAY_CHANGE and key != "scheduler":
            raise _cannot(key, before.get(key), after.get(key))
    for key in {**before["scheduler"], **after["scheduler"]}:
        old, new = before["scheduler"].get(key), after["scheduler"].get(key)
        if old != new and key != "max_resource":
            raise _cannot(f"scheduler.{key}", old, new)
        if key == "max_resource" and new < old:
            raise SpecError(
                f"must not be below {old}, to which trials were trained: got {new}",
                path="scheduler.max_resource",
                hint="A shorter study is another one: run it under another --name.",
            )


def _cannot(path: str, old: Any, new: Any) -> SpecError:
    hint = "Try it with `tune enqueue`." if path == "enqueue" else "Run another study: `tune run SPEC --name NAME`."
    return SpecError(
        f"cannot change in a study that has begun: it is {shown(old)}, got {shown(new)}",
        path=path,
        hint=f"What may change: {', '.join(MAY_CHANGE)}. {hint}",
    )
