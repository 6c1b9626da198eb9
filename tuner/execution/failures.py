"""An exception of an objective as a Failure: its kind, a sentence, and the lines of the user's code that matter."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

from tuner.errors import TrialFailed, TunerError
from tuner.records import Failure, FailureKind

_HERE = str(Path(__file__).parent)
MAX_DETAILS = 8000
"""Characters of a traceback that are kept."""


def failure_of(error: BaseException) -> Failure:
    """What to record of an exception that an objective let out. A TrialFailed says itself what it is: its kind is the
    failure's, and its details come before the traceback.
    """
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(_HERE)]
    lines = "".join(traceback.format_list(frames) + traceback.format_exception_only(error))
    if isinstance(error, TrialFailed):
        first = error.details[:MAX_DETAILS].rstrip("\n")
        lines = f"{first}\n\n{lines[-MAX_DETAILS:]}" if first else lines[-MAX_DETAILS:]
        kind, message = _as_said(error)
        return Failure(kind, _printable(message), _printable(lines))
    kind = FailureKind.OUT_OF_MEMORY if _out_of_memory(error) else FailureKind.EXCEPTION
    if isinstance(error, TunerError):
        message = error.message
    elif isinstance(error, SystemExit):
        message = f"the objective called sys.exit({error.code!r})"
    else:  # also for exceptions whose own text cannot be made
        message = traceback.format_exception_only(error)[-1].strip()
    if frames:
        message += f"  ({Path(frames[-1].filename).name}:{frames[-1].lineno})"
    return Failure(kind, _printable(message), _printable(lines[-MAX_DETAILS:]))


def _as_said(error: TrialFailed) -> tuple[FailureKind, str]:
    if error.kind in {kind.value for kind in FailureKind}:
        return FailureKind(error.kind), error.message
    return FailureKind.EXCEPTION, f"{error.message} (TrialFailed of an unknown kind: {error.kind!r})"


def _printable(text: str) -> str:
    """Text that any file, terminal and database takes: a lone surrogate of a file's name is written out."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError):
        return True
    torch = sys.modules.get("torch")  # without torch there is no such error
    return torch is not None and isinstance(error, torch.OutOfMemoryError)
