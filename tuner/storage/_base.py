"""What can be done with the files of a study, wherever they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

Content = bytes | Sequence[bytes | memoryview]
"""What a file is to hold: as a whole, or in pieces that follow each other."""

Place = Path | str
"""Where a study's files are, before anything is opened: a folder, or the URL of a place in an object store."""


class Storage(Protocol):
    """The files below one place, by name: `3/log.txt`, always with "/". A value that can be sent to a worker.

    All methods raise OSError where the disk or the network refuses.
    """

    def path(self, name: str) -> str:
        """Where the file of this name is, or would be, in full: for people."""
        ...

    def read(self, name: str) -> bytes:
        """Its content. Raises FileNotFoundError if there is none."""
        ...

    def write(self, name: str, data: Content) -> None:
        """Put `data` there so that a reader, or a crash, finds what was there before or all of it."""
        ...

    def remove(self, name: str) -> None:
        """Remove it, if it is there."""
        ...

    def names(self, below: str = "") -> list[str]:
        """All files, or those below the folder `below`, sorted; none where there is no such folder."""
        ...

    def clear(self) -> None:
        """Remove the place, with all of its files."""
        ...
