"""What a study must be after any disturbance: found in its store and its folder, without the platform's own replay.

Each check returns sentences, none if all is well. `story` is what two studies of one spec have in common.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuner.records import Checkpoint, Report, Reported, TrialState
from tuner.spec import StudySpec
from tuner.store import SqlStore, StudyState
from tuner.workflows.kept import find_checkpoint
from tuner.workflows.places import study_folder


@dataclass(frozen=True)
class Violation:
    """`kind` is a column of the table; `what` says where."""

    kind: str
    what: str


def violations(store: SqlStore, name: str, *, n_trials: int, torn: Collection[Path] = ()) -> Iterator[Violation]:
    """All that is wrong with a study that should be finished; `torn` files were damaged on purpose, and may stay so
    where nobody needed them any more.
    """
    study, trials = store.study(name), store.trials(name)
    if study.state is not StudyState.FINISHED:
        yield Violation("unfinished", f"the study is {study.state}: {study.reason}")
    if [trial.number for trial in trials] != list(range(n_trials)):
        yield Violation("lost", f"trials {[trial.number for trial in trials]} of {n_trials}")
    for trial in trials:
        if trial.state in (TrialState.RUNNING, TrialState.WAITING):
            yield Violation("zombies", f"trial {trial.number} is {trial.state}")
        elif not trial.state.ended:
            yield Violation("lost", f"trial {trial.number} has not ended: {trial.state}")
        elif trial.state is TrialState.FAILED:
            yield Violation("lost", f"trial {trial.number} failed: {trial.failure}")
    yield from _journal(store, name)
    yield from _checkpoints(store, name, torn)


def _journal(store: SqlStore, name: str) -> Iterator[Violation]:
    entries = list(store.journal(name))
    if [entry.number for entry in entries] != list(range(1, len(entries) + 1)):
        yield Violation("duplicated", "the journal's numbers have gaps")
    reports = [entry.event.report for entry in entries if isinstance(entry.event, Reported)]
    for (trial, resource), n in Counter((report.trial, report.resource) for report in reports).items():
        if n > 1:
            yield Violation("duplicated", f"trial {trial} reported {resource} {n} times")
    for trial, own in _by_trial(reports).items():
        resources = [report.resource for report in own]
        if resources != list(range(1, len(resources) + 1)):
            yield Violation("duplicated", f"trial {trial} reported in the order {resources}")
    at = {trial.number: trial.resource for trial in store.trials(name)}
    reached = {trial: own[-1].resource for trial, own in _by_trial(reports).items()}
    if at != reached:
        yield Violation("lost", f"rows of trials say {at}, the journal {reached}")
    if [_bare(report) for report in store.reports(name)] != [_bare(report) for report in reports]:
        yield Violation("lost", "the reports are not those of the journal")


def _checkpoints(store: SqlStore, name: str, torn: Collection[Path]) -> Iterator[Violation]:
    """The newest `keep` and the best one, by what was reported, are there and are what was reported."""
    spec = store.study(name).spec
    folder = study_folder(spec)
    for trial, own in _by_trial(store.reports(name)).items():
        for checkpoint in _kept(spec, own):
            path = folder / checkpoint.path
            if not path.exists():
                yield Violation("checkpoints", f"trial {trial}: {checkpoint.path} is not there")
            elif path not in torn and hashlib.sha256(path.read_bytes()).hexdigest() != checkpoint.sha256:
                yield Violation("checkpoints", f"trial {trial}: {checkpoint.path} is not what was reported")


def _kept(spec: StudySpec, own: list[Report]) -> set[Checkpoint]:
    """The checkpoints of a trial that stay, by its reports."""
    taken = [report.checkpoint for report in own if report.checkpoint is not None]
    return {*taken[-spec.checkpoint.keep :], find_checkpoint(spec, own, "best")}


def left_over_files(store: SqlStore, name: str) -> int:
    """Checkpoint files, whole or temporary, that no rule keeps: room on the disk, no error."""
    spec = store.study(name).spec
    kept = {kept.path for own in _by_trial(store.reports(name)).values() for kept in _kept(spec, own)}
    folder = study_folder(spec)
    there = {str(path.relative_to(folder)) for path in folder.rglob("*.ckpt*")}
    return len({path for path in there if not path.endswith(".log")} - kept)


def story(store: SqlStore, name: str) -> dict[str, Any]:
    """All that was decided and seen, without what hangs on the clock or on interruptions. Floats as they are."""
    study = store.study(name)
    trials = [
        (trial.number, trial.state, dict(trial.config), trial.resource, trial.value, trial.failure, trial.reason)
        for trial in store.trials(name)
    ]
    curves = {
        trial: [(report.resource, {key: value.hex() for key, value in report.metrics.items()}) for report in own]
        for trial, own in sorted(_by_trial(store.reports(name)).items())
    }
    return {"state": study.state, "reason": study.reason, "trials": trials, "curves": curves}


def unequal(one: dict[str, Any], other: dict[str, Any]) -> Iterator[Violation]:
    """Where two stories part: the first trial, curve or word."""
    for part in one:
        if one[part] == other[part]:
            continue
        pairs = zip(_items(one[part]), _items(other[part]), strict=False)
        first = next((f"{a} became {b}" for a, b in pairs if a != b), "another length")
        yield Violation("unequal", f"{part}: {first}")


def _items(part: Any) -> list[Any]:
    return list(part.items()) if isinstance(part, dict) else [*part] if isinstance(part, list) else [part]


def _bare(report: Report) -> tuple[int, int, int, dict[str, float]]:
    return (report.trial, report.segment, report.resource, dict(report.metrics))


def _by_trial(reports: list[Report]) -> dict[int, list[Report]]:
    own: dict[int, list[Report]] = {}
    for report in reports:
        own.setdefault(report.trial, []).append(report)
    return own
