"""What a person may ask of a study from any terminal: checked against how it stands, then put into the command table.

The process that runs the study takes commands up within a second; what was asked while nobody ran it, when it goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tuner.errors import SpecError, StudyNotFound, UserMistake
from tuner.records import Command, Commanded, CommandKind, TrialSummary
from tuner.store._base import EventKind, StudyRecord, StudyState, StudyStore

COMMANDED: Final[tuple[EventKind, ...]] = ("commanded",)


def steer(store: StudyStore, name: str, *commands: Command) -> list[int]:
    """Post some of STOP, PAUSE, UNPAUSE and ENQUEUE; their numbers. Raises UserMistake, and posts none of them, if one
    is in vain.
    """
    record = store.study(name)
    trials = store.trials(name) if any(command.trial is not None for command in commands) else []
    checked = [_checked(record, trials, command) for command in commands]
    return [store.post(name, command) for command in checked]


def is_taken_up(store: StudyStore, name: str, number: int) -> bool:
    """Whether the study has heard the command of that number."""
    events = (entry.event for entry in store.journal(name, kinds=COMMANDED))
    return any(isinstance(event, Commanded) and event.number == number for event in events)


def _checked(record: StudyRecord, trials: Sequence[TrialSummary], command: Command) -> Command:
    if command.kind is CommandKind.ENQUEUE:
        return _enqueued(record, command)
    if command.trial is not None:
        _check_trial(record, trials, command.trial, command.kind)
    else:
        _check_study(record, command.kind)
    return command


def _enqueued(record: StudyRecord, command: Command) -> Command:
    _check_open(record)
    try:
        config = record.spec.space.resolve(command.config or {})
    except SpecError as error:
        raise UserMistake(f"study {record.name!r}: {error.message}", hint=error.hint) from None
    return Command(CommandKind.ENQUEUE, command.author, config=config)


def _check_trial(record: StudyRecord, trials: Sequence[TrialSummary], number: int, kind: CommandKind) -> None:
    if not 0 <= number < len(trials):
        there = f"There are 0 to {len(trials) - 1}." if trials else "It has none yet."
        raise StudyNotFound(f"study {record.name!r} has no trial {number}", hint=there)
    if trials[number].state.ended:
        raise UserMistake(
            f"trial {number} of study {record.name!r} is {trials[number].state} already: there is nothing to {kind}",
            hint=f"Look with `tune show {record.name}`.",
        )


def _check_study(record: StudyRecord, kind: CommandKind) -> None:
    _check_open(record)
    if kind is CommandKind.UNPAUSE and record.state is not StudyState.PAUSED:
        raise UserMistake(f"study {record.name!r} is not paused: it is {record.state}")
    if kind is CommandKind.PAUSE and record.state is StudyState.PAUSED:
        raise UserMistake(
            f"study {record.name!r} is paused already", hint=f"{record.reason[:1].upper()}{record.reason[1:]}."
        )
    if record.holder is None:
        raise UserMistake(
            f"nobody runs study {record.name!r}: there is nothing to {kind}",
            hint=f"tune resume {record.name} goes on with it.",
        )


def _check_open(record: StudyRecord) -> None:
    if record.state.ended:
        raise UserMistake(
            f"study {record.name!r} has ended: {record.reason}",
            hint=f"tune resume {record.name} --trials N extends it.",
        )
