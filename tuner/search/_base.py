"""What a sampler is told, and what it answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tuner.records import Config


@dataclass(frozen=True, slots=True)
class Observation:
    """What a sampler learns of one trial.

    `losses` maps a resource to the loss seen there (lower is better, never NaN; +inf for a failure): at every rung the
    trial was judged at, and at the resource it ended at. `open` says that more may come (waiting, running or paused);
    a trial that is open and has no losses is one whose worth is not known yet.
    """

    number: int
    config: Config
    losses: Mapping[int, float] = field(default_factory=dict)
    open: bool = False
    failed: bool = False


class Sampler(Protocol):
    """Proposes configurations. Deterministic: the answer depends on the arguments and nothing else.

    The contract (tests/contracts/): proposals lie in the space; the same arguments give the same proposals, in another
    process too; no proposal equals an open trial's configuration, nor another proposal of the same ask, while there is
    another left to propose; a shorter ask gives the beginning of a longer one. Whether `ask(n)` is what n asks of one
    would be, each after a trial more that is open, is the sampler's affair: one with a dear model shares it in an ask.
    """

    def ask(self, history: Sequence[Observation], first: int, count: int) -> list[Config]:
        """`count` configurations, the `first`-th of the study and on; fewer when the sampler is exhausted.

        `history` holds the trials so far, by number, less those that say nothing of the space as it was revised; the
        n-th ask draws from a generator seeded by (seed, n).
        """
        ...

    def promising(self, history: Sequence[Observation], paused: Collection[int]) -> int | None:
        """Which of the `paused` trials should go on although the scheduler does not let it, asked before a new one is
        started. Most samplers have no opinion, and answer None.
        """
        ...

    def size(self) -> int | None:
        """How many configurations it has to propose in all; None if there is no end."""
        ...
