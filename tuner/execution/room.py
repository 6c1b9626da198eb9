"""A full disk is waited for: what a trial cannot write now, it can when there is room."""

from __future__ import annotations

import errno
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

T = TypeVar("T")

NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
PAUSE_SECONDS: Final = 2.0


def is_full(error: OSError) -> bool:
    """Whether the disk, or the user's share of it, is full."""
    return error.errno in NO_ROOM


def check_share(folder: Path, share: float | None) -> None:
    """Raise OSError, as of a full disk, if more than `share` of the folder's is in use."""
    if share is None:
        return
    about = shutil.disk_usage(folder)
    if (used := about.used / about.total) > share:
        why = f"{used:.0%} of the disk is in use (checkpoint.disk_share: {share})"
        raise OSError(errno.ENOSPC, why, str(folder))


@contextmanager
def unless_full() -> Iterator[None]:
    """Let it be if there is no room for what is written here."""
    try:
        yield
    except OSError as error:
        if not is_full(error):
            raise


def when_there_is_room(write: Callable[[], T], waiting: Callable[[str], None]) -> T:
    """What `write` returns, tried again for as long as there is no room for it. `waiting` is told why, again and again.

    Raises its other errors.
    """
    while True:
        try:
            return write()
        except OSError as error:
            if not is_full(error):
                raise
            waiting(str(error))
        time.sleep(PAUSE_SECONDS)
