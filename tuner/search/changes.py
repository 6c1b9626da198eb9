"""What is new in a history since it was last looked at: what was made of the rest need not be worked out again."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from operator import is_not
from typing import final

from tuner.search._base import Observation


@final
class Changes:
    """The places of a history whose observations are other objects than at the last call.

    By identity, as observations are frozen: a history that is built anew costs time, never another answer. One that is
    shorter than the last begins anew.
    """

    def __init__(self) -> None:
        self._known: list[Observation] = []

    def __call__(self, history: Sequence[Observation]) -> list[int]:
        n_known = len(self._known) if len(self._known) <= len(history) else 0
        changed = list(compress(range(n_known), map(is_not, self._known, history)))
        self._known = list(history)
        return [*changed, *range(n_known, len(history))]
