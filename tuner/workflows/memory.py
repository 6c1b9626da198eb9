"""What a new study takes over from the studies of its `warm_start`."""

from __future__ import annotations

import math
from collections.abc import Mapping

from tuner.analysis import leaderboard
from tuner.errors import SpecError, did_you_mean
from tuner.records import Config, Value
from tuner.space import Float
from tuner.spec import Memory, StudySpec
from tuner.store import StudyStore

MOST = 8
"""Of n trials with a value the best √n are remembered, at most so many."""


def with_memory(store: StudyStore, spec: StudySpec) -> StudySpec:
    """The spec with what it remembers of the studies of `warm_start`; as it is if it remembers already.

    Raises SpecError, at `warm_start[i]`, for a study that is not there, is running, optimises in the other direction,
    or has nothing that this space can use. Nothing is written.
    """
    if not spec.warm_start or spec.memory:
        return spec
    memory = []
    for index, name in enumerate(spec.warm_start):
        try:
            memory.append(_memory(store, spec, name))
        except SpecError as error:
            raise error.at(f"warm_start[{index}]") from None
    return StudySpec.from_dict(spec.to_dict() | {"memory": memory})


def _memory(store: StudyStore, spec: StudySpec, name: str) -> Memory:
    names = store.names()
    if name not in names:
        raise SpecError(
            f"there is no study {name!r} in the store",
            hint=did_you_mean(name, names) if names else "It has no studies yet.",
        )
    record = store.study(name)
    theirs, ours = record.spec.metric, spec.metric
    if record.holder is not None:
        raise SpecError(f"study {name!r} is running", hint=f"Wait for its end, or end it: tune stop {name}.")
    if theirs.direction != ours.direction:
        raise SpecError(
            f"study {name!r} was to {theirs.direction} {theirs.name}, and this one is to {ours.direction} {ours.name}",
            hint="Leave it out, or enqueue the configurations that you want from it.",
        )
    common = [axis for axis in spec.axes if axis in record.spec.axes or axis in record.spec.fixed]
    if not common:
        raise SpecError(
            f"study {name!r} has none of this study's axes ({', '.join(spec.axes)})",
            hint=f"It has {', '.join([*record.spec.axes, *record.spec.fixed])}.",
        )
    ranked = leaderboard(store.trials(name), theirs)
    if not ranked:
        raise SpecError(f"study {name!r} has no trial with a value", hint="Leave it out.")
    best = ranked[: min(math.ceil(math.sqrt(len(ranked))), MOST)]
    configs = [config for trial in best if (config := _translated(spec, trial.config))]
    if not configs:
        raise SpecError(
            f"the best trials of study {name!r} have no value of {', '.join(common)} that lies in this space",
            hint="Widen the axes, or leave it out.",
        )
    return Memory(study=name, trials=len(ranked), configs=tuple(configs))


def _translated(spec: StudySpec, config: Config) -> Mapping[str, Value]:
    """The values of a configuration that axes of this space can take, as they take them."""
    values = {name: config[name] for name, axis in spec.axes.items() if name in config and axis.contains(config[name])}
    return {
        name: float(value) if isinstance(spec.axes[name], Float) and isinstance(value, int) else value
        for name, value in values.items()
    }
