"""`tune list`, `show`, `trial`, `delete`: what the store knows."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape

from tuner.analysis import best_trial, counts, leaderboard
from tuner.analysis.compared import Comparison, comparisons_of, is_comparison
from tuner.analysis.stragglers import slow_words, stragglers
from tuner.cli.comparison_tables import comparisons_table, print_comparison
from tuner.cli.tables import (
    configuration,
    console,
    curve_table,
    event_lines,
    failures_table,
    leaderboard_table,
    number,
    seconds,
    studies_table,
)
from tuner.errors import StoreError, StudyNotFound, TunerError
from tuner.records import Details, Report, TrialSummary
from tuner.storage import Storage
from tuner.store import StudyRecord, StudyStore, open_store
from tuner.workflows.claims import owns
from tuner.workflows.places import study_place
from tuner.workflows.study import Study

StudyRow = tuple[StudyRecord, int, TrialSummary | None]
"""A study, its number of trials, its best one."""


def list_studies(store: str | None, *, everything: bool, as_json: bool) -> None:
    """All studies and comparisons; the studies that are runs of a comparison only with `everything`."""
    opened = open_store(store, create=False)
    comparisons, unreadable = comparisons_of(opened)
    runs = set() if everything else {run.study for run in opened.comparisons.runs()}
    rows: list[StudyRow] = []
    for name in opened.names():
        if name in runs:
            continue
        try:
            record, trials = opened.study(name), opened.trials(name)
        except StudyNotFound:
            continue  # deleted a moment ago
        except StoreError as error:
            unreadable[name] = error.message
        else:
            rows.append((record, len(trials), best_trial(trials, record.spec.metric)))
    if as_json:
        print_json([*map(_listed, rows), *map(_unreadable, unreadable), *map(_compared, comparisons)])
    elif rows or unreadable or comparisons:
        out = console()
        if rows or unreadable:
            out.print(studies_table(rows, list(unreadable)))
        if comparisons:
            out.print(comparisons_table(comparisons))
        for message in unreadable.values():
            out.print(f"[red]{escape(message)}[/red]")
    else:
        print("No studies yet. Run one: tune run search_spaces/mnist.yaml")


def _listed(row: StudyRow) -> dict[str, Any]:
    record, trials, best = row
    return {
        "study": record.name,
        "state": record.state.value,
        "trials": trials,
        "metric": record.spec.metric.name,
        "best": best and best.value,
        "created": record.created,
        "updated": record.updated,
    }


def _unreadable(name: str) -> dict[str, Any]:
    unknown = dict.fromkeys(("trials", "metric", "best", "created", "updated"))
    return {"study": name, "state": "unreadable", **unknown}


def _compared(comparison: Comparison) -> dict[str, Any]:
    unknown = dict.fromkeys(("trials", "best", "updated"))
    known = {"metric": comparison.plan.spec.metric.name, "created": comparison.record.created}
    compared = {
        "methods": list(comparison.plan.methods),
        "repeats": comparison.plan.repeats,
        "done": comparison.n_done,
        "runs": comparison.n_runs,
    }
    return {"study": comparison.name, "state": comparison.state, **unknown, **known, "comparison": compared}


def show(name: str, store: str | None, *, top: int, as_json: bool) -> None:
    """One study, or one comparison."""
    opened = open_store(store, create=False)
    if is_comparison(opened, name):
        comparison = Comparison(opened, name)
        if as_json:
            print_json(comparison.to_dict())
        else:
            print_comparison(console(), comparison)
        return
    study = Study(opened, name)
    if as_json:
        print_json(study.to_dict())
    else:
        print_study(console(), study, top)


def print_study(out: Console, study: Study, top: int) -> None:
    """How a study stands: counts, leaderboard, best configuration."""
    trials, spec, record = study.trials, study.spec, study.record
    by_state = ", ".join(f"{count} {state}" for state, count in counts(trials).items() if count)
    why = f" ({record.reason})" if record.reason else ""
    out.print(f"[bold]{escape(study.name)}[/bold]: {record.state.value}{escape(why)}; {by_state or 'no trials yet'}")
    ranked = leaderboard(trials, spec.metric)
    if ranked:
        out.print()
        title = f"best {min(top, len(ranked))} of {len(trials)} trials"
        out.print(leaderboard_table(spec, ranked[:top], title, out.width))
        best = ranked[0]
        out.print()
        out.print(
            f"[bold]best[/bold]: trial {best.number}, {escape(spec.metric.name)} {number(best.value)} "
            f"at {spec.scheduler.unit} {best.resource}{_others(best)}"
        )
        out.print(f"  {configuration(best.config, list(best.config))}")
    slow = slow_words(stragglers(study.view()))
    if slow:
        out.print()
    for sentence in slow:
        out.print(f"[yellow]{escape(sentence)}[/yellow]", soft_wrap=True, highlight=False)
    # Those that stopped the study, or waited for another try when it ended, are not in the state of failed ones.
    failed = [trial for trial in trials if trial.failure is not None and trial.state.ended]
    if failed:
        out.print()
        out.print(failures_table(failed[:5]))
        if len(failed) > 5:
            out.print(f"... and {len(failed) - 5} more: tune show {escape(study.name)} --json")


def _others(best: TrialSummary) -> str:
    names = ("val_loss", "val_accuracy", "train_eval_loss", "gap")
    shown = [f"{escape(name)} {number(best.metrics[name], 4)}" for name in names if name in best.metrics]
    return f" ({', '.join(shown)})" if shown else ""


def trial(name: str, index: int, store: str | None, *, log: bool, as_json: bool) -> None:
    """One trial."""
    study = Study(open_store(store, create=False), name)
    found = study.trial(index)
    path = study.storage.path(f"{index}/log.txt")
    if log:
        text = _log(study, index)
        print(json.dumps({"log": text}) if as_json else text or f"trial {index} has no log at {path}")
        return
    reports, details = study.reports(index), study.details(index)
    if as_json:
        print_json(_trial_dict(study, found, reports, dict(details)))
        return
    out = console()
    out.print(
        f"[bold]{escape(name)}, trial {index}[/bold]: {found.state.value}"
        f"{f' ({escape(found.reason)})' if found.reason else ''}; {found.segments} segments, {seconds(found.seconds)}"
    )
    out.print(f"  {configuration(found.config, list(found.config))}")
    if found.failure is not None:
        out.print(f"[red]{escape(f'{found.failure.kind}: {found.failure.message}')}[/red]")
        out.print(escape(found.failure.details), highlight=False)
    out.print(curve_table(reports, study.spec, out.width))
    for line in event_lines(details, study.spec):
        out.print(escape(line), soft_wrap=True, highlight=False)
    out.print(escape(f"log: {path}"), soft_wrap=True)


def _log(study: Study, index: int) -> str:
    """What a trial printed; empty if it has no log. Raises StoreError if the log cannot be read."""
    name = f"{index}/log.txt"
    try:
        return study.storage.read(name).decode(errors="replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise StoreError(f"the log {study.storage.path(name)} cannot be read: {error}") from None


def _trial_dict(
    study: Study, found: TrialSummary, reports: list[Report], details: dict[int, Details]
) -> dict[str, Any]:
    nothing = Details()
    row: dict[str, Any] = next(trial for trial in study.to_dict()["trials"] if trial["number"] == found.number)
    return row | {
        "gap": found.gap,
        "reason": found.reason,
        "details": found.failure.details if found.failure else None,
        "log": study.storage.path(f"{found.number}/log.txt"),
        "reports": [
            {
                "segment": report.segment,
                "resource": report.resource,
                "seconds": report.seconds,
                "metrics": dict(report.metrics),
                "events": list(details.get(report.resource, nothing).events),
                "curves": dict(details.get(report.resource, nothing).curves),
            }
            for report in reports
        ],
    }


def delete(name: str, store: str | None, *, yes: bool) -> None:
    """Delete a study and its folder, if that is marked as its own; or a comparison with all of its runs."""
    opened = open_store(store, create=False)
    if is_comparison(opened, name):
        _delete_comparison(opened, name, yes=yes)
        return
    files, kept = _files_of(opened, name)
    if not yes:
        typer.confirm(f"Delete study {name} {f'and {files}' if files else f'({kept})'}?", abort=True)
    opened.delete(name)
    kept = kept if files is None else _remove(files)
    print(f"deleted {name}{f'; {kept}' if kept else ''}")


def _delete_comparison(store: StudyStore, name: str, *, yes: bool) -> None:
    runs = store.comparisons.runs(name)
    places = [files for run in runs if (files := _files_of(store, run.study)[0]) is not None]
    if not yes:
        also = f" and {len(places)} folders such as {places[0]}" if places else ""
        typer.confirm(f"Delete comparison {name}, its {len(runs)} studies{also}?", abort=True)
    store.comparisons.delete(name)
    kept = [what for what in map(_remove, places) if what]
    print(f"deleted {name} and its {len(runs)} studies{f'; {kept[0]}' if kept else ''}")


def _remove(files: Storage) -> str:
    """Remove a study's files; what is to be said of it, if anything."""
    try:
        files.clear()
    except OSError as error:
        return f"but not all of its files: {error}"
    return ""


def _files_of(store: StudyStore, name: str) -> tuple[Storage | None, str]:
    """The files to delete with a study; or None, and why they stay."""
    try:
        study = Study(store, name)
        place = study_place(study.spec)
    except StudyNotFound:
        raise
    except TunerError as error:
        return None, f"its files stay, wherever they are: {error.message}"
    if owns(study.record, place):
        return study.storage, ""
    if isinstance(place, Path) and not place.exists():
        return None, f"its files, if any, stay: there is no {place}"
    return None, f"{place} stays, as it is not marked as this study's"


def print_json(value: Any) -> None:
    """Strict JSON: what is not finite is null."""
    print(json.dumps(_finite(value), allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
