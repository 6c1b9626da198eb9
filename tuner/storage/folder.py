"""A folder: on a disk of this machine, or on one that all machines share."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import final

from tuner.storage._base import Content


@final
@dataclass(frozen=True)
class LocalFolder:
    """See Storage."""

    folder: Path

    def __str__(self) -> str:
        return str(self.folder)

    def path(self, name: str) -> str:
        """See Storage."""
        return str(self.folder / name)

    def read(self, name: str) -> bytes:
        """See Storage."""
        return (self.folder / name).read_bytes()

    def write(self, name: str, data: Content) -> None:
        """See Storage."""
        write_atomically(self.folder / name, data)

    def remove(self, name: str) -> None:
        """See Storage."""
        (self.folder / name).unlink(missing_ok=True)

    def names(self, below: str = "") -> list[str]:
        """See Storage."""
        files = (path for path in (self.folder / below).rglob("*") if path.is_file())
        return sorted(path.relative_to(self.folder).as_posix() for path in files)

    def clear(self) -> None:
        """See Storage."""
        shutil.rmtree(self.folder)


def write_atomically(path: Path, data: Content) -> None:
    """Put `data` at `path` so that any crash leaves the old file or the new one, whole. Makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp"
    try:
        with temporary.open("xb") as file:
            file.writelines([data] if isinstance(data, bytes) else data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):  # the first error is the one to tell
            temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # a folder cannot be opened there, and a rename needs no sync
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
