"""An Optuna study that is a view of our trials: no record of its own, nothing told, nothing kept.

Optuna's samplers read a study's trials through its storage. Ours is set anew for every ask, so that what they propose
is a function of the history and the seed; adding the trials to an Optuna study each time would cost 0.17 ms a trial.
"""

from __future__ import annotations

import logging
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from optuna.samplers import BaseSampler
from optuna.storages import InMemoryStorage
from optuna.study import Study, StudyDirection, load_study
from optuna.trial import FrozenTrial, TrialState

from tuner.search.optuna_space import Parameter, Params

_NAME = "view"


class OptunaView:
    """Asks Optuna samplers about a list of trials."""

    def __init__(self) -> None:
        self._storage = _ViewStorage()
        with quiet():  # every new study is logged to the terminal
            self._storage.create_new_study([StudyDirection.MINIMIZE], _NAME)

    def show(self, trials: Sequence[FrozenTrial], sampler: BaseSampler) -> Study:
        """A study of `trials`, numbered by position, until the next `show`."""
        self._storage.trials = list(trials)
        return load_study(study_name=_NAME, storage=self._storage, sampler=sampler)


def relative(study: Study, sampler: BaseSampler, parameters: Sequence[Parameter], n_trials: int) -> Params:
    """What `sampler` proposes for `parameters` jointly, given those trials of `study` that have them all.

    `n_trials` is above every trial's number: the number of the proposal.
    """
    several = {p.name: p.distribution for p in parameters if not p.distribution.single()}
    params: Params = {p.name: 0 for p in parameters if p.name not in several}
    if several:
        trial = frozen_trial(n_trials, TrialState.RUNNING, {})
        with quiet():
            params.update(sampler.sample_relative(study, trial, several))
    return params


def frozen_trial(
    number: int, state: TrialState, params: Mapping[str, Any], loss: float | None = None, resource: int = 0
) -> FrozenTrial:
    """An Optuna trial. A PRUNED one carries its loss as the intermediate value at `resource`.

    It has no distributions: samplers are given the space, they need not infer it.
    """
    pruned = state is TrialState.PRUNED
    assert loss is not None or not pruned
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=state,
        params=dict(params),
        distributions={},
        value=None if pruned else loss,
        intermediate_values={resource: loss} if pruned and loss is not None else {},
        user_attrs={},
        system_attrs={},
        datetime_start=None,
        datetime_complete=None,
    )


class _ViewStorage(InMemoryStorage):
    """The one class here that overrides: Optuna takes a storage by inheritance only."""

    def __init__(self) -> None:
        super().__init__()
        self.trials: list[FrozenTrial] = []

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        del study_id, deepcopy  # samplers do not change what they read
        return [trial for trial in self.trials if states is None or trial.state in states]

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """A sampler notes here what it proposes, for other processes on the same storage: there are none."""


@contextmanager
def quiet() -> Iterator[None]:
    """Lets Optuna's loggers report errors only, for the length of a block."""
    logger = logging.getLogger("optuna")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
