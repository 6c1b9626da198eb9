"""TPE, the tree-structured Parzen estimator (Bergstra et al. 2011; Watanabe 2023), through Optuna's TPESampler."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState

from tuner.records import Config
from tuner.search._base import Observation
from tuner.search.distinct import uniform
from tuner.search.judging import Judge
from tuner.search.keys import PerConfig
from tuner.search.levels import Judgement, Standing, thin
from tuner.search.optuna_space import OptunaSpace, Parameter, Params
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
        self.space = space
        self.seed = seed
        self._judge = Judge(len(space), by_level)
        self._random_share = random_share
        self.optuna = OptunaSpace(space)
        self._view = OptunaView()
        self._params = PerConfig(lambda config: self.optuna.encode(config) if space.contains(config) else None)
        self._frozen: dict[int, tuple[Judgement, Params, FrozenTrial]] = {}

    def propose(self, history: Sequence[Observation], n: int, attempt: int) -> Config:
        return self.batch(history).propose(n, attempt)

    def batch(self, history: Sequence[Observation]) -> TpeBatch:
        """Proposals that share the trials as Optuna sees them, which takes as long as there are trials."""
        judgements = self._judge(history)
        trials = None if judgements is None else self._trials(judgements, self._params(history))
        return TpeBatch(self, trials, len(history))

    def is_random(self, n: int) -> bool:
        """Whether the n-th proposal is a random one in any case."""
        return derive_seed(self.seed, "random", n) < self._random_share * 2**63

    def relative(
        self, trials: Sequence[FrozenTrial], sampler: TPESampler, group: Sequence[Parameter], number: int
    ) -> Params:
        """What is proposed for the group's axes, to the trial with that number."""
        return relative(self._view.show(trials, sampler), sampler, group, number)

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


@final
class TpeBatch:
    """Proposals one after the other; those that were taken are open trials, as in asks of one.

    `trials`: the judged and failed ones from best to worst, and the open ones by number; None while all is random.
    """

    def __init__(
        self, tpe: TpeProposer, trials: tuple[list[FrozenTrial], list[FrozenTrial]] | None, n_trials: int
    ) -> None:
        self._tpe = tpe
        self._trials = trials
        self._n_trials = n_trials
        self._judged: dict[str, list[FrozenTrial]] = {}

    def propose(self, n: int, attempt: int) -> Config:
        seed = derive_seed(self._tpe.seed, "ask", n, attempt)
        if self._trials is None or self._tpe.is_random(n):
            return uniform(self._tpe.space, seed)
        params: Params = {}
        sampler = TPESampler(seed=seed % 2**32, n_startup_trials=0)
        for group in self._tpe.optuna.groups:
            if self._tpe.optuna.exists(group[0], params):
                params.update(self._tpe.relative(self._some(group[0].name), sampler, group, self._n_trials))
        return self._tpe.optuna.decode(params)

    def take(self, config: Config) -> None:
        if self._trials is not None and self._tpe.space.contains(config):
            params = self._tpe.optuna.encode(config)
            self._trials[1].append(frozen_trial(self._n_trials, TrialState.RUNNING, params))
        self._n_trials += 1

    def _some(self, name: str) -> list[FrozenTrial]:
        """Of those that have parameter `name`: at most `MOST_TRIALS` judged ones, the latest `MOST_OPEN` open ones."""
        assert self._trials is not None
        judged, is_open = self._trials
        if name not in self._judged:
            having = [trial for trial in judged if name in trial.params]
            self._judged[name] = [having[index] for index in thin(len(having), N_GOOD, MOST_TRIALS)]
        latest = [trial for trial in is_open if name in trial.params][-MOST_OPEN:]
        return sorted([*self._judged[name], *latest], key=lambda trial: trial.number)
