"""An object store, through pyarrow's file systems: S3 and what speaks its protocol, Google Cloud Storage, Azure.

An object appears when all of it has arrived, and a listing shows it from then on: there is nothing to rename.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, final
from urllib.parse import urlsplit

from tuner.errors import UserMistake
from tuner.storage._base import Content
from tuner.storage.urls import CREDENTIALS

DELAYED = "allow_delayed_open=true"
"""S3 alone: what is small goes up in one request instead of three."""


@final
@dataclass(frozen=True)
class ObjectStore:
    """See Storage. `url` is one that `check_url` lets pass; a process connects when it first needs to."""

    url: str

    def __str__(self) -> str:
        return self.url

    def path(self, name: str) -> str:
        """See Storage."""
        url = urlsplit(self.url)
        return url._replace(path=f"{url.path.rstrip('/')}/{name}").geturl()

    def check(self) -> None:
        """Raise UserMistake if the store does not answer, or has no such bucket. Nothing is written."""
        try:
            files, base = _connected(self.url)
            bucket = base.partition("/")[0]
            there = files.get_file_info(bucket).type.name != "NotFound"
            if there:
                self.names()
        except (OSError, ValueError, NotImplementedError) as error:  # pyarrow's for a URL that it cannot take
            raise UserMistake(f"storage {self.url} cannot be used: {error}", hint=CREDENTIALS) from None
        if not there:
            raise UserMistake(f"storage {self.url}: there is no {bucket!r}", hint="Make the bucket first.")

    def read(self, name: str) -> bytes:
        """See Storage."""
        files, base = _connected(self.url)
        with files.open_input_file(f"{base}/{name}") as file:
            data: bytes = file.read_at(file.size(), 0)  # one request: `read` makes one for every 256 KiB
        return data

    def write(self, name: str, data: Content) -> None:
        """See Storage."""
        files, base = _connected(self.url)
        with files.open_output_stream(f"{base}/{name}") as stream:
            for part in [data] if isinstance(data, bytes) else data:
                stream.write(part)

    def remove(self, name: str) -> None:
        """See Storage."""
        files, base = _connected(self.url)
        with suppress(FileNotFoundError):
            files.delete_file(f"{base}/{name}")

    def names(self, below: str = "") -> list[str]:
        """See Storage."""
        from pyarrow.fs import FileSelector

        files, base = _connected(self.url)
        place = f"{base}/{below}".rstrip("/")
        found = files.get_file_info(FileSelector(place, recursive=True, allow_not_found=True))
        return sorted(info.path.removeprefix(f"{base}/") for info in found if info.type.name == "File")

    def clear(self) -> None:
        """See Storage."""
        files, base = _connected(self.url)
        with suppress(FileNotFoundError):
            files.delete_dir(base)


@cache
def _connected(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it."""
    from pyarrow.fs import FileSystem

    if urlsplit(url).scheme == "s3":
        url += f"{'&' if urlsplit(url).query else '?'}{DELAYED}"
    files, base = FileSystem.from_uri(url)
    return files, base.rstrip("/")
