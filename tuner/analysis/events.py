"""What happened to a study as a whole: sessions, commands, failures, its end."""

from __future__ import annotations

from typing import Final

import pandas as pd

from tuner.analysis.commands import asked
from tuner.analysis.tracing import begins_session
from tuner.analysis.view import StudyView
from tuner.records import Command, Commanded, Ending, Event, Revised, SegmentEnded, StudyEnded, TrialSummary
from tuner.spec import differences

CUT_SHORT: Final = {
    Ending.LOST: "its worker went away",
    Ending.INTERRUPTED: "the study was interrupted",
    Ending.RECALLED: "it was silent for longer than timeouts.grace, so its worker was ended",
}


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
        case SegmentEnded(end) if end.ending in CUT_SHORT:
            why = f"{end.failure.kind}: {end.failure.message}" if end.failure else CUT_SHORT[end.ending]
            return ("lost", end.trial, f"segment {end.segment} was cut short: {why}")
        case Revised():
            return ("command", None, _revision(event))
        case StudyEnded(reason, failed):
            return ("end", None, f"{'given up' if failed else 'ended'}: {reason}")
    return None


def _revision(event: Revised) -> str:
    words = f"{event.author or 'somebody'}: revise the spec: {'; '.join(differences(event.before, event.after))}"
    old, new = (form["scheduler"]["max_resource"] for form in (event.before, event.after))
    return words if old == new else f"{words}; {len(event.horizon_free)} trials may go on along their curves"


def _words(command: Command) -> str:
    return f"{command.author or 'somebody'}: {asked(command)}"
