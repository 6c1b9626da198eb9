"""What happened to a study as a whole: sessions, commands, failures, its end."""

from __future__ import annotations

import pandas as pd

from tuner.analysis.tracing import begins_session
from tuner.analysis.view import StudyView
from tuner.records import Command, Commanded, CommandKind, Ending, Event, SegmentEnded, StudyEnded, TrialSummary


def events_table(study: StudyView) -> pd.DataFrame:
    """One row per event that a reader may want to know of, in order; commands that nobody has taken up come last.

    Columns: time (UTC), seconds (of running since the study began), kind (session, command, failure, lost, end), trial
    (NA where it is the study's), what (in words).
    """
    rows: list[tuple[float, str, int | None, str]] = []
    taken: set[int | None] = set()
    interrupted = False
    for entry in study.happenings:
        if entry.number == 1:
            rows.append((entry.time, "session", None, "the study began"))
        begins = begins_session(entry.event)
        if begins and not interrupted:
            rows.append((entry.time, "session", None, "a later session went on"))
        interrupted = begins
        if isinstance(entry.event, Commanded):
            taken.add(entry.event.number)
        told = _told(entry.event)
        if told is not None:
            rows.append((entry.time, *told))
    for posted in study.commands:
        if posted.number not in taken:
            words = f"{_words(posted.command)}; not taken up yet"
            rows.append((posted.time, "command", posted.command.trial, words))
    table = pd.DataFrame(rows, columns=["time", "kind", "trial", "what"])
    seconds = study.clock.at(table["time"].to_numpy(dtype=float))
    table["time"] = pd.to_datetime(table["time"].astype(float), unit="s", utc=True).dt.round("ms")
    table["trial"] = table["trial"].astype("Int64")
    table.insert(1, "seconds", seconds)
    return table


def failures_table(trials: list[TrialSummary]) -> pd.DataFrame:
    """One row per kind of failure and message, the most frequent first.

    Columns: kind, message, n_trials, trials (their numbers, as text), details (of the first: a traceback, say).
    """
    groups: dict[tuple[str, str], list[TrialSummary]] = {}
    for trial in trials:
        if trial.failure is not None:
            groups.setdefault((trial.failure.kind.value, trial.failure.message), []).append(trial)
    rows = [
        (kind, message, len(failed), ", ".join(str(trial.number) for trial in failed), _details(failed))
        for (kind, message), failed in groups.items()
    ]
    rows.sort(key=lambda row: -row[2])
    return pd.DataFrame(rows, columns=["kind", "message", "n_trials", "trials", "details"])


def _details(failed: list[TrialSummary]) -> str:
    return next((trial.failure.details for trial in failed if trial.failure and trial.failure.details), "")


def _told(event: Event) -> tuple[str, int | None, str] | None:
    """kind, trial, what."""
    match event:
        case Commanded(command):
            return ("command", command.trial, _words(command))
        case SegmentEnded(end) if end.ending is Ending.FAILED:
            why = f"{end.failure.kind}: {end.failure.message}" if end.failure else "failed"
            return ("failure", end.trial, f"segment {end.segment} failed: {why}")
        case SegmentEnded(end) if end.ending in (Ending.LOST, Ending.INTERRUPTED):
            who = "its worker went away" if end.ending is Ending.LOST else "the study was interrupted"
            return ("lost", end.trial, f"segment {end.segment} was cut short: {who}")
        case StudyEnded(reason, failed):
            return ("end", None, f"{'given up' if failed else 'ended'}: {reason}")
    return None


def _words(command: Command) -> str:
    match command.kind:
        case CommandKind.STOP:
            asked = "stop the study" if command.trial is None else f"stop trial {command.trial}"
        case CommandKind.EXTEND:
            limits = {name: limit for name, limit in (command.budget or {}).items() if limit is not None}
            asked = f"extend the budget to {', '.join(f'{limit:g} {name}' for name, limit in limits.items())}"
        case CommandKind.ENQUEUE:
            asked = f"try {', '.join(f'{name}={value}' for name, value in (command.config or {}).items())}"
    return f"{command.author or 'somebody'}: {asked}"
