"""From what a spec says to a place, and from a place to a Storage."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from tuner.home import expanded
from tuner.storage._base import Place, Storage
from tuner.storage.folder import LocalFolder
from tuner.storage.objects import ObjectStore
from tuner.storage.urls import check_url, is_url


def below(storage: str, name: str) -> Place:
    """The place `name` in a folder or a URL. Raises SpecError for a URL that cannot be, UserMistake for a home folder
    that is not known.
    """
    if not is_url(storage):
        return expanded(storage).resolve() / name
    check_url(storage)
    url = urlsplit(storage)
    if url.scheme == "file":
        return Path(unquote(url.path)).resolve() / name
    return url._replace(path=f"{url.path.rstrip('/')}/{name}").geturl()


def open_storage(place: Place) -> Storage:
    """The files at a place. Nothing is connected, looked at or made yet."""
    return LocalFolder(place) if isinstance(place, Path) else ObjectStore(place)
