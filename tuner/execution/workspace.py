"""The folder in which a trial writes, for one segment: its log, and whatever else its objective leaves there.

Where the study has a folder, the trial's is in it. Where its files are in an object store, it is a temporary one on the
worker's machine: what the trial's earlier segments left is brought when a segment begins, and what is new is taken back
with every checkpoint and at the end. A worker that dies loses what it wrote since.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import final

from tuner.storage import Place, Storage, open_storage

CHECKPOINT = re.compile(r"\d{9}-\d{3}\.ckpt")
"""The name of a checkpoint, `RESOURCE-SEGMENT.ckpt`: it goes from the objective's memory to the storage."""

Stamp = tuple[int, int]
"""A file's time of change in nanoseconds, and its size in bytes."""


def checkpoint_name(resource: int, segment: int) -> str:
    """The name of a trial's checkpoint."""
    return f"{resource:09d}-{segment:03d}.ckpt"


@final
@dataclass(frozen=True)
class Workspace:
    """A trial's folder, and how to let its files be seen from elsewhere."""

    folder: Path
    share: Callable[[], None]
    """Take what is new in the folder to where the study's files are. Raises OSError."""


@contextmanager
def open_workspace(place: Place, trial: int) -> Iterator[Workspace]:
    """A trial's workspace while a segment runs. Raises OSError."""
    if isinstance(place, Path):
        folder = place / str(trial)
        folder.mkdir(parents=True, exist_ok=True)
        yield Workspace(folder, lambda: None)
        return
    with tempfile.TemporaryDirectory(prefix="tuner-trial-", ignore_cleanup_errors=True) as temporary:
        # In a folder of its own below that, as in a study's folder: what is beside it is this segment's alone, too.
        mirror = _Mirror(open_storage(place), str(trial), Path(temporary) / str(trial))
        mirror.folder.mkdir()
        mirror.fetch()
        try:
            yield Workspace(mirror.folder, mirror.share)
        except BaseException:
            with suppress(OSError):  # the first error is the one to tell
                mirror.share()
            raise
        mirror.share()


@final
class _Mirror:
    """A local folder that follows one in a storage: the trial's files, without its checkpoints."""

    def __init__(self, storage: Storage, trial: str, folder: Path) -> None:
        self.folder = folder
        self._storage = storage
        self._trial = trial
        self._shared: dict[str, Stamp] = {}

    def fetch(self) -> None:
        """Bring what is there."""
        for path in self._storage.names(self._trial):
            name = path.removeprefix(f"{self._trial}/")
            if not CHECKPOINT.fullmatch(name):
                file = self.folder / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(self._storage.read(path))
        self._shared = self._stamps()

    def share(self) -> None:
        """Take there what was written, or removed, since it was last called."""
        for name, stamp in self._stamps().items():
            if self._shared.get(name) != stamp:
                self._storage.write(f"{self._trial}/{name}", (self.folder / name).read_bytes())
                self._shared[name] = stamp
        for name in [name for name in self._shared if not (self.folder / name).exists()]:
            self._storage.remove(f"{self._trial}/{name}")
            del self._shared[name]

    def _stamps(self) -> dict[str, Stamp]:
        stamps: dict[str, Stamp] = {}
        for path in sorted(self.folder.rglob("*")):
            with suppress(FileNotFoundError):  # the objective removes its files when it likes
                if path.is_file():
                    about = path.stat()
                    stamps[path.relative_to(self.folder).as_posix()] = (about.st_mtime_ns, about.st_size)
        return stamps
