"""A comparison as a person holds it: its plan, its runs, what they show; read from the store."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

from tuner.errors import StoreError, StudyNotFound
from tuner.records import TrialSummary
from tuner.store import ComparisonPlan, ComparisonRecord, ComparisonRun, StudyState, StudyStore

if TYPE_CHECKING:
    import pandas as pd

    from tuner.analysis.comparison import Axis, Run
    from tuner.analysis.findings import Findings

    Read = Callable[[StudyStore, ComparisonPlan, ComparisonRun], Run]
    """What a run saw, within its budget, as tuner.analysis.findings.read_run reads it."""


def is_comparison(store: StudyStore, name: str) -> bool:
    """Whether the store has a comparison of that name."""
    return name in store.comparisons.names()


def comparisons_of(store: StudyStore) -> tuple[list[Comparison], dict[str, str]]:
    """The comparisons of a store, the newest first; and of those that cannot be read, by name, why."""
    found: list[Comparison] = []
    unreadable: dict[str, str] = {}
    for name in store.comparisons.names():
        try:
            found.append(Comparison(store, name))
        except StudyNotFound:
            continue  # deleted a moment ago
        except StoreError as error:
            unreadable[name] = error.message
    return found, unreadable


@final
class Comparison:
    """One comparison of a store, as it stands when it is first looked at."""

    def __init__(self, store: StudyStore, name: str, read: Read | None = None) -> None:
        """`read`, by default tuner.analysis.findings.read_run, is asked once for every run that has ended.

        Raises StudyNotFound if there is none of that name.
        """
        self._store = store
        self._read = read
        self.name = name
        self.record: ComparisonRecord = store.comparisons.find(name)
        self.plan: ComparisonPlan = self.record.plan

    @cached_property
    def states(self) -> dict[str, StudyState]:
        """The state of every run that was begun, by its study's name."""
        return self._store.comparisons.states(self.name)

    @property
    def n_runs(self) -> int:
        """How many runs there are to be."""
        return len(self.plan.methods) * self.plan.repeats

    @property
    def n_done(self) -> int:
        """How many runs have ended."""
        return sum(state.ended for state in self.states.values())

    @property
    def state(self) -> str:
        """running, unfinished or finished."""
        if self.n_done == self.n_runs:
            return "finished"
        return "running" if StudyState.RUNNING in self.states.values() else "unfinished"

    @cached_property
    def ended(self) -> list[ComparisonRun]:
        """The runs that have ended: one repeat of every method after the other."""
        place = {method: index for index, method in enumerate(self.plan.methods)}
        there = [
            run
            for run in self._store.comparisons.runs(self.name)
            if (state := self.states.get(run.study)) is not None and state.ended
        ]
        return sorted(there, key=lambda run: (run.repeat, place[run.method]))

    @cached_property
    def findings(self) -> Findings:
        """What the runs show that have ended."""
        from tuner.analysis.findings import Findings, read_run  # pandas and SciPy: not for a list

        read = self._read or read_run
        return Findings(self.plan, [read(self._store, self.plan, run) for run in self.ended])

    def trials(self, run: ComparisonRun) -> list[TrialSummary]:
        """The trials of one of its runs, by number."""
        return self._store.trials(run.study)

    def table(self) -> pd.DataFrame:
        """One row a method, the best first: see Findings.table."""
        return self.findings.table()

    def incumbents(self, by: Axis | None = None) -> pd.DataFrame:
        """The best so far of every run over what was spent: see Findings.incumbents."""
        return self.findings.incumbents(by)

    @property
    def verdict(self) -> str:
        """What can be said, in words."""
        return str(self.findings.verdict)

    def to_dict(self) -> dict[str, Any]:
        """What `tune show --json` prints of a comparison."""
        plan = self.plan
        return {
            "comparison": self.name,
            "state": self.state,
            "metric": plan.spec.metric.name,
            "direction": plan.spec.metric.direction,
            "methods": list(plan.methods),
            "repeats": plan.repeats,
            "done": self.n_done,
            "runs": self.n_runs,
            "replay": None if plan.replay is None else dataclasses.asdict(plan.replay),
            **(self.findings.to_dict() if self.n_done else {}),
        }

    def __repr__(self) -> str:
        return f"<Comparison {self.name}: {self.state}, {self.n_done} of {self.n_runs} runs>"
