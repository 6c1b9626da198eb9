"""A study as a person holds it: its spec, its trials, its best; read from the store when asked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from tuner import analysis
from tuner.analysis.in_html import study_html
from tuner.errors import StudyNotFound
from tuner.records import Details, Report, TrialSummary
from tuner.spec import Budget, StudySpec
from tuner.storage import Storage, open_storage
from tuner.store import StudyRecord, StudyStore
from tuner.workflows.kept import Which, find_checkpoint, load_checkpoint
from tuner.workflows.places import study_folder, study_place

if TYPE_CHECKING:
    import pandas as pd


@final
class Study:
    """One study of a store. Every property reads the store anew, so a running study can be watched."""

    def __init__(self, store: StudyStore, name: str) -> None:
        self._store = store
        self.name = name
        self.spec: StudySpec = store.study(name).spec

    def view(self) -> analysis.StudyView:
        """The study as it stands now, for tables and figures of one moment (tuner.analysis, tuner.plots)."""
        return analysis.StudyView(self._store, self.name)

    @property
    def record(self) -> StudyRecord:
        """Its row: state, times, who is writing it."""
        return self._store.study(self.name)

    @property
    def state(self) -> str:
        """running, unfinished, finished or failed."""
        return self.record.state.value

    @property
    def budget(self) -> Budget:
        """The spec's budget, as people have extended it since."""
        return self.view().budget

    @property
    def folder(self) -> Path:
        """Where its trials' logs and checkpoints are. Raises UserMistake if they are in an object store."""
        return study_folder(self.spec)

    @property
    def storage(self) -> Storage:
        """Its trials' logs and checkpoints, wherever they are."""
        return open_storage(study_place(self.spec))

    @property
    def trials(self) -> list[TrialSummary]:
        """All trials, by number. Where nobody runs the study any more, none is told as running: it waits to go on."""
        return self.view().trials

    @property
    def best(self) -> TrialSummary:
        """The best trial among those at the highest resource that any reached. Raises StudyNotFound without one."""
        best = analysis.best_trial(self.trials, self.spec.metric)
        if best is None:
            raise StudyNotFound(f"study {self.name} has no trial with a value yet")
        return best

    def trial(self, number: int) -> TrialSummary:
        """One trial. Raises StudyNotFound if there is none of that number."""
        trials = self.trials
        if not 0 <= number < len(trials):
            have = f"it has trials 0 to {len(trials) - 1}" if trials else "it has no trials yet"
            raise StudyNotFound(f"study {self.name} has no trial {number}: {have}")
        return trials[number]

    def reports(self, trial: int | None = None) -> list[Report]:
        """The reports of the study, or of one trial, in the order they came."""
        return self._store.reports(self.name, trial)

    def details(self, trial: int) -> list[tuple[int, Details]]:
        """What a trial's reports carry besides numbers (curves within a report, events), by resource, in order."""
        self.trial(trial)
        return self._store.details(self.name, trial)

    def load_checkpoint(self, trial: int, which: Which = "best") -> dict[str, Any]:
        """The state that a trial gave to `trial.report`: with its best report by the study's metric, of those that have
        a checkpoint, or with its "last".

        Raises StudyNotFound for a trial that is not there, CheckpointError if there is no such checkpoint (any more).
        """
        self.trial(trial)
        found = find_checkpoint(self.spec, self.reports(trial), which)
        return load_checkpoint(self.storage, found, self.spec.scheduler.unit)

    def save_weights(self, trial: int, path: str | Path, which: Which = "best") -> None:
        """Write the weights that a Task's trial was evaluated with, as a safetensors file: name -> tensor.

        Raises as `load_checkpoint`, and UserMistake for the checkpoint of a function of your own.
        """
        from tuner.training.weights import save_weights

        save_weights(self.load_checkpoint(trial, which), path)

    def steps_frame(self, trial: int) -> pd.DataFrame:
        """One row per point of the curves within a trial's reports, by (resource, point)."""
        return analysis.steps_frame(self.details(trial))

    def trials_frame(self) -> pd.DataFrame:
        """One row per trial."""
        return analysis.trials_frame(self.trials)

    def reports_frame(self, trial: int | None = None) -> pd.DataFrame:
        """One row per report, by (trial, resource)."""
        return analysis.reports_frame(self.reports(trial))

    def to_dict(self) -> dict[str, Any]:
        """What `tune show --json` prints."""
        trials = self.trials
        best = analysis.best_trial(trials, self.spec.metric)
        return {
            "study": self.name,
            "state": self.state,
            "metric": self.spec.metric.name,
            "direction": self.spec.metric.direction,
            "counts": analysis.counts(trials),
            "best": best
            and {
                "number": best.number,
                "value": best.value,
                "config": dict(best.config),
                "metrics": dict(best.metrics),
            },
            "trials": [
                {
                    "number": trial.number,
                    "state": trial.state.value,
                    "value": trial.value,
                    "config": dict(trial.config),
                    "resource": trial.resource,
                    "segments": trial.segments,
                    "seconds": trial.seconds,
                    "failure": trial.failure.message if trial.failure else None,
                }
                for trial in trials
            ],
        }

    def __repr__(self) -> str:
        return f"<Study {self.name}: {self.state}, {len(self.trials)} trials>"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return study_html(self.view())
