"""An exception of an objective as a Failure: its kind, a sentence, and the lines of the user's code that matter."""

from __future__ import annotations

import sys
import sysconfig
import traceback
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from traceback import FrameSummary, StackSummary, TracebackException

from tuner.errors import CheckpointError, DataError, TrialFailed, TunerError
from tuner.records import Failure, FailureKind

MAX_DETAILS = 8000
"""Characters of a traceback that are kept."""

_HERE = Path(__file__).parent
_EXECUTION = str(_HERE / "execution")
_STANDARD = str(Path(sysconfig.get_paths()["stdlib"]))
_NO_ROOM = ("can't allocate memory", "not enough memory", "CUDA error: out of memory", "_STATUS_ALLOC_FAILED")
"""How torch says so in a plain RuntimeError: the allocator of the CPU, and libraries that allocate by themselves."""


def failure_of(error: BaseException) -> Failure:
    """What to record of an exception that an objective let out. A TrialFailed says itself what it is: its kind is the
    failure's, and its details come before the traceback.
    """
    lines = lines_that_matter(error)
    if isinstance(error, TrialFailed):
        first = error.details[:MAX_DETAILS].rstrip("\n")
        lines = f"{first}\n\n{lines[-MAX_DETAILS:]}" if first else lines[-MAX_DETAILS:]
        kind, message = _as_said(error)
        return Failure(kind, printable(message), printable(lines))
    if isinstance(error, TunerError):
        message = error.message
    elif isinstance(error, SystemExit):
        message = f"the objective called sys.exit({error.code!r})"
    else:  # also for exceptions whose own text cannot be made
        message = traceback.format_exception_only(error)[-1].strip()
    if (place := _place(error)) is not None:
        message += f"  ({Path(place.filename).name}:{place.lineno})"
    return Failure(_kind(error), printable(message), printable(lines[-MAX_DETAILS:]))


def lines_that_matter(error: BaseException) -> str:
    """The traceback with what led to it, the frames of libraries folded to a line, unless there are no others."""
    chain = list(_chain(TracebackException.from_exception(error)))
    fold = any(_library(frame) is None for link in chain for frame in link.stack)
    told = []
    for link in chain:
        frames = [frame for frame in link.stack if not frame.filename.startswith(_EXECUTION)]
        shown = _folded(frames) if fold else StackSummary.from_list(frames).format()
        told.append("".join([*shown, *link.format_exception_only()]))
    return "\nwhich led to:\n\n".join(told)


def out_of_memory(error: BaseException) -> bool:
    """Whether there was no room, on the device or on the host."""
    if isinstance(error, MemoryError):
        return True
    torch = sys.modules.get("torch")  # without torch there is no such error
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _NO_ROOM)


def printable(text: str) -> str:
    """Text that any file, terminal and database takes: a lone surrogate of a file's name is written out."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _kind(error: BaseException) -> FailureKind:
    if isinstance(error, CheckpointError):
        return FailureKind.CHECKPOINT
    if isinstance(error, DataError):
        return FailureKind.DATA_MISSING
    return FailureKind.OUT_OF_MEMORY if out_of_memory(error) else FailureKind.EXCEPTION


def _as_said(error: TrialFailed) -> tuple[FailureKind, str]:
    if error.kind in {kind.value for kind in FailureKind}:
        return FailureKind(error.kind), error.message
    return FailureKind.EXCEPTION, f"{error.message} (TrialFailed of an unknown kind: {error.kind!r})"


def _chain(last: TracebackException) -> Iterator[TracebackException]:
    """The causes first."""
    before = last.__cause__ or (None if last.__suppress_context__ else last.__context__)
    if before is not None:
        yield from _chain(before)
    yield last


def _place(error: BaseException) -> FrameSummary | None:
    """The last line of the user's own code, of the exception itself or of what led to it; else the last line of all."""
    links = list(_chain(TracebackException.from_exception(error)))[::-1]
    stacks = [[frame for frame in link.stack if not frame.filename.startswith(_EXECUTION)] for link in links]
    own = [frame for stack in stacks for frame in reversed(stack) if _library(frame) is None]
    return next(iter([*own, *reversed(stacks[0])]), None)


def _folded(frames: list[FrameSummary]) -> Iterator[str]:
    for library, group in groupby(frames, _library):
        if library is None:
            yield from StackSummary.from_list(list(group)).format()
        else:
            n = len(list(group))
            yield f"  ... {n} {'line' if n == 1 else 'lines'} of {library}\n"


def _library(frame: FrameSummary) -> str | None:
    """Whose code it is; None for the user's own."""
    path = Path(frame.filename)
    for folder in ("site-packages", "dist-packages"):
        if folder in path.parts:
            return Path(path.parts[path.parts.index(folder) + 1]).stem
    if path.is_relative_to(_HERE):
        return "tuner"
    return "Python" if frame.filename.startswith((_STANDARD, "<frozen ")) else None
