"""TPE, the tree-structured Parzen estimator (Bergstra et al. 2011; Watanabe 2023), through Optuna's TPESampler."""

from __future__ import annotations

from collections.abc import Sequence

from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState

from tuner.records import Config
from tuner.search._base import Observation
from tuner.search.distinct import uniform
from tuner.search.keys import PerConfig
from tuner.search.levels import Judgement, Standing, judge, thin
from tuner.search.optuna_space import OptunaSpace, Params
from tuner.search.optuna_view import OptunaView, frozen_trial, relative
from tuner.seeds import derive_seed
from tuner.space import SearchSpace

MOST_TRIALS = 256
"""Judged trials that a group is modelled on. With 250 Optuna's good side is at its full size, 25: more trials add only
to the bad side, whose density a few hundred describe as well."""
N_GOOD = 25
MOST_OPEN = 64
"""Open trials that proposals keep away from, the latest."""

_STATES = {
    Standing.JUDGED: TrialState.COMPLETE,
    Standing.LOWER: TrialState.PRUNED,
    Standing.OPEN: TrialState.RUNNING,
    # Optuna splits trials into good and bad by count, and fills the good half with failures when too few others are
    # there. What runs is on the bad side always; so is, for us, what failed.
    Standing.WORST: TrialState.RUNNING,
}


class TpeProposer:
    """Random until `judge` sees enough trials; then a fresh TPESampler, seeded by (seed, n), for every proposal.

    Axes are modelled jointly within the groups of `OptunaSpace`: first those without a condition, then, given their
    values, those that hang on them, from the trials that have them. Trials at the level are good or bad by loss; those
    that did not get there rank behind, by rung (Optuna's own rule for pruned trials); failed and open ones are bad.
    `random_share` of the proposals are random.
    """

    def __init__(self, space: SearchSpace, seed: int, by_level: bool, random_share: float) -> None:
        self._space = space
        self._seed = seed
        self._by_level = by_level
        self._random_share = random_share
        self._optuna = OptunaSpace(space)
        self._view = OptunaView()
        self._params = PerConfig(lambda config: self._optuna.encode(config) if space.contains(config) else None)
        self._frozen: dict[int, tuple[Judgement, Params, FrozenTrial]] = {}

    def propose(self, history: Sequence[Observation], n: int, attempt: int) -> Config:
        seed = derive_seed(self._seed, "ask", n, attempt)
        judgements = judge(history, len(self._space), self._by_level)
        if judgements is None or derive_seed(self._seed, "random", n) < self._random_share * 2**63:
            return uniform(self._space, seed)
        trials = self._trials(judgements, self._params(history))
        sampler = TPESampler(seed=seed % 2**32, n_startup_trials=0)
        params: Params = {}
        for group in self._optuna.groups:
            if self._optuna.exists(group[0], params):
                study = self._view.show(_some(group[0].name, *trials), sampler)
                params.update(relative(study, sampler, group, len(history)))
        return self._optuna.decode(params)

    def _trials(
        self, judgements: Sequence[Judgement], params: Sequence[Params | None]
    ) -> tuple[list[FrozenTrial], list[FrozenTrial]]:
        """For Optuna, the judged and failed trials from best to worst, and the open ones by number."""
        judged: list[tuple[tuple[int, int, float], int, FrozenTrial]] = []
        is_open: list[FrozenTrial] = []
        for position, (judgement, own) in enumerate(zip(judgements, params, strict=True)):
            if own is None or judgement.standing is Standing.UNKNOWN:
                continue
            trial = self._trial(position, judgement, own)
            if judgement.standing is Standing.OPEN:
                is_open.append(trial)
            else:
                judged.append((judgement.rank, position, trial))
        return [trial for _, _, trial in sorted(judged, key=lambda entry: entry[:2])], is_open

    def _trial(self, position: int, judgement: Judgement, params: Params) -> FrozenTrial:
        """The trial for Optuna: the one made for this position before, if nothing has changed."""
        known = self._frozen.get(position)
        if known is not None and known[0] == judgement and known[1] is params:
            return known[2]
        state = _STATES[judgement.standing]
        loss = None if state is TrialState.RUNNING else judgement.loss
        trial = frozen_trial(position, state, params, loss, judgement.resource)
        self._frozen[position] = (judgement, params, trial)
        return trial


def _some(name: str, judged: Sequence[FrozenTrial], is_open: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Of those that have parameter `name`: at most `MOST_TRIALS` judged trials and the latest `MOST_OPEN` open ones."""
    having = [trial for trial in judged if name in trial.params]
    chosen = [having[index] for index in thin(len(having), N_GOOD, MOST_TRIALS)]
    chosen += [trial for trial in is_open if name in trial.params][-MOST_OPEN:]
    return sorted(chosen, key=lambda trial: trial.number)
