"""Several proposals from one history: what is learned from it is worked out once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, final, runtime_checkable

from tuner.records import Config
from tuner.search._base import Observation


class Proposer(Protocol):
    """Proposes one configuration, free to repeat itself. Deterministic in its arguments."""

    def propose(self, history: Sequence[Observation], n: int, attempt: int) -> Config:
        """The n-th configuration of the study, at the `attempt`-th try (0 is the first)."""
        ...


class Batch(Protocol):
    """One proposal after the other. Deterministic in the history that it was made of, and in what was told since."""

    def propose(self, n: int, attempt: int) -> Config:
        """See `Proposer.propose`."""
        ...

    def take(self, config: Config) -> None:
        """Hear which one it came to: it is an open trial from now on."""
        ...


@runtime_checkable
class Batching(Protocol):
    """A proposer for which several proposals cost less than each by itself."""

    def batch(self, history: Sequence[Observation]) -> Batch:
        """A batch whose first proposal is what `propose` gives."""
        ...


def batch_of(proposer: Proposer, history: Sequence[Observation]) -> Batch:
    """A batch of any proposer's."""
    return proposer.batch(history) if isinstance(proposer, Batching) else OneByOne(proposer, history)


@final
class OneByOne:
    """Each proposal is made from the whole history, in which the earlier ones are open trials."""

    def __init__(self, proposer: Proposer, history: Sequence[Observation]) -> None:
        self._proposer = proposer
        self._seen = list(history)

    def propose(self, n: int, attempt: int) -> Config:
        return self._proposer.propose(self._seen, n, attempt)

    def take(self, config: Config) -> None:
        number = self._seen[-1].number + 1 if self._seen else 0
        self._seen.append(Observation(number, config, open=True))
