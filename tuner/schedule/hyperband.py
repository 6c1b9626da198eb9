"""Asynchronous Hyperband: ASHA in several brackets, whose first rungs differ.

Li, Jamieson, DeSalvo, Rostamizadeh, Talwalkar: Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization,
JMLR 18 (2018), Algorithm 1, run asynchronously as in Li et al., MLSys 2020, §3.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import final

from tuner.records import Decision
from tuner.schedule._base import Stretch
from tuner.schedule.asha import PromotingASHA, StoppingASHA


def bracket_sizes(n_brackets: int, reduction_factor: int) -> tuple[int, ...]:
    """How many trials each bracket gets of a round, the one with the lowest first rung first.

    Algorithm 1 gives ceil((s_max + 1)/(s + 1) · η^s) to its bracket s, which starts at R·η^-s. Ours are numbered by
    their first rung r·η^i, so i = s_max - s.
    """
    return tuple(-(-n_brackets * reduction_factor**s // (s + 1)) for s in reversed(range(n_brackets)))


class BracketOrder:
    """Which bracket a trial belongs to: a function of its number alone.

    Each next trial goes to the bracket that is furthest behind its share, the lowest first rung among equals. So after
    sum(sizes) trials every bracket has exactly its size, and before that each has about its share.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        self._sizes = tuple(sizes)
        self._behind = [0] * len(self._sizes)
        self._brackets: list[int] = []

    def bracket(self, trial: int) -> int:
        """The index of the trial's bracket."""
        while len(self._brackets) <= trial:
            self._behind = [behind + size for behind, size in zip(self._behind, self._sizes, strict=True)]
            chosen = self._behind.index(max(self._behind))
            self._behind[chosen] -= sum(self._sizes)
            self._brackets.append(chosen)
        return self._brackets[trial]


@final
class AsyncHyperband:
    """One ASHA per rung to start from; the last bracket runs its trials straight to max_resource.

    A promotion is the most advanced one over all brackets, then the one with the best loss, then the lower number.
    """

    def __init__(self, brackets: Sequence[PromotingASHA | StoppingASHA], sizes: Sequence[int]) -> None:
        if len(brackets) != len(sizes):
            raise ValueError(f"{len(brackets)} brackets need as many sizes, got {len(sizes)}")
        self.max_resource = max(bracket.max_resource for bracket in brackets)
        self._brackets = tuple(brackets)
        self._order = BracketOrder(sizes)

    def stretch(self, trial: int) -> Stretch:
        return self._bracket(trial).stretch(trial)

    def start(self, trial: int) -> Stretch:
        return self._bracket(trial).start(trial)

    def on_report(self, trial: int, resource: int, loss: float) -> Decision:
        return self._bracket(trial).on_report(trial, resource, loss)

    def on_failure(self, trial: int) -> None:
        self._bracket(trial).on_failure(trial)

    def on_finish(self, trial: int) -> None:
        self._bracket(trial).on_finish(trial)

    def promotable(self, but: Collection[int] = ()) -> Stretch | None:
        leaders = [leader for bracket in self._brackets if (leader := bracket.leader(but)) is not None]
        if not leaders:
            return None
        _, _, trial = min(leaders)
        return self._bracket(trial).stretch(trial)

    def promote(self, trial: int) -> Stretch:
        return self._bracket(trial).promote(trial)

    def rungs(self, trial: int) -> tuple[int, ...]:
        return self._bracket(trial).rungs(trial)

    def _bracket(self, trial: int) -> PromotingASHA | StoppingASHA:
        return self._brackets[self._order.bracket(trial)]
