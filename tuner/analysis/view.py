"""A study as it stood at one moment: what every table of this room is made of."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, final, get_args

from tuner.records import CommandKind, Details, Report, TrialState, TrialSummary
from tuner.spec import Budget, StudySpec
from tuner.store import EventKind, JournalEntry, PostedCommand, Remark, StudyRecord, StudyStore

if TYPE_CHECKING:
    from tuner.analysis.clock import Clock
    from tuner.store import ReportValues


def extended(budget: Budget, commands: Iterable[PostedCommand]) -> Budget:
    """The budget, as the commands among these that extend it have left it."""
    for posted in commands:
        if posted.command.kind is CommandKind.EXTEND:
            budget = budget.model_copy(update=dict(posted.command.budget or {}))
    return budget


@final
class StudyView:
    """One study of a store: each part is read when it is first asked for, and kept.

    Parts that are read later may have gone on further; make a new view to see a running study move.
    """

    def __init__(self, store: StudyStore, name: str) -> None:
        """Raises StudyNotFound."""
        self._store = store
        self.name = name
        self.record: StudyRecord = store.study(name)
        self.spec: StudySpec = self.record.spec

    @cached_property
    def trials(self) -> list[TrialSummary]:
        """All trials, by number. Where nobody runs the study any more, none is told as running: it waits to go on."""
        trials = self._store.trials(self.name)
        if self.record.holder is not None:
            return trials
        return [
            replace(trial, state=TrialState.WAITING) if trial.state is TrialState.RUNNING else trial for trial in trials
        ]

    @cached_property
    def values(self) -> ReportValues:
        """The metric of every report, in the order they came."""
        return self._store.values(self.name)

    @cached_property
    def happenings(self) -> list[JournalEntry]:
        """All events but the reports, in order."""
        return list(self._store.journal(self.name, kinds=[kind for kind in get_args(EventKind) if kind != "reported"]))

    @cached_property
    def clock(self) -> Clock:
        """How long the study had been running at any instant."""
        from tuner.analysis.clock import clock_of  # NumPy: not for a list

        return clock_of(self.values, self.happenings)

    @cached_property
    def commands(self) -> list[PostedCommand]:
        """What people asked of the study, in order."""
        return self._store.commands(self.name)

    @cached_property
    def budget(self) -> Budget:
        """The spec's budget, as people have extended it since."""
        return extended(self.spec.budget, self.commands)

    def reports(self, trials: int | Collection[int]) -> list[Report]:
        """The reports of some trials, in the order they came."""
        return self._store.reports(self.name, trials)

    def details(self, trial: int) -> list[tuple[int, Details]]:
        """What a trial's reports carry besides numbers, by resource, in the order they came."""
        return self._store.details(self.name, trial)

    def remarks(self, trials: Collection[int]) -> list[Remark]:
        """What happened in some trials, as their reports told it, in the order they came."""
        return self._store.remarks(self.name, trials)
