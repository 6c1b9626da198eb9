"""Where a study's files are."""

from __future__ import annotations

import os
from pathlib import Path

from tuner.errors import UserMistake
from tuner.spec import StudySpec

DEFAULT_STORAGE = "runs"


def study_folder(spec: StudySpec) -> Path:
    """The study's own folder, below its `storage` (by default $TUNER_HOME or ./runs), as an absolute path."""
    if "://" in spec.storage:
        raise UserMistake(f"storage: object stores are not supported yet, got {spec.storage!r}", hint="Name a folder.")
    home = os.environ.get("TUNER_HOME")
    root = home if home and spec.storage == DEFAULT_STORAGE else spec.storage
    return Path(root).expanduser().resolve() / spec.study


def make_private(folder: Path) -> Path:
    """Make a folder for the user alone, with those above it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder
