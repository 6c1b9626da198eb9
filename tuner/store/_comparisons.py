"""The record of comparisons: what any store of them must do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from tuner.records import TrialSummary
from tuner.spec import StudySpec
from tuner.store._base import JournalEntry, StudyState


@dataclass(frozen=True, slots=True)
class Replay:
    """What a comparison's runs are replayed from: the curve table's path, its content's SHA-256, how many workers."""

    table: str
    digest: str
    workers: int


@dataclass(frozen=True, slots=True)
class ComparisonPlan:
    """Methods x repeats of one spec at an equal budget.

    `spec` is what the runs share, under the comparison's name: its budget is that of each run, and from its seed those
    of the repeats are derived. `replay` is None where the runs train.
    """

    spec: StudySpec
    methods: tuple[str, ...]
    repeats: int
    replay: Replay | None = None

    @property
    def name(self) -> str:
        return self.spec.study


@dataclass(frozen=True, slots=True)
class ComparisonRecord:
    """A comparison in the store; `created` is in seconds since the epoch."""

    plan: ComparisonPlan
    created: float


@dataclass(frozen=True, slots=True)
class ComparisonRun:
    """The study that is one method's `repeat`-th run (from 0) in a comparison."""

    comparison: str
    method: str
    repeat: int
    study: str


class Comparisons(Protocol):
    """Comparisons and which studies are their runs. Names are shared with studies: no two of either are the same.

    Raises StudyNotFound for unknown names, StoreError when the store cannot be used.
    """

    def create(self, plan: ComparisonPlan) -> ComparisonRecord:
        """Add a comparison that has no runs yet. Raises StudyExists if the name is taken, by a study or another one."""
        ...

    def change(self, plan: ComparisonPlan) -> ComparisonRecord:
        """Put a plan in the place of the one of its name, whose runs stay."""
        ...

    def names(self) -> list[str]:
        """The names of all comparisons, the newest first, be they readable or not."""
        ...

    def find(self, name: str) -> ComparisonRecord:
        """The comparison of that name. Raises StoreError if it cannot be read."""
        ...

    def runs(self, name: str | None = None) -> list[ComparisonRun]:
        """The runs that one comparison has so far, or all comparisons: in the order in which they were added."""
        ...

    def states(self, name: str) -> dict[str, StudyState]:
        """The state of each study that is a run of the comparison, in the order of `runs`."""
        ...

    def add_run(
        self,
        run: ComparisonRun,
        spec: StudySpec,
        journal: Sequence[JournalEntry] = (),
        trials: Iterable[TrialSummary] = (),
    ) -> None:
        """Add a study that is a run, in one transaction: a new one, or with a `journal` and the `trials` that follow
        from it one that was run elsewhere. Raises StudyExists if the run, or a study of its name, is there.
        """
        ...

    def delete(self, name: str) -> None:
        """Remove a comparison and its runs. Raises StudyHeld while someone writes one of them."""
        ...
