"""A comparison as a person holds it: its plan, its runs, what they show; read from the store."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

from tuner.store import ComparisonPlan, ComparisonRecord, StudyState, StudyStore
from tuner.workflows.comparing.planning import runs_of

if TYPE_CHECKING:
    import pandas as pd

    from tuner.analysis.comparison import Axis
    from tuner.workflows.comparing.findings import Findings

ENDED = (StudyState.FINISHED, StudyState.FAILED)


def is_comparison(store: StudyStore, name: str) -> bool:
    """Whether the store has a comparison of that name."""
    return name in {record.plan.name for record in store.comparisons.all()}


@final
class Comparison:
    """One comparison of a store, as it stands when it is first looked at."""

    def __init__(self, store: StudyStore, name: str) -> None:
        """Raises StudyNotFound if there is none of that name."""
        self._store = store
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
        return sum(state in ENDED for state in self.states.values())

    @property
    def state(self) -> str:
        """running, unfinished or finished."""
        if self.n_done == self.n_runs:
            return "finished"
        return "running" if StudyState.RUNNING in self.states.values() else "unfinished"

    @cached_property
    def findings(self) -> Findings:
        """What the runs show that have ended."""
        from tuner.workflows.comparing.findings import Findings, read_run  # pandas and SciPy: not for a list

        ended = [run for run in runs_of(self.plan) if self.states.get(run.study) in ENDED]
        return Findings(self.plan, [read_run(self._store, self.plan, run) for run in ended])

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
