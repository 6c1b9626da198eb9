"""An exception of an objective as a Failure: its kind, a sentence, and the lines of the user's code that matter."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

from tuner.errors import TunerError
from tuner.records import Failure, FailureKind

_HERE = str(Path(__file__).parent)
MAX_DETAILS = 8000
"""Characters of a traceback that are kept."""


def failure_of(error: BaseException) -> Failure:
    """What to record of an exception that an objective let out."""
    kind = FailureKind.OUT_OF_MEMORY if _out_of_memory(error) else FailureKind.EXCEPTION
    if isinstance(error, TunerError):
        message = error.message
    elif isinstance(error, SystemExit):
        message = f"the objective called sys.exit({error.code!r})"
    else:  # also for exceptions whose own text cannot be made
        message = traceback.format_exception_only(error)[-1].strip()
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(_HERE)]
    if frames:
        message += f"  ({Path(frames[-1].filename).name}:{frames[-1].lineno})"
    lines = traceback.format_list(frames) + traceback.format_exception_only(error)
    return Failure(kind, _printable(message), _printable("".join(lines)[-MAX_DETAILS:]))


def _printable(text: str) -> str:
    """Text that any file, terminal and database takes: a lone surrogate of a file's name is written out."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError):
        return True
    torch = sys.modules.get("torch")  # without torch there is no such error
    return torch is not None and isinstance(error, torch.OutOfMemoryError)
