"""The Python API: `tuner.run`, `tuner.resume`, `tuner.study`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from tuner.home import author
from tuner.objective import reference_to
from tuner.records import Config, Value
from tuner.space import Axis, SearchSpace
from tuner.spec import StudySpec
from tuner.store import open_store
from tuner.workflows import run as workflow
from tuner.workflows.driver import Watch, unwatched
from tuner.workflows.revising import revise
from tuner.workflows.study import Study


def run(
    objective: Any,
    *,
    space: Mapping[str, Axis | Mapping[str, Any]] | SearchSpace,
    metric: str | Mapping[str, Any] | Any,
    direction: Literal["minimize", "maximize"] | None = None,
    study: str | None = None,
    seed: int = 0,
    fixed: Mapping[str, Value] | None = None,
    sampler: str | Mapping[str, Any] | Any = "auto",
    enqueue: Sequence[Config] = (),
    store: str | Path | None = None,
    address: str | None = None,
    fresh: bool = False,
    watch: Watch | None = None,
    **parts: Any,
) -> Study:
    """Tune `objective`, a Task or a function `(config, trial)`, and return its study.

    The arguments are the keys of a YAML spec; `parts` are the rest of them (scheduler, budget, parallel, resources,
    executor, checkpoint, failures, timeouts, storage), as models (`tuner.ASHA(max_resource=9)`) or as mappings. A
    study of the same name and spec goes on; `fresh` starts anew under the next free name. `store` is a URL or a path.

    Raises SpecError (and other UserMistakes) before anything is written, and RunFailed if the study cannot go on.
    """
    data = {
        "study": study or _name_of(objective),
        "objective": reference_to(objective),
        "metric": _metric(metric, direction),
        "seed": seed,
        "space": dict(space),
        "fixed": dict(space.fixed if isinstance(space, SearchSpace) else {}) | dict(fixed or {}),
        "sampler": {"name": sampler} if isinstance(sampler, str) else sampler,
        "enqueue": list(enqueue),
        **parts,
    }
    spec = StudySpec.from_dict(data)
    spec, _ = workflow.settle_name(open_store(store, create=False), spec, fresh=fresh)
    prepared = workflow.prepare(spec, objective, workflow.Options(address=address))
    return workflow.run(open_store(store), prepared, watch or unwatched)


def resume(
    name: str,
    objective: Any = None,
    *,
    trials: int | None = None,
    minutes: float | None = None,
    changes: Mapping[str, Any] | None = None,
    store: str | Path | None = None,
    address: str | None = None,
    watch: Watch | None = None,
) -> Study:
    """Go on with a study; `trials` and `minutes` are new totals, which extend it.

    `changes` revises its spec: path -> value in YAML form, such as {"scheduler.max_resource": 27}. `objective` is
    needed for closures and notebooks; otherwise the spec's is imported. Raises SpecError for what may not change.
    """
    opened = open_store(store, create=False)
    there = Study(opened, name)
    asked = dict(changes or {}) | {
        f"budget.{limit}": value for limit, value in (("trials", trials), ("minutes", minutes)) if value is not None
    }
    overrides = [f"{path}={json.dumps(value)}" for path, value in asked.items()]
    spec, limits = revise(there.spec, there.budget, overrides)
    prepared = workflow.prepare(spec, objective, workflow.Options(address=address))
    extension = workflow.Extension(author(), **limits, revised=spec != there.spec)
    return workflow.run(opened, prepared, watch or unwatched, extension=extension)


def study(name: str, *, store: str | Path | None = None) -> Study:
    """A study of the store, for reading. Raises StudyNotFound."""
    return Study(open_store(store, create=False), name)


def _name_of(objective: Any) -> str:
    name = getattr(objective, "__name__", None) or type(objective).__name__
    return str(name).strip("<>").lower()


def _metric(metric: Any, direction: str | None) -> Any:
    if not isinstance(metric, str):
        return metric
    return {"name": metric, "direction": direction or "minimize"}
