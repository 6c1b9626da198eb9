"""Whose files are at a place: a study marks it when it begins, and only what is marked is deleted with it.

A folder has one marker, which one study alone can make. In an object store every study that wants a place writes a
claim of its own and looks at them all: of two that come at once at least one sees the other, and goes.
"""

from __future__ import annotations

import hashlib
import json

from tuner.errors import UserMistake
from tuner.storage import LocalFolder, ObjectStore, Place, Storage, open_storage
from tuner.store import StudyRecord
from tuner.workflows.places import claim_folder, owns_folder

CLAIMS = ".study"
"""The folder of claims in an object store."""

_REMEDY = "Choose another --name, or another storage (--set storage=URL)."


def check_place(place: Place) -> None:
    """Raise UserMistake if an object store cannot be used. Nothing is written; a folder is looked at when claimed."""
    storage = open_storage(place)
    if isinstance(storage, ObjectStore):
        storage.check()


def claim(record: StudyRecord, place: Place) -> None:
    """Mark a place as this study's. Raises UserMistake if it is another's, holds something else or cannot be used."""
    storage = open_storage(place)
    if isinstance(storage, LocalFolder):
        claim_folder(record, storage.folder)
        return
    try:
        _claim_objects(record, storage)
    except OSError as error:
        raise UserMistake(f"the study's storage {storage} cannot be used: {error}", hint=_REMEDY) from None


def owns(record: StudyRecord, place: Place) -> bool:
    """Whether a place is marked as this study's. One that cannot be read is not."""
    storage = open_storage(place)
    if isinstance(storage, LocalFolder):
        return owns_folder(record, storage.folder)
    try:
        return storage.names(CLAIMS) == [_claim_of(record)]
    except OSError:
        return False


def _claim_objects(record: StudyRecord, storage: Storage) -> None:
    own = _claim_of(record)
    there = storage.names(CLAIMS)
    if own not in there:
        if there:
            raise UserMistake(f"{storage} holds the files of {_whose(storage, there[0])}", hint=_REMEDY)
        if storage.names():
            raise UserMistake(f"{storage} holds files of something else than study {record.name!r}", hint=_REMEDY)
        storage.write(own, json.dumps({"study": record.name, "created": record.created}).encode())
    others = [name for name in storage.names(CLAIMS) if name != own]
    if others:
        storage.remove(own)
        raise UserMistake(f"{storage} was just taken by {_whose(storage, others[0])}", hint=_REMEDY)


def _claim_of(record: StudyRecord) -> str:
    """The name of a study's claim: another one for a study of the same name in another store."""
    identity = hashlib.sha256(f"{record.name} {record.created!r}".encode()).hexdigest()
    return f"{CLAIMS}/{identity[:16]}"


def _whose(storage: Storage, claim: str) -> str:
    try:
        name = json.loads(storage.read(claim))["study"]
    except (ValueError, KeyError, TypeError, FileNotFoundError):
        return f"something else (its {claim} cannot be read)"
    return f"a study {name!r} of another store, or of one deleted since"
