"""What people asked of a study, and whether it was taken up."""

from __future__ import annotations

import pandas as pd

from tuner.analysis.view import StudyView
from tuner.records import Command, Commanded, CommandKind


def commands_table(study: StudyView) -> pd.DataFrame:
    """One row per command, the newest first.

    Columns: number (in the command table), time (UTC, when it was posted), author, what (in words), waited [s] (until
    the study took it up; NaN if it has not yet).
    """
    heard = {entry.event.number: entry.time for entry in study.happenings if isinstance(entry.event, Commanded)}
    rows = [
        (
            posted.number,
            posted.time,
            posted.command.author or "somebody",
            asked(posted.command),
            max(heard[posted.number] - posted.time, 0.0) if posted.number in heard else float("nan"),
        )
        for posted in reversed(study.commands)
    ]
    table = pd.DataFrame(rows, columns=["number", "time", "author", "what", "waited"])
    table["time"] = pd.to_datetime(table["time"].astype(float), unit="s", utc=True).dt.round("ms")
    return table.astype({"waited": float})


def asked(command: Command) -> str:
    """What the command asks for, in words."""
    match command.kind:
        case CommandKind.STOP | CommandKind.PAUSE | CommandKind.UNPAUSE:
            return f"{command.kind} {'the study' if command.trial is None else f'trial {command.trial}'}"
        case CommandKind.EXTEND:
            limits = {name: limit for name, limit in (command.budget or {}).items() if limit is not None}
            budget = ", ".join(f"{limit:g} {name}" for name, limit in limits.items())
            return f"extend the budget to {budget}" if budget else "go on"
        case CommandKind.ENQUEUE:
            return f"try {', '.join(f'{name}={value}' for name, value in (command.config or {}).items())}"
