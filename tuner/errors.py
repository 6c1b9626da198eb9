"""Every error this package raises on purpose, in one tree.

    TunerError                 something to tell a person; never shown as a traceback
    ├── UserMistake            the request was wrong: exit code 2, nothing written
    │   ├── SpecError          a study's description: YAML path, value given, values allowed
    │   ├── ObjectiveError     the objective cannot be imported, or is not one
    │   ├── StudyNotFound      no such study (or trial) in the store
    │   ├── StudyExists        that name is taken by another spec
    │   └── StudyHeld          another process is writing this study
    ├── StoreError             the store cannot be opened, read or written
    │   └── StoreAway          it does not answer, or has no room: waiting may mend it
    ├── CheckpointError        a checkpoint is damaged or missing, or does not fit what is to go on from it
    ├── DataError              a data set cannot be had, or is not what it should be
    ├── TrialFailed            the trainer ends a trial: its kind, and what was found out
    └── RunFailed              the study ran and could not go on: exit code 1

`StopTrial` is outside the tree and derives from BaseException, as KeyboardInterrupt does: it is not an error, and an
objective's own `except Exception` must not swallow it.
"""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable
from typing import Any


class TunerError(Exception):
    """Something to tell a person: what happened, and what to do about it."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class UserMistake(TunerError):
    """The request was wrong; nothing was written."""

    exit_code = 2


class SpecError(UserMistake):
    """A study's description is wrong at one place.

    `path` is the place (`space.lr.float`), `where` the file and line if it came from one.
    """

    def __init__(self, message: str, *, path: str = "", where: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.path = path
        self.where = where

    def at(self, prefix: str, where: str | None = None) -> SpecError:
        """The same error, its path below `prefix`."""
        path = prefix + self.path if self.path.startswith("[") else ".".join(p for p in (prefix, self.path) if p)
        return SpecError(self.message, path=path, where=where or self.where, hint=self.hint)

    def __str__(self) -> str:
        place = ": ".join(part for part in (self.where, self.path) if part)
        text = f"{place}: {self.message}" if place else self.message
        return f"{text}\n  {self.hint}" if self.hint else text


class ObjectiveError(UserMistake):
    """The objective cannot be imported, or is neither a Task nor a function of (config, trial)."""


class StudyNotFound(UserMistake):
    """No such study, or no such trial in it."""


class StudyExists(UserMistake):
    """The name belongs to a study with another spec."""


class StudyHeld(UserMistake):
    """Another live process holds the writer's lease of the study."""


class StoreError(TunerError):
    """The store cannot be opened, read or written."""


class StoreAway(StoreError):
    """The store does not answer, or has no room: what was asked of it may work later."""


class CheckpointError(TunerError):
    """A checkpoint is damaged or missing, or does not fit what is to go on from it."""


class DataError(TunerError):
    """A data set cannot be had, or is not what it should be."""


class TrialFailed(TunerError):
    """A trial cannot go on. `kind` is the value of a tuner.records.FailureKind; `details` are lines that show why."""

    def __init__(self, message: str, *, kind: str, details: str = "", hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.kind = kind
        self.details = details


class RunFailed(TunerError):
    """The study ran and could not go on."""


class StopTrial(BaseException):
    """Raised by `trial.report` when the trial is to end here. Let it pass."""


def did_you_mean(given: str, allowed: Iterable[str]) -> str:
    """A hint: "Did you mean ...?" where one is close, and the list of what is allowed."""
    names = list(allowed)
    by_lower = {name.lower(): name for name in names}
    close = difflib.get_close_matches(given.lower(), by_lower, n=1, cutoff=0.6)
    if not close and len(given) > 2:
        close = [name for name in by_lower if given.lower() in name]
    listing = f"Allowed: {', '.join(names)}." if names else "Nothing is allowed here."
    return f"Did you mean {by_lower[close[0]]!r}? {listing}" if close else listing


_short = reprlib.Repr()
_short.maxstring = _short.maxother = 80
_short.maxlong = 60


def shown(value: Any) -> str:
    """The value as a message shows it: its repr, cut where it is long."""
    try:
        return _short.repr(value)
    except ValueError:  # Python prints no whole number of more than 4,300 digits
        return f"a {type(value).__name__} too long to show"
