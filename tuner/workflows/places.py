"""Where a study's files are, and whose they are."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any

from tuner.errors import UserMistake
from tuner.home import home
from tuner.spec import StudySpec
from tuner.storage import Place, below
from tuner.store import StudyRecord

DEFAULT_STORAGE = "runs"

MARKER = ".study"
"""The file in a study's folder that says whose it is: two stores may each have a study of that name."""

DRAFT = ".study-"
"""How the name begins of a marker that is being written: left behind by a kill, it is nobody's claim."""

_REMEDY = "Choose another --name, or another storage (--set storage=FOLDER)."


def study_place(spec: StudySpec) -> Place:
    """The study's own place below its `storage` (by default $TUNER_HOME or ./runs): a folder, as an absolute path, or
    the URL of an object store's.
    """
    return home().resolve() / spec.study if spec.storage == DEFAULT_STORAGE else below(spec.storage, spec.study)


def study_folder(spec: StudySpec) -> Path:
    """The study's own folder. Raises UserMistake if it is in an object store."""
    place = study_place(spec)
    if isinstance(place, Path):
        return place
    raise UserMistake(f"study {spec.study!r} has no folder: its files are in {place}", hint="Read its `storage`.")


def claim_folder(record: StudyRecord, folder: Path) -> Path:
    """Make the study's folder for the user alone, with those above it, and mark it as this study's.

    Raises UserMistake if it holds another study's files, or files of something else, or cannot be made.
    """
    try:
        make_private(folder)
        there = _marker(folder)
        if there is None and any(not path.name.startswith(DRAFT) for path in folder.iterdir()):
            raise UserMistake(f"{folder} holds files of something else than study {record.name!r}", hint=_REMEDY)
        if there is None:
            _mark(record, folder)
        elif there != _identity(record):
            raise UserMistake(f"{folder} holds the files of {_whose(there)}", hint=_REMEDY)
    except OSError as error:
        raise UserMistake(f"the study's folder {folder} cannot be used: {error.strerror}", hint=_REMEDY) from None
    return folder


def owns_folder(record: StudyRecord, folder: Path) -> bool:
    """Whether the folder is marked as this study's. A folder that cannot be read is not."""
    try:
        return bool(_marker(folder) == _identity(record))
    except OSError:
        return False


def make_private(folder: Path) -> Path:
    """Make a folder for the user alone, with those above it. Raises OSError."""
    for missing in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)
    if not folder.is_dir():
        raise NotADirectoryError(20, "a file is in its place")
    return folder


def _identity(record: StudyRecord) -> dict[str, Any]:
    return {"study": record.name, "created": record.created}


def _mark(record: StudyRecord, folder: Path) -> None:
    """Put the marker there, whole or not at all: a kill in between must leave no folder that is nobody's."""
    text = json.dumps(_identity(record))
    draft = folder / f"{DRAFT}{secrets.token_hex(4)}"
    try:
        with draft.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        _publish(draft, folder / MARKER, text)
    except FileExistsError:  # of two stores that begin the same study, one comes first
        raise UserMistake(f"{folder} was just taken by another study", hint=_REMEDY) from None
    finally:
        draft.unlink(missing_ok=True)


def _publish(draft: Path, marker: Path, text: str) -> None:
    """Give the draft the marker's name. Raises FileExistsError if there is a marker."""
    try:
        os.link(draft, marker)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        with marker.open("x", encoding="utf-8") as file:
            file.write(text)


def _marker(folder: Path) -> Any:
    """What the folder's marker says; None if it has none."""
    try:
        return json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        return "nobody"


def _whose(marker: Any) -> str:
    if isinstance(marker, dict) and "study" in marker:
        return f"a study {marker['study']!r} of another store, or of one deleted since"
    return f"something else (its {MARKER} cannot be read)"
