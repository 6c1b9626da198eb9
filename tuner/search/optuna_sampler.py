"""The sampler `auto` for Optuna's own studies: `study.sampler = AutoSampler()`, with a pruner or without."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.search_space import intersection_search_space
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from tuner.search._base import Observation
from tuner.search.auto import AutoProposer
from tuner.search.distinct import DistinctSampler
from tuner.seeds import derive_seed
from tuner.space import Axis, Choice, Float, Int, SearchSpace
from tuner.space.scale import BELOW_ONE
from tuner.spec import Metric
from tuner.spec.parts import Direction


class AutoSampler(BaseSampler):
    """Multi-fidelity Bayesian search (tuner/search/auto.py) behind Optuna's interface.

    It learns from finished, pruned, running and failed trials: from every octave of the steps that a trial reported
    (step 0 counts as 1), and from the value of a finished one at `max_resource`, which is the last step that any trial
    reported unless it is given. A loss that is NaN or infinite, and a trial that failed, are as bad as any. What is
    proposed is a function of (seed, the trial's number, the study's history), whatever process asks.

    What Optuna's interface does not allow: a trial that was pruned is over, so that no paused trial can be promoted
    later, as this platform's own studies do; whether a trial goes on is the pruner's affair, and the model has no say
    in it. Parameters that only some of the trials have (or whose range changes) are drawn at random, each by itself,
    and the model does not see them. A study has one objective: several raise ValueError.
    """

    def __init__(self, seed: int = 0, max_resource: int | None = None) -> None:
        if max_resource is not None and max_resource < 1:
            raise ValueError(f"max_resource must be at least 1, got {max_resource}; leave it out if it is not known")
        self._seed = seed
        self._max_resource = max_resource

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The parameters that all finished and pruned trials have in common."""
        del trial
        self._raise_error_if_multi_objective(study)
        common = intersection_search_space(study.get_trials(deepcopy=False), include_pruned=True)
        return {name: distribution for name, distribution in common.items() if not distribution.single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """What the model proposes for all of `search_space`, no other trial's configuration as long as there is one."""
        if not search_space:
            return {}
        space = SearchSpace({name: _axis(distribution) for name, distribution in search_space.items()})
        others = [other for other in study.get_trials(deepcopy=False) if other.number != trial.number]
        last = max((step for other in others for step in other.intermediate_values), default=1)
        max_resource = self._max_resource or max(last, 1)
        metric = Metric(name="value", direction=_direction(study))
        history = [
            Observation(
                other.number,
                {name: _encoded(distribution, other.params[name]) for name, distribution in search_space.items()},
                _losses(other, metric, max_resource),
                open=other.state is TrialState.RUNNING,
                failed=other.state is TrialState.FAIL,
            )
            for other in others
            if other.state is not TrialState.WAITING and _has_all(other, search_space)
        ]
        # Made anew each time: threads (n_jobs) share the sampler, and nothing but the history counts.
        by_level = any(other.intermediate_values for other in others)
        sampler = DistinctSampler(space, self._seed, AutoProposer(space, self._seed, by_level, max_resource))
        (config,) = sampler.ask(history, trial.number, 1)
        return {name: _decoded(distribution, config[name]) for name, distribution in search_space.items()}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """At random: in the first trial, and for parameters that not every trial has."""
        self._raise_error_if_multi_objective(study)
        unit = derive_seed(self._seed, "independent", trial.number, param_name) / 2**63
        value = _axis(param_distribution).from_unit(min(unit, BELOW_ONE))
        return _decoded(param_distribution, value)


def _axis(distribution: BaseDistribution) -> Axis:
    """The axis of a distribution with more than one value."""
    match distribution:
        case FloatDistribution():
            return Float(distribution.low, distribution.high, log=distribution.log, step=distribution.step)
        case IntDistribution():
            return Int(distribution.low, distribution.high, log=distribution.log, step=distribution.step)
        case CategoricalDistribution():
            return Choice(_labels(distribution))
    raise ValueError(f"no such distribution: {distribution!r}; known are float, int and categorical ones")


def _labels(distribution: CategoricalDistribution) -> tuple[Any, ...]:
    """What stands for the choices: numbers for themselves, because their order tells something; else their places."""
    choices: Sequence[Any] = distribution.choices
    are_numbers = all(type(choice) in (int, float) and math.isfinite(choice) for choice in choices)
    if are_numbers and len(set(choices)) == len(choices):
        return tuple(choices)
    return tuple(f"{place}" for place in range(len(choices)))


def _encoded(distribution: BaseDistribution, value: Any) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return _labels(distribution)[int(distribution.to_internal_repr(value))]
    return value


def _decoded(distribution: BaseDistribution, value: Any) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[_labels(distribution).index(value)]
    return value


def _has_all(trial: FrozenTrial, search_space: Mapping[str, BaseDistribution]) -> bool:
    """Whether the trial has a value of every parameter, in the ranges that hold now."""
    return all(trial.distributions.get(name) == distribution for name, distribution in search_space.items())


def _direction(study: Study) -> Direction:
    return "maximize" if study.direction is StudyDirection.MAXIMIZE else "minimize"


def _losses(trial: FrozenTrial, metric: Metric, max_resource: int) -> dict[int, float]:
    """Resource -> loss: the last report of every octave of steps, and how the trial ended, if it did."""
    octaves = {max(step, 1).bit_length(): step for step in sorted(trial.intermediate_values)}
    losses = {max(step, 1): metric.loss(trial.intermediate_values[step]) for step in octaves.values()}
    if trial.state is TrialState.COMPLETE:
        losses[max_resource] = metric.loss(trial.value)
    if trial.state is TrialState.FAIL:
        losses[max_resource] = math.inf
    return losses
